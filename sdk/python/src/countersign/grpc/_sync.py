"""The interceptor of ``grpc.server``."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Generator, Iterator
from typing import Any, NoReturn, Protocol

import grpc

from .._context import token_in_context
from .._errors import InvalidTokenError, TokenError
from .._token import InvalidReason, Token
from .._watch import Watch
from ..wsgi import SyncVerifier
from ._refusal import Open, behaviour_of, presented, refusal_of, replaced

# How long a handler may go on whose session was revoked, in seconds.
_GRACE = 1.0


class WatchingVerifier(SyncVerifier, Protocol):
    """What decides: a `countersign.Verifier`, or in tests something else."""

    def watch(self, token: Token, call: Callable[[], None] | None = None) -> Watch:
        """Says when the token is revoked."""
        ...


class Interceptor(grpc.ServerInterceptor):
    """Lets calls with a good token in ``authorization: Bearer`` through.

    A handler asks `countersign.current_token` who is calling. Others are answered UNAUTHENTICATED, or UNAVAILABLE where
    nothing can be known about their token, with the reason in ``google.rpc.ErrorInfo``.

    A stream ends when its session is revoked: it receives and sends nothing any more, and the caller is answered
    UNAUTHENTICATED SESSION_REVOKED as soon as the handler wants to. One that waits for something else is cancelled a second
    later. A stream that is longer than its token lives is not ended for that.
    """

    def __init__(
        self,
        verifier: WatchingVerifier,
        *,
        audiences: Collection[str] | None = None,
        open: Open = lambda method: False,
    ) -> None:
        """Expects ``audiences`` instead of the verifier's own.

        ``open`` says which methods (``/package.Service/Method``) everybody may call: health checks, for example.
        """
        self._verifier = verifier
        self._audiences = audiences
        self._open = open

    def intercept_service(self, continuation: Any, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Puts itself before a handler."""
        handler = continuation(handler_call_details)
        if handler is None or self._open(handler_call_details.method):
            return handler
        inner = behaviour_of(handler)
        if not handler.request_streaming and not handler.response_streaming:

            def unary(request: Any, context: grpc.ServicerContext) -> Any:
                with token_in_context(self._authenticate(context)):
                    return inner(request, context)

            return replaced(handler, unary)
        if not handler.response_streaming:

            def single(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
                answers = self._guarded(lambda incoming: iter([inner(incoming, context)]), requests, context)
                with contextlib.closing(answers):
                    return next(answers)

            return replaced(handler, single)

        def streaming(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            if handler.request_streaming:
                return self._guarded(lambda incoming: inner(incoming, context), request, context)
            return self._guarded(lambda _: inner(request, context), None, context)

        return replaced(handler, streaming)

    def _authenticate(self, context: grpc.ServicerContext) -> Token:
        try:
            return self._verifier.verify(presented(context.invocation_metadata()), self._audiences)
        except TokenError as error:
            _abort(context, error)

    def _guarded(
        self, call: Callable[[Any], Iterator[Any]], requests: Iterator[Any] | None, context: grpc.ServicerContext
    ) -> Generator[Any, None, None]:
        token = self._authenticate(context)
        guard = _Guard(context, requests)
        with self._verifier.watch(token, guard.revoke):
            try:
                # What the handler does in between, it does in the context of this generator's caller.
                with token_in_context(token):
                    responses = iter(call(guard if requests is not None else None))
                while True:
                    guard.check()
                    with token_in_context(token):
                        try:
                            response = next(responses)
                        except StopIteration:
                            break
                    guard.check()
                    yield response
                guard.check()
            except _RevokedError:
                _abort(context, InvalidTokenError(InvalidReason.REVOKED))
            finally:
                guard.done()


class _RevokedError(Exception):
    """A stream must end."""


class _Guard:
    """What a streaming handler receives from: it raises as soon as the session is revoked, though the peer says nothing."""

    def __init__(self, context: grpc.ServicerContext, requests: Iterator[Any] | None) -> None:
        self._context = context
        self._changed = threading.Condition()
        self._revoked = False
        self._requests = requests
        self._received: list[Any] = []
        self._end: BaseException | None = None
        self._wanted = 0
        self._timer: threading.Timer | None = None
        self._reader: threading.Thread | None = None

    def revoke(self) -> None:
        with self._changed:
            self._revoked = True
            self._changed.notify_all()
            self._timer = threading.Timer(_GRACE, self._context.cancel)
            self._timer.daemon = True
            self._timer.start()

    def check(self) -> None:
        if self._revoked:
            raise _RevokedError

    def done(self) -> None:
        with self._changed:
            self._wanted = -1
            self._changed.notify_all()
            if self._timer is not None:
                self._timer.cancel()

    def __iter__(self) -> _Guard:
        return self

    def __next__(self) -> Any:
        if self._reader is None:
            self._reader = threading.Thread(target=self._read, name="countersign-requests", daemon=True)
            self._reader.start()
        with self._changed:
            self._wanted += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._revoked or self._received or self._end is not None)
            self.check()
            if self._received:
                return self._received.pop(0)
            assert self._end is not None
            raise self._end

    def _read(self) -> None:
        """Receives one message for each that is wanted. It ends with the call, whose iterator ends then."""
        assert self._requests is not None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted != 0)
                if self._wanted < 0:
                    return
                self._wanted -= 1
            try:
                message, end = next(self._requests), None
            except BaseException as error:
                message, end = None, error
            with self._changed:
                if end is None:
                    self._received.append(message)
                else:
                    self._end = end
                self._changed.notify_all()
                if end is not None:
                    return


def _abort(context: grpc.ServicerContext, error: TokenError) -> NoReturn:
    context.abort_with_status(refusal_of(error))  # type: ignore[arg-type]

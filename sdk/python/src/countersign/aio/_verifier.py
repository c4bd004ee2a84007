"""Verification for services of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from types import TracebackType

from .._clock import Clock, SystemClock
from .._endpoint import TLS
from .._errors import InvalidTokenError
from .._following import Following
from .._options import Credential, OnStale, Options
from .._token import Revocation, Token
from .._verifier import Verifier as ThreadVerifier
from .._watch import Watch as ThreadWatch


class Watch:
    """Says when a token is revoked, for what stays open longer than a request.

    It is an asynchronous context manager; end it when what it is for is over.
    """

    def __init__(self, following: Following, token: Token) -> None:
        """Made by `Verifier.watch`, in a running event loop."""
        self.token = token
        """The token that is watched."""
        self._revoked = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._watch: ThreadWatch = following.watch(token, lambda: _call(loop, self._revoked.set))

    @property
    def revoked(self) -> bool:
        """Whether the token's session, or every session of its user, was revoked."""
        return self._watch.revoked

    async def wait(self) -> None:
        """Waits until the token is revoked."""
        await self._revoked.wait()

    def close(self) -> None:
        """Stops watching."""
        self._watch.close()

    async def __aenter__(self) -> Watch:
        """Watches already."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops watching."""
        self.close()


class Verifier:
    """Verifies access tokens in this process, as `countersign.Verifier` does, which describes the arguments.

    The server is followed by one thread, whatever event loops call. ``on_revoked`` is called in the loop of the first call.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        issuer: str,
        audiences: Sequence[str],
        tls: TLS | None = None,
        credential: Credential | None = None,
        max_staleness: float = 10.0,
        on_stale: OnStale = OnStale.FAIL_CLOSED,
        on_revoked: Callable[[Revocation], None] | None = None,
        ping_interval: float = 1.0,
        patience: float = 5.0,
        max_backoff: float = 5.0,
        ask_timeout: float = 1.0,
        leeway: float = 5.0,
        cached_tokens: int = 65_536,
        clock: Clock | None = None,
    ) -> None:
        """Raises ValueError and OSError that say what is wrong with the arguments."""
        options = Options(
            endpoint=endpoint, issuer=issuer, audiences=audiences, tls=tls, credential=credential,
            max_staleness=max_staleness, on_stale=on_stale, ping_interval=ping_interval, patience=patience,
            max_backoff=max_backoff, ask_timeout=ask_timeout, leeway=leeway, cached_tokens=cached_tokens,
            clock=clock or SystemClock(),
        )  # fmt: skip
        self._on_revoked = on_revoked
        self._loop: asyncio.AbstractEventLoop | None = None
        self._following = Following(options, None if on_revoked is None else self._tell)

    @classmethod
    def sharing(cls, verifier: ThreadVerifier) -> Verifier:
        """One that has its knowledge from another, for a process that has both threads and asyncio: one stream is enough."""
        shared = cls.__new__(cls)
        shared._on_revoked = None
        shared._loop = None
        shared._following = verifier._following
        return shared

    def _tell(self, revocation: Revocation) -> None:
        loop, on_revoked = self._loop, self._on_revoked
        if loop is not None and on_revoked is not None:
            _call(loop, lambda: on_revoked(revocation))

    def _start(self) -> None:
        if self._on_revoked is not None and (self._loop is None or self._loop.is_closed()):
            self._loop = asyncio.get_running_loop()
        self._following.start()

    async def start(self) -> None:
        """Begins to follow the server and returns at once: the server need not be there yet."""
        self._start()

    async def ready(self, timeout: float | None = None) -> bool:
        """Waits until keys and revocations were loaded in this process, for a service that is not to start before.

        Returns False where that takes longer than ``timeout`` seconds.
        """
        self._start()
        if self._following.is_closed:
            return self._following.ready.is_set()
        ready, happened, loop = self._following.ready, asyncio.Event(), asyncio.get_running_loop()

        def call() -> None:
            _call(loop, happened.set)

        ready.add(call)
        try:
            await asyncio.wait_for(happened.wait(), timeout)
        except asyncio.TimeoutError:
            return False
        finally:
            ready.forget(call)
        return True

    def staleness(self) -> float | None:
        """How old the view of revocations is at most, in seconds; None when there is none, or the wall clock was set.

        It is for readiness and metrics.
        """
        self._following.start()
        staleness = self._following.staleness()
        return None if staleness is None else staleness / 1e9

    async def verify(self, token: str, audiences: Collection[str] | None = None) -> Token:
        """Decides whether an access token may be used, as `countersign.Verifier.verify` does.

        Raises:
            InvalidTokenError: The token must be refused, and why.
            UnknownTokenError: It cannot be known now. Ask the caller to try again; never log a user out for it.
        """
        following = self._following
        if following.stream is None:
            self._start()
        answer = following.verify(token, audiences)
        if isinstance(answer, Token):
            return answer
        if answer is None and (wait := following.first_wait()) > 0:
            await self.ready(wait)
            answer = following.verify(token, audiences)
            if isinstance(answer, Token):
                return answer
        if answer is not None:
            raise InvalidTokenError(answer)
        if following.options.on_stale is OnStale.ASK_SERVER:
            return await self._ask(token, "", audiences)
        raise following.unknown()

    async def verify_at_least(self, position: str, token: str, audiences: Collection[str] | None = None) -> Token:
        """Does as `verify`, once everything is known here up to a position; see `countersign.Verifier.verify_at_least`."""
        following = self._following
        if not position or await self._reach(position):
            return await self.verify(token, audiences)
        if following.options.on_stale is OnStale.ASK_SERVER:
            return await self._ask(token, position, audiences)
        raise following.unknown()

    async def _reach(self, position: str) -> bool:
        following = self._following
        self._start()
        if following.positions.is_known(position):
            return True
        asked = following.positions.ask(position)
        if asked is None:
            return False
        following.wake()
        reached = asyncio.wrap_future(asked.reached)
        done, _ = await asyncio.wait([reached], timeout=following.options.ask_timeout)
        if not done or reached.cancelled():
            asked.give_up()
            return False
        if reached.result():
            following.positions.remember(position)
        return reached.result()

    async def _ask(self, token: str, at_least: str, audiences: Collection[str] | None) -> Token:
        # The call blocks, in a thread of the loop's pool, for ask_timeout at most.
        return await asyncio.to_thread(self._following.ask, token, at_least, audiences)

    def watch(self, token: Token) -> Watch:
        """Says when a token is revoked, for what stays open longer than a request: streams, WebSockets, server-sent events.

        That the token expires is not told. The watch is an asynchronous context manager.
        """
        return Watch(self._following, token)

    async def close(self) -> None:
        """Stops following the server. From then on the view grows older, as if the server could not be heard."""
        await asyncio.to_thread(self._following.close)

    async def __aenter__(self) -> Verifier:
        """Begins to follow the server."""
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops following it."""
        await self.close()


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    """Calls in the loop's own thread, unless the loop is closed."""
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        pass

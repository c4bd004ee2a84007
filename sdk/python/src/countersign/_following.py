"""A verifier without its face: what the one for threads and the one for asyncio have in common."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection

from google.protobuf.message import DecodeError

from ._caller import Caller
from ._claims import parse_claims, parse_session_id, parse_user_id
from ._endpoint import Endpoint
from ._errors import InvalidTokenError, UnknownTokenError
from ._follower import Follower
from ._http2 import RpcError
from ._jws import parse_jws
from ._options import OnStale, Options
from ._pauses import Pauses
from ._positions import Positions
from ._rules import MAX_TOKEN_BYTES, Engine
from ._stream import Stream
from ._token import InvalidReason, Revocation, Token
from ._watch import Watch, Watchers
from .v1 import auth_service_pb2, verification_pb2

logger = logging.getLogger("countersign")

_VERIFY = "/countersign.v1.AuthService/VerifyAccessToken"


class Signal:
    """Something that happens once, which threads wait for, and callbacks that are forgotten again."""

    __slots__ = ("_calls", "_event", "_lock")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._calls: list[Callable[[], None]] = []

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._event.is_set()

    def set(self) -> None:
        """Says that it has happened."""
        if self._event.is_set():
            return
        with self._lock:
            self._event.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    def wait(self, timeout: float | None) -> bool:
        """Waits until it has happened, at most ``timeout`` seconds. Returns whether it has."""
        return self._event.wait(timeout)

    def add(self, call: Callable[[], None]) -> None:
        """Calls ``call`` when it happens, or at once where it has."""
        with self._lock:
            if not self._event.is_set():
                self._calls.append(call)
                return
        call()

    def forget(self, call: Callable[[], None]) -> None:
        """Calls it no more."""
        with self._lock:
            if call in self._calls:
                self._calls.remove(call)


class Following:
    """Knows keys and revocations, follows the server from when it is started, and begins anew in a child process."""

    def __init__(self, options: Options, on_revoked: Callable[[Revocation], None] | None) -> None:
        """Raises ValueError and OSError that say what is wrong with the options. Starts nothing."""
        self.options = options
        self.endpoint = Endpoint(options.endpoint, options.tls)
        self.engine = Engine(options.issuer, options.audiences, int(options.leeway * 1000), options.cached_tokens)
        self.watchers = Watchers()
        self.positions = Positions()
        self.on_revoked = on_revoked
        self.caller = Caller(self.endpoint)
        # Set when a heartbeat has proven something in this process for the first time.
        self.ready = Signal()
        self.pauses = Pauses(options.max_backoff)
        self.follower = Follower(self.engine, options.clock, options.patience, self.tell, self._proven)
        self._max_staleness = int(options.max_staleness * 1e9)
        self._serves = options.on_stale is OnStale.SERVE
        self._lock = threading.Lock()
        self.is_closed = False
        self._wait_until = 0.0
        self.stream: Stream | None = None
        _living.add(self)

    def wait_until_ready(self, timeout: float | None) -> bool:
        """Starts, and waits. Not for one that is closed and will never be ready."""
        self.start()
        return self.ready.is_set() if self.is_closed else self.ready.wait(timeout)

    def start(self) -> None:
        """Begins to follow the server, unless that was begun in this process, or it is closed."""
        with self._lock:
            if self.stream is None and not self.is_closed:
                self._wait_until = time.monotonic() + self.options.ask_timeout
                self.stream = Stream(self.options, self.endpoint, self.engine, self.follower, self.positions, self.pauses)

    def close(self) -> None:
        """Stops following. From then on the view grows older, as if the server could not be heard."""
        with self._lock:
            self.is_closed = True
            stream, self.stream = self.stream, None
        if stream is not None:
            stream.stop()
        self.caller.close()

    def staleness(self) -> int | None:
        """How many ns old the view of revocations is at most."""
        clock = self.options.clock
        return self.engine.freshness.staleness(clock.wall(), clock.monotonic())

    def verify(self, token: str, audiences: Collection[str] | None) -> Token | InvalidReason | None:
        """Does not ask the server. None where it is not known.

        That a token is bad by itself is said from a stale view too; but then a key that is not known may be a new one, and
        says nothing.
        """
        if self.stream is None:
            self.start()
        if isinstance(audiences, str):
            raise TypeError("audiences is a text, and not a collection of texts")
        clock = self.options.clock
        now = clock.wall()
        staleness = self.engine.freshness.staleness(now, clock.monotonic())
        fresh = staleness is not None and staleness <= self._max_staleness
        answer = self.engine.verify(token, audiences, now)
        if isinstance(answer, Token):
            return answer if fresh or (self._serves and staleness is not None) else None
        if answer is InvalidReason.UNKNOWN_KEY and not fresh:
            return None
        return answer

    def first_wait(self) -> float:
        """How many seconds a call may still wait for the first heartbeat of this process.

        The server is followed from the first call on, so the calls of the first moment would all be answered "unknown".
        """
        return 0.0 if self.ready.is_set() else self._wait_until - time.monotonic()

    def unknown(self) -> UnknownTokenError:
        """The error that says that nothing can be known."""
        staleness = self.staleness()
        return UnknownTokenError(None if staleness is None else staleness / 1e9)

    def ask(self, token: str, at_least: str, audiences: Collection[str] | None) -> Token:
        """Asks the server. It takes `Options.ask_timeout` at most."""
        request = auth_service_pb2.VerifyAccessTokenRequest(
            access_token=token, audiences=list(audiences or self.options.audiences), at_least=at_least
        )
        request.max_staleness.FromNanoseconds(self._max_staleness)
        try:
            credential = self.options.credential_text()
        except Exception as error:
            # Whatever the caller's own function raises: it says nothing of the token.
            raise UnknownTokenError(None, "there is no credential to ask the server with") from error
        try:
            answer = auth_service_pb2.VerifyAccessTokenResponse.FromString(
                self.caller.call(_VERIFY, credential, request.SerializeToString(), self.options.ask_timeout)
            )
        except (RpcError, DecodeError) as error:
            raise UnknownTokenError(None, "the server did not say whether the access token is good") from error
        kind = answer.WhichOneof("result")
        if kind == "verified":
            return _vouched_for(token)
        if kind == "invalid":
            raise InvalidTokenError(_reason_of(answer.invalid.reason))
        raise UnknownTokenError(None, "the server's answer is of another kind")

    def watch(self, token: Token, call: Callable[[], None] | None = None) -> Watch:
        """Calls ``call`` and says so in the watch once the token is revoked, also if it is already."""
        watch = Watch(self.watchers, token, call)
        self.watchers.add(watch)
        # A revocation that came before it was added has not told it.
        subject, session = parse_user_id(token.subject), parse_session_id(token.session_id)
        if self.engine.revocations.is_revoked(subject, session, token.epoch):
            watch.tell()
        return watch

    def tell(self, revocation: Revocation) -> None:
        """Passes on a revocation that was not known before."""
        self.watchers.tell(revocation)
        if self.on_revoked is not None:
            try:
                self.on_revoked(revocation)
            except Exception:
                # What is revoked is refused whatever the callback does, and the stream must go on.
                logger.exception("on_revoked failed")

    def wake(self) -> None:
        """Says that a position is asked for."""
        stream = self.stream
        if stream is not None:
            stream.wake()

    def _proven(self) -> None:
        self.pauses.reset()
        self.ready.set()

    def after_fork(self) -> None:
        """In a child process: what is known stays known, and the next call begins a stream of the child's own.

        Threads of the parent are not here, and what they held locked would stay so.
        """
        self._lock = threading.Lock()
        self.engine.after_fork()
        self.watchers.after_fork()
        self.positions.after_fork()
        self.caller.close()
        self.ready = Signal()
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.abandon()


def _vouched_for(token: str) -> Token:
    """Reads a token of which the server has just said that it is good. It checks nothing but its form."""
    jws = parse_jws(token, MAX_TOKEN_BYTES)
    claims = None if jws is None else parse_claims(jws.payload)
    if claims is None:
        raise InvalidTokenError(InvalidReason.MALFORMED)
    return claims.token


def _reason_of(reason: int) -> InvalidReason:
    """Reads the server's reason.

    One that only a newer server has is MALFORMED: whatever it is, the token must not be accepted.
    """
    name = verification_pb2.InvalidReason.DESCRIPTOR.values_by_number.get(reason)
    if name is None:
        return InvalidReason.MALFORMED
    return InvalidReason.__members__.get(name.name.removeprefix("INVALID_REASON_"), InvalidReason.MALFORMED)


_living: weakref.WeakSet[Following] = weakref.WeakSet()


def _after_fork() -> None:
    for following in list(_living):
        following.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

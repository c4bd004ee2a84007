"""A world of the test server."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct

from .._client import Client
from .._clock import Clock, SystemClock
from .._verifier import Verifier
from ..test.v1 import test_service_pb2 as pb
from ..test.v1.test_service_pb2_grpc import TestServiceStub
from ..v1 import user_service_pb2 as users_pb
from ..v1.user_service_pb2_grpc import UserServiceStub

if TYPE_CHECKING:
    from ._server import TestServer

State = Literal[
    "good",
    "expired",
    "not_yet_valid",
    "wrong_audience",
    "wrong_issuer",
    "revoked",
    "unknown_key",
    "withdrawn_key",
    "bad_signature",
    "malformed",
    "reused",
]
"""What is right or wrong with a token. ``reused`` is of refresh tokens alone; of those that are wrong, refresh tokens can be
``expired``, ``revoked``, ``bad_signature``, ``malformed`` and ``reused``."""

# How long a call to the test server may take, and how long verifiers are waited for when the clock was moved, in seconds.
_PATIENCE = 70.0
_FRESH_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Minted:
    """A token that was made."""

    token: str = field(repr=False)
    """Its text."""
    user_id: str
    """Whose it is."""
    username: str
    """What they are called."""
    session_id: str
    """The session that it belongs to."""
    expires_at: datetime
    """From when on it is not accepted."""
    position: str
    """Where the ledger tells of its revocation, for `Verifier.verify_at_least`; empty where it was not revoked."""


class _WorldClock:
    """As far ahead of this machine's clock as the world's is."""

    def __init__(self) -> None:
        self._machine = SystemClock()
        self.ahead = timedelta()

    def wall(self) -> int:
        """Milliseconds since 1970."""
        return self._machine.wall() + self.ahead // timedelta(milliseconds=1)

    def monotonic(self) -> int:
        """Nanoseconds since an arbitrary origin."""
        return self._machine.monotonic() + self.ahead // timedelta(microseconds=1) * 1000


class World:
    """A service of its own within the server.

    It has users, sessions, keys, revocations, a clock, failures and streams that no other world has. It is a context manager,
    which closes what it has made and has the server forget it. The server also forgets it when nobody has called it for ten
    minutes.
    """

    def __init__(self, server: TestServer, name: str) -> None:
        """Takes the server and the name: see `TestServer.world`."""
        port = server.grpc.rpartition(":")[2]
        self._server = server
        self._clock = _WorldClock()
        self._closing = ExitStack()
        self._verifiers: list[Verifier] = []
        self._stalled = False
        self.name = name
        """What it is called."""
        self.endpoint = f"http://{name}.localhost:{port}"
        """Its gRPC address, for `Client` and `Verifier`: ``http://python-17-1.localhost:41234``."""
        self.http_url = f"{server.http}/worlds/{name}"
        """The base of its HTTP paths: ``http://127.0.0.1:41235/worlds/python-17-1``. A browser uses
        ``http://python-17-1.localhost:41235``, so that cookies of other worlds are not sent."""
        self.jwks_url = f"{self.http_url}/.well-known/jwks.json"
        """Where its key set is."""
        options = [("grpc.default_authority", f"{name}.localhost")]
        self.channel = self._closing.enter_context(grpc.insecure_channel(server.grpc, options))
        """A channel on which every call is in this world, for stubs of one's own."""
        self._test = TestServiceStub(self.channel)
        self._users = UserServiceStub(self.channel)

    @property
    def clock(self) -> Clock:
        """Its time, for whatever checks tokens in this process."""
        return self._clock

    def client(self, **arguments: Any) -> Client:
        """A client of this world, with these arguments of `Client` beside the endpoint."""
        return self._closing.enter_context(Client(self.endpoint, **arguments))

    def verifier_arguments(self) -> dict[str, Any]:
        """What a verifier, also one of `countersign.aio`, goes by here. It hears quickly of what changes."""
        return {
            "endpoint": self.endpoint,
            "issuer": self._server.issuer,
            "audiences": [self._server.audience],
            "clock": self._clock,
            "ping_interval": 0.1,
        }

    def verifier(self, **arguments: Any) -> Verifier:
        """A verifier that follows this world and has loaded what there is."""
        verifier = self._closing.enter_context(Verifier(**(self.verifier_arguments() | arguments)))
        if not verifier.ready(_PATIENCE):
            raise TimeoutError("a verifier did not load in time")
        self._verifiers.append(verifier)
        return verifier

    def access_token(
        self,
        *,
        state: State = "good",
        user_id: str = "",
        username: str = "",
        roles: Sequence[str] = (),
        claims: Mapping[str, Any] | None = None,
        external_id: str = "",
        audiences: Sequence[str] = (),
        lifetime: timedelta | None = None,
    ) -> Minted:
        """Makes an access token.

        Its user need not exist. What is missing is made up, or is as the user has it who is named.
        """
        return self._mint(pb.TOKEN_KIND_ACCESS, state, user_id, username, roles, claims, external_id, audiences, lifetime)

    def refresh_token(
        self,
        *,
        state: State = "good",
        user_id: str = "",
        username: str = "",
        roles: Sequence[str] = (),
        claims: Mapping[str, Any] | None = None,
        external_id: str = "",
        audiences: Sequence[str] = (),
    ) -> Minted:
        """Makes a refresh token. Its user is created if they do not exist."""
        return self._mint(pb.TOKEN_KIND_REFRESH, state, user_id, username, roles, claims, external_id, audiences, None)

    def _mint(
        self,
        kind: pb.TokenKind,
        state: State,
        user_id: str,
        username: str,
        roles: Sequence[str],
        claims: Mapping[str, Any] | None,
        external_id: str,
        audiences: Sequence[str],
        lifetime: timedelta | None,
    ) -> Minted:
        request = pb.MintTokenRequest(
            kind=kind,
            state=f"TOKEN_STATE_{state.upper()}",
            user_id=user_id,
            username=username,
            roles=roles,
            external_id=external_id,
            audiences=audiences,
        )
        if claims is not None:
            struct = Struct()
            struct.update(dict(claims))
            request.custom_claims.CopyFrom(struct)
        if lifetime is not None:
            request.lifetime.CopyFrom(_duration(lifetime))
        minted = self._test.MintToken(request, timeout=_PATIENCE)
        return Minted(
            token=minted.token,
            user_id=minted.user_id,
            username=minted.username,
            session_id=minted.session_id,
            expires_at=minted.expires_at.ToDatetime(timezone.utc),
            position=minted.position,
        )

    def create_user(self, username: str, password: str, roles: Sequence[str] = ()) -> str:
        """Creates a user, and returns the id."""
        request = users_pb.CreateUserRequest(username=username, password=password, roles=roles)
        return self._users.CreateUser(request, timeout=_PATIENCE).user.id

    def advance(self, by: timedelta) -> None:
        """Moves the clock of the world forward, and that of `clock`.

        What is due by then has happened when it returns, and the verifiers of `verifier` are as fresh as before, unless their
        streams are stalled.
        """
        moved = self._test.AdvanceClock(pb.AdvanceClockRequest(by=_duration(by)), timeout=_PATIENCE)
        self._clock.ahead = timedelta(seconds=moved.ahead.seconds, microseconds=moved.ahead.nanos // 1000)
        # What a verifier knows is old by the new time, until it has asked again.
        latest = time.monotonic() + _FRESH_WITHIN
        while not self._stalled and not all(_is_fresh(verifier) for verifier in self._verifiers):
            if time.monotonic() > latest:
                raise TimeoutError("a verifier did not hear of the world in time")
            time.sleep(0.002)

    def fail(self, method: str, *, reason: str = "", code: int = 0, times: int = 0, delay: timedelta | None = None) -> None:
        """Makes calls of a method fail, or answer late.

        Args:
            method: ``countersign.v1.AuthService/Login``, ``countersign.v1.AuthService/*``, ``*``, or
                ``GET /.well-known/jwks.json``.
            reason: One of the catalogue, as the server itself tells it: ``STORE_UNAVAILABLE``.
            code: A number of ``google.rpc.Code`` without details, as a proxy or a network answers.
            times: How many calls; every one where it is 0.
            delay: How long each waits first, at most a minute.
        """
        request = pb.FailMethodRequest(method=method, times=times)
        if reason:
            request.reason = reason
        elif code:
            request.code = code
        if delay is not None:
            request.delay.CopyFrom(_duration(delay))
        self._test.FailMethod(request, timeout=_PATIENCE)

    def clear_failures(self) -> None:
        """Takes back what `fail` has said."""
        self._test.ClearFailures(pb.ClearFailuresRequest(), timeout=_PATIENCE)

    def stall_streams(self) -> None:
        """Sends nothing more on streams: a verifier that follows the world grows stale."""
        self._test.StallStreams(pb.StallStreamsRequest(), timeout=_PATIENCE)
        self._stalled = True

    def resume_streams(self) -> None:
        """Goes on with them."""
        self._test.ResumeStreams(pb.ResumeStreamsRequest(), timeout=_PATIENCE)
        self._stalled = False

    def end_streams(self) -> None:
        """Ends the streams that are open, as a server does that restarts."""
        self._test.EndStreams(pb.EndStreamsRequest(), timeout=_PATIENCE)

    def reset(self) -> None:
        """Makes the world anew."""
        self._test.ResetWorld(pb.ResetWorldRequest(), timeout=_PATIENCE)
        self._clock.ahead = timedelta()
        self._stalled = False

    def close(self) -> None:
        """Closes the clients and verifiers that it has made, and has the server forget the world."""
        with self._closing:
            self._test.DeleteWorld(pb.DeleteWorldRequest(name=self.name), timeout=_PATIENCE)

    def __enter__(self) -> World:
        """The world itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Closes it."""
        self.close()


def _is_fresh(verifier: Verifier) -> bool:
    staleness = verifier.staleness()
    return staleness is not None and staleness < 1


def _duration(by: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(by)
    return duration

"""Calls of a server, for programs of asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio

from .._client import _text
from .._endpoint import TLS, Endpoint
from .._options import Credential
from .._retry import Attempts, CallError, ClientOptions, error_of
from .._tokens import Tokens, tokens_of
from ..v1 import auth_service_pb2 as pb
from ..v1 import auth_service_pb2_grpc, session_service_pb2_grpc, user_service_pb2_grpc
from ..v1.session_pb2 import Client as ClientFacts

if TYPE_CHECKING:
    from ..v1.auth_service_pb2_grpc import AuthServiceAsyncStub
    from ..v1.session_service_pb2_grpc import SessionServiceAsyncStub
    from ..v1.user_service_pb2_grpc import UserServiceAsyncStub


class Client:
    """Calls a server as `countersign.Client` does, which describes when a call is made again. It belongs to one event loop."""

    def __init__(
        self,
        endpoint: str,
        *,
        tls: TLS | None = None,
        credential: Credential | None = None,
        deadline: float = 10.0,
        attempt_timeout: float = 3.0,
        max_backoff: float = 1.0,
    ) -> None:
        """The arguments are those of `countersign.Client`."""
        self._options = ClientOptions(
            endpoint=Endpoint(endpoint, tls), credential=credential, deadline=deadline, attempt_timeout=attempt_timeout,
            max_backoff=max_backoff,
        )  # fmt: skip
        self._open: _Open | None = None
        self._process = os.getpid()

    def _stubs(self) -> _Open:
        if self._open is None:
            self._open = _Open(self._options)
            self._process = os.getpid()
        elif self._process != os.getpid():
            raise RuntimeError("this client was used before the process was forked: make one in the child")
        return self._open

    @property
    def auth(self) -> AuthServiceAsyncStub:
        """The stub of AuthService, for the calls that have no method of their own here."""
        return self._stubs().auth

    @property
    def users(self) -> UserServiceAsyncStub:
        """The stub of UserService."""
        return self._stubs().users

    @property
    def sessions(self) -> SessionServiceAsyncStub:
        """The stub of SessionService."""
        return self._stubs().sessions

    async def login(
        self, username: str, password: str, *, audiences: Sequence[str] = (), client: ClientFacts | None = None
    ) -> Tokens:
        """Begins a session."""
        request = pb.LoginRequest(username=username, password=password, audiences=audiences, client=client)
        return tokens_of((await self.auth.Login(request)).tokens)

    async def refresh(self, refresh_token: str) -> Tokens:
        """Exchanges a refresh token for the next tokens.

        Where `countersign.session_ended` is true of the error the session is over; on every other error keep the tokens.
        """
        return tokens_of((await self.auth.Refresh(pb.RefreshRequest(refresh_token=refresh_token))).tokens)

    async def logout(self, refresh_token: str, *, everywhere: bool = False) -> str:
        """Ends the session of a refresh token, or every session of its user. Returns the position."""
        answer = await self.auth.Logout(pb.LogoutRequest(refresh_token=refresh_token, everywhere=everywhere))
        return answer.position

    async def change_password(self, refresh_token: str, current: str, new: str) -> tuple[Tokens, str]:
        """Changes the user's own password. Every session ends, and the caller goes on with the tokens that are returned."""
        answer = await self.auth.ChangePassword(
            pb.ChangePasswordRequest(refresh_token=refresh_token, current_password=current, new_password=new)
        )
        return tokens_of(answer.tokens), answer.position

    async def reset_password(self, reset_token: str, new: str) -> str:
        """Sets another password by the token that CreatePasswordReset has made. Returns the position."""
        answer = await self.auth.ResetPassword(pb.ResetPasswordRequest(reset_token=reset_token, new_password=new))
        return answer.position

    async def own_sessions(self, refresh_token: str) -> pb.ListOwnSessionsResponse:
        """The user's own sessions, and which of them this one is."""
        return await self.auth.ListOwnSessions(pb.ListOwnSessionsRequest(refresh_token=refresh_token))

    async def end_own_sessions(self, refresh_token: str, session_ids: Sequence[str]) -> str:
        """Ends some of the user's own sessions. Returns the position."""
        request = pb.RevokeOwnSessionsRequest(refresh_token=refresh_token, session_ids=session_ids)
        return (await self.auth.RevokeOwnSessions(request)).position

    async def end_other_sessions(self, refresh_token: str) -> str:
        """Ends all of the user's own sessions but this one. Returns the position."""
        request = pb.RevokeOwnSessionsRequest(refresh_token=refresh_token, others=True)
        return (await self.auth.RevokeOwnSessions(request)).position

    async def close(self) -> None:
        """Closes the connection."""
        opened, self._open = self._open, None
        if opened is not None and self._process == os.getpid():
            await opened.channel.close()

    async def __aenter__(self) -> Client:
        """Connects when it is used."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the connection."""
        await self.close()


class AioCallError(CallError, grpc.aio.AioRpcError):
    """A `countersign.CallError` that is an error of grpc.aio too, which looks after no others (before 1.85)."""

    def __init__(self, error: CallError) -> None:
        """Says what the other one says."""
        nothing = grpc.aio.Metadata()
        grpc.aio.AioRpcError.__init__(self, error.status, nothing, nothing, details=error.message)
        CallError.__init__(self, *error.args)


class _Open:
    """A channel, and what calls on it."""

    def __init__(self, options: ClientOptions) -> None:
        credentials, retry = options.channel_credentials(), _Retry(options)
        if credentials is None:
            self.channel = grpc.aio.insecure_channel(options.target(), options.channel_options(), interceptors=[retry])
        else:
            self.channel = grpc.aio.secure_channel(
                options.target(), credentials, options.channel_options(), interceptors=[retry]
            )
        # The stubs are the same; what they return is awaited.
        channel = cast("grpc.Channel", self.channel)
        self.auth = cast("AuthServiceAsyncStub", auth_service_pb2_grpc.AuthServiceStub(channel))
        self.users = cast("UserServiceAsyncStub", user_service_pb2_grpc.UserServiceStub(channel))
        self.sessions = cast("SessionServiceAsyncStub", session_service_pb2_grpc.SessionServiceStub(channel))


class _Retry(grpc.aio.UnaryUnaryClientInterceptor):
    """Bounds each call, and makes it again where that is safe and helps."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        given = client_call_details
        attempts = Attempts(request, self._options, given.timeout)
        while True:
            metadata = grpc.aio.Metadata(*(given.metadata or ()), *self._options.authorization(_text(given.method)))
            call = await continuation(attempts.details(given, metadata), attempts.request)
            try:
                return await call
            except grpc.RpcError as failure:
                error = error_of(failure)
                pause = attempts.pause(error)
                if pause is None:
                    raise AioCallError(error) from failure
            await asyncio.sleep(pause)

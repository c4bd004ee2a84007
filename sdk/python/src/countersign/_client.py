"""Calls of a server, for programs of threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import grpc

from ._endpoint import TLS, Endpoint
from ._options import Credential
from ._retry import Attempts, CallError, ClientOptions, error_of, session_ended
from ._tokens import Tokens, tokens_of
from .v1 import auth_service_pb2 as pb
from .v1.auth_service_pb2_grpc import AuthServiceStub
from .v1.session_pb2 import Client as ClientFacts
from .v1.session_service_pb2_grpc import SessionServiceStub
from .v1.user_service_pb2_grpc import UserServiceStub

__all__ = ["CallError", "Client", "Tokens", "session_ended"]


class Client:
    """Calls a server: logs in, refreshes, logs out, and manages users and sessions. Any thread may call.

    Each call has a deadline and is made again where that is safe and helps:

    - after UNAVAILABLE (REFRESH_IN_PROGRESS and STORE_UNAVAILABLE are among it) and after an attempt that was not answered in
      time. Whatever became of the first attempt, the second gets the answer that the first would have had.
    - after LOGIN_OVERLOADED and SERVER_OVERLOADED, where the server says that it has not begun.

    `login`, `change_password`, `reset_password`, DeleteUser, and UpdateUser with an etag are sent once the server is reached,
    may take as long as the deadline, and are made again only where the server says that it has not begun: the second answer
    would be another one, and a second login would begin a second session. CreateUser gets a request id where it names neither
    that nor the user's id, so that it can be made again.

    Pauses double, are drawn at random, and are as long as the server asks for where it does. No other answer is tried again:
    it is raised as a `CallError`.

    It connects when it is used. A process that has used it must not be forked into one that uses gRPC; a client that was made
    and not used before the fork works in the child.
    """

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
        """Durations are in seconds. Raises ValueError and OSError that say what is wrong with the arguments.

        Args:
            endpoint: The server's gRPC address: ``https://host:port``, or ``http://host:port`` without TLS.
            tls: Which certificates to use with https. The default trusts the authorities that gRPC brings.
            credential: The access token of a user, or the key of a service account, that goes with each call to `users` and
                `sessions`, which are closed without one; or what returns it, for each attempt.
            deadline: How long all attempts of a call may take together, pauses included.
            attempt_timeout: How long one attempt may take, which is longer than the server takes over a refresh.
            max_backoff: The longest pause between two attempts where the server does not say how long to wait.
        """
        self._options = ClientOptions(
            endpoint=Endpoint(endpoint, tls), credential=credential, deadline=deadline, attempt_timeout=attempt_timeout,
            max_backoff=max_backoff,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._open: _Open | None = None
        self._process = os.getpid()

    def _stubs(self) -> _Open:
        process = os.getpid()
        with self._lock:
            if self._open is None:
                self._open = _Open(self._options)
                self._process = process
            elif self._process != process:
                # Its calls could hang without end, whatever their deadline.
                raise RuntimeError("this client was used before the process was forked: make one in the child")
            return self._open

    @property
    def auth(self) -> AuthServiceStub:
        """The stub of AuthService, for the calls that have no method of their own here."""
        return self._stubs().auth

    @property
    def users(self) -> UserServiceStub:
        """The stub of UserService."""
        return self._stubs().users

    @property
    def sessions(self) -> SessionServiceStub:
        """The stub of SessionService."""
        return self._stubs().sessions

    def login(
        self, username: str, password: str, *, audiences: Sequence[str] = (), client: ClientFacts | None = None
    ) -> Tokens:
        """Begins a session.

        The access token is for ``audiences``, or for the server's default. ``client`` (`countersign.v1.session_pb2.Client`)
        says what kind of client it is.
        """
        request = pb.LoginRequest(username=username, password=password, audiences=audiences, client=client)
        return tokens_of(self.auth.Login(request).tokens)

    def refresh(self, refresh_token: str) -> Tokens:
        """Exchanges a refresh token for the next tokens.

        Where `session_ended` is true of the error the session is over; on every other error keep the tokens.
        """
        return tokens_of(self.auth.Refresh(pb.RefreshRequest(refresh_token=refresh_token)).tokens)

    def logout(self, refresh_token: str, *, everywhere: bool = False) -> str:
        """Ends the session of a refresh token, or every session of its user.

        When it returns, the end is durable. It returns the position for `Verifier.verify_at_least`; empty where there is none.
        """
        return self.auth.Logout(pb.LogoutRequest(refresh_token=refresh_token, everywhere=everywhere)).position

    def change_password(self, refresh_token: str, current: str, new: str) -> tuple[Tokens, str]:
        """Changes the user's own password.

        Every session ends, and the caller goes on with the tokens that are returned, with the position.
        """
        answer = self.auth.ChangePassword(
            pb.ChangePasswordRequest(refresh_token=refresh_token, current_password=current, new_password=new)
        )
        return tokens_of(answer.tokens), answer.position

    def reset_password(self, reset_token: str, new: str) -> str:
        """Sets another password by the token that CreatePasswordReset has made. Returns the position."""
        return self.auth.ResetPassword(pb.ResetPasswordRequest(reset_token=reset_token, new_password=new)).position

    def own_sessions(self, refresh_token: str) -> pb.ListOwnSessionsResponse:
        """The user's own sessions, and which of them this one is."""
        return self.auth.ListOwnSessions(pb.ListOwnSessionsRequest(refresh_token=refresh_token))

    def end_own_sessions(self, refresh_token: str, session_ids: Sequence[str]) -> str:
        """Ends some of the user's own sessions. Returns the position."""
        request = pb.RevokeOwnSessionsRequest(refresh_token=refresh_token, session_ids=session_ids)
        return self.auth.RevokeOwnSessions(request).position

    def end_other_sessions(self, refresh_token: str) -> str:
        """Ends all of the user's own sessions but this one. Returns the position."""
        return self.auth.RevokeOwnSessions(pb.RevokeOwnSessionsRequest(refresh_token=refresh_token, others=True)).position

    def close(self) -> None:
        """Closes the connection."""
        with self._lock:
            opened, self._open = self._open, None
        if opened is not None and self._process == os.getpid():
            opened.channel.close()

    def __enter__(self) -> Client:
        """Connects when it is used."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Closes the connection."""
        self.close()


class _Open:
    """A channel, and what calls on it."""

    def __init__(self, options: ClientOptions) -> None:
        credentials = options.channel_credentials()
        if credentials is None:
            self.channel = grpc.insecure_channel(options.target(), options.channel_options())
        else:
            self.channel = grpc.secure_channel(options.target(), credentials, options.channel_options())
        intercepted = grpc.intercept_channel(self.channel, _Retry(options))
        self.auth = AuthServiceStub(intercepted)
        self.users = UserServiceStub(intercepted)
        self.sessions = SessionServiceStub(intercepted)


class _Retry(grpc.UnaryUnaryClientInterceptor):
    """Bounds each call, and makes it again where that is safe and helps."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        given = client_call_details
        attempts = Attempts(request, self._options, given.timeout)
        while True:
            metadata = (*(given.metadata or ()), *self._options.authorization(_text(given.method)))
            call = continuation(attempts.details(given, metadata), attempts.request)
            failure = call.exception()
            if failure is None:
                return call
            error = error_of(failure)
            pause = attempts.pause(error)
            if pause is None:
                raise error from failure
            time.sleep(pause)


def _text(method: Any) -> str:
    return method.decode() if isinstance(method, bytes) else str(method)

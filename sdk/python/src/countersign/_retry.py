"""Which calls are made again, and when."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc

from ._endpoint import Endpoint
from ._errors import CountersignError, ErrorDetails, parse_details
from ._options import Credential, credential_text
from ._pauses import Pauses
from .v1 import auth_service_pb2, user_service_pb2

_DETAILS = "grpc-status-details-bin"

# A second answer would be another one.
_ONCE = (
    auth_service_pb2.LoginRequest,
    auth_service_pb2.ChangePasswordRequest,
    auth_service_pb2.ResetPasswordRequest,
    user_service_pb2.DeleteUserRequest,
)

_ADMINISTRATIVE = ("/countersign.v1.UserService/", "/countersign.v1.SessionService/")


class CallError(CountersignError, grpc.RpcError):
    """A call failed. It is an error of gRPC too."""

    def __init__(self, status: grpc.StatusCode, details: ErrorDetails) -> None:
        """Takes what the server says, or gRPC where the server was not reached."""
        # Not super: what is between this class and Exception takes other arguments in the one for asyncio.
        Exception.__init__(self, status, details)
        self.status = status
        """The canonical code of gRPC."""
        self.reason = details.reason
        """The error's name in the catalogue of reasons (docs/errors.md); empty where it does not come from the server."""
        self.cause = details.cause
        """What ended the session, where the reason is SESSION_REVOKED: LOGGED_OUT, PASSWORD_CHANGED and so on."""
        self.retry_after = details.retry_after
        """How many seconds the server asks to wait."""
        self.message = details.message
        """What it says to people."""

    def __str__(self) -> str:
        """The code, the reason and the message."""
        return f"{self.status.name} {self.reason}: {self.message}".replace(" :", ":")

    def __reduce__(self) -> tuple[type[CallError], tuple[object, ...]]:
        """It can be handed to another process."""
        return CallError, self.args

    def code(self) -> grpc.StatusCode:
        """As other errors of gRPC have it."""
        return self.status

    def details(self) -> str:
        """As other errors of gRPC have it."""
        return self.message


def session_ended(error: BaseException) -> bool:
    """Whether an error of a refresh means that the session is over: forget its tokens and let the user log in.

    On every other error keep them.
    """
    return isinstance(error, CallError) and error.reason in (
        "REFRESH_TOKEN_INVALID",
        "REFRESH_TOKEN_EXPIRED",
        "REFRESH_TOKEN_REUSED",
        "SESSION_REVOKED",
    )


def error_of(error: Any) -> CallError:
    """Reads an error of grpc or grpc.aio."""
    if isinstance(error, CallError):
        return error
    # Not a dict of it: grpc.aio has metadata that are a mapping of another kind.
    details = next((value for name, value in error.trailing_metadata() or () if name == _DETAILS), None)
    return CallError(error.code(), parse_details(error.details() or "", details))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """The arguments of a client, which describes them."""

    endpoint: Endpoint
    credential: Credential | None
    deadline: float
    attempt_timeout: float
    max_backoff: float

    def __post_init__(self) -> None:
        """Raises ValueError that says what is wrong."""
        for name in ("deadline", "attempt_timeout", "max_backoff"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is not a positive number of seconds")

    def target(self) -> str:
        """The endpoint as gRPC has it."""
        return self.endpoint.target

    def channel_options(self) -> list[tuple[str, Any]]:
        """Bounds what gRPC does by itself."""
        options: list[tuple[str, Any]] = [
            ("grpc.enable_retries", 0),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", int(self.max_backoff * 1000)),
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", int(self.attempt_timeout * 1000)),
            ("grpc.service_config_disable_resolution", 1),
        ]
        if self.endpoint.is_local:
            options.append(("grpc.default_authority", self.endpoint.authority))
        tls = self.endpoint.tls
        if tls is not None and tls.server_name is not None:
            options.append(("grpc.ssl_target_name_override", tls.server_name))
        return options

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Reads the files. None without TLS. Raises OSError and ValueError."""
        tls = self.endpoint.tls
        if tls is None:
            return None
        return grpc.ssl_channel_credentials(tls.read(tls.ca_file), tls.read(tls.key_file), tls.read(tls.cert_file))

    def authorization(self, method: str) -> tuple[tuple[str, str], ...]:
        """What goes with a call of a method that is closed without it."""
        if self.credential is None or not method.startswith(_ADMINISTRATIVE):
            return ()
        return (("authorization", f"Bearer {credential_text(self.credential)}"),)


class CallDetails(NamedTuple):
    """One attempt, as gRPC wants to know of it."""

    method: str
    timeout: float
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any = None


class Attempts:
    """The attempts of one call: how long each may take, whether there is another, and after which pause."""

    def __init__(self, request: Any, options: ClientOptions, timeout: float | None) -> None:
        """``timeout`` is what the caller of this one call has asked for."""
        self.request = _repeatable(request)
        deadline = options.deadline if timeout is None else min(options.deadline, timeout)
        self._until = time.monotonic() + deadline
        self._attempt_timeout = options.attempt_timeout
        self._pauses = Pauses(options.max_backoff)

    def details(self, given: Any, metadata: Any) -> CallDetails:
        """The next attempt at a call.

        One that must not be sent twice is sent once the server is reached, and may take as long as there is time.
        """
        left = max(self._until - time.monotonic(), 0.001)
        if _has_one_answer(self.request):
            timeout, wait_for_ready = min(self._attempt_timeout, left), given.wait_for_ready
        else:
            timeout, wait_for_ready = left, True
        return CallDetails(given.method, timeout, metadata, given.credentials, wait_for_ready)

    def pause(self, error: CallError) -> float | None:
        """How long to wait before the call is made again; None where it must not be, or that cannot help, or is too late."""
        if not self._may_repeat(error):
            return None
        # Never earlier than the server asks for, and not all clients at once.
        asked = (error.retry_after or 0.0) * random.uniform(1.0, 1.2)
        pause = max(asked, self._pauses.draw())
        return pause if pause < self._until - time.monotonic() else None

    def _may_repeat(self, error: CallError) -> bool:
        if error.reason in ("LOGIN_OVERLOADED", "SERVER_OVERLOADED"):
            return True  # the server has not begun
        if error.status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            return _has_one_answer(self.request)
        return False


def _has_one_answer(request: Any) -> bool:
    """Whether the same request is answered alike when it comes a second time."""
    if isinstance(request, user_service_pb2.UpdateUserRequest):
        return not request.etag
    return not isinstance(request, _ONCE)


def _repeatable(request: Any) -> Any:
    """Gives a CreateUser that names neither a request id nor a user id a request id."""
    if isinstance(request, user_service_pb2.CreateUserRequest) and not request.request_id and not request.user_id:
        copy = user_service_pb2.CreateUserRequest()
        copy.CopyFrom(request)
        copy.request_id = uuid.uuid4().hex
        return copy
    return request

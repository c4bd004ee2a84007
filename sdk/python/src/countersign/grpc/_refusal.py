"""What both kinds of interceptor have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import grpc

from .._context import bearer_token
from .._errors import RETRY_AFTER, InvalidTokenError, MissingTokenError, TokenError, UnknownTokenError, make_details

Open = Callable[[str], bool]
Metadata = Iterable[tuple[str, "str | bytes"]]

_DETAILS = "grpc-status-details-bin"


class Refusal(NamedTuple):
    """The status that a call is answered with."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


def refusal_of(error: TokenError) -> Refusal:
    """UNAUTHENTICATED, or UNAVAILABLE where nothing can be known, with the reason in google.rpc.ErrorInfo."""
    code, retry_after = grpc.StatusCode.UNAUTHENTICATED, None
    if isinstance(error, UnknownTokenError):
        code, retry_after = grpc.StatusCode.UNAVAILABLE, RETRY_AFTER
        message = "It cannot be told whether the access token is still good."
    elif isinstance(error, InvalidTokenError):
        message = "The access token is not accepted."
    else:
        message = "No access token."
    number: int = code.value[0]
    return Refusal(code, message, ((_DETAILS, make_details(number, message, error.reason, retry_after)),))


def presented(metadata: Metadata | None) -> str:
    """The token in ``authorization: Bearer``. Raises MissingTokenError."""
    values = [str(value) for name, value in metadata or () if name == "authorization"]
    token = bearer_token(values)
    if token is None:
        raise MissingTokenError
    return token


def replaced(handler: grpc.RpcMethodHandler[Any, Any], behaviour: Callable[..., Any]) -> grpc.RpcMethodHandler[Any, Any]:
    """The same handler with another behaviour."""
    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    made: grpc.RpcMethodHandler[Any, Any] = make(behaviour, handler.request_deserializer, handler.response_serializer)
    return made


def behaviour_of(handler: grpc.RpcMethodHandler[Any, Any]) -> Callable[..., Any]:
    """The one behaviour that a handler has."""
    behaviour: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    made: Callable[..., Any] = behaviour
    return made

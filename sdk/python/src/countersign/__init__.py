"""Verifies access tokens of a Countersign server in your own process.

No call for each request, and a token is still refused at once after a logout: a `Verifier` follows the server, which pushes
keys and revocations to it as they happen. It proves with its own pings how old its knowledge is, and past a bound acts by a
policy that you choose. `countersign.aio` has the same for asyncio, `countersign.asgi`, `countersign.wsgi`,
`countersign.flask`, `countersign.django` and `countersign.grpc` put it before a service. A `Client` logs in, refreshes, logs
out and manages users and sessions. `countersign.v1` has the generated stubs of the whole contract.
"""

from typing import TYPE_CHECKING, Any

from ._clock import Clock, SystemClock
from ._context import bearer_token, current_token, token_in_context
from ._endpoint import TLS
from ._errors import CountersignError, InvalidTokenError, MissingTokenError, TokenError, UnknownTokenError
from ._options import OnStale
from ._token import InvalidReason, Revocation, Token
from ._verifier import Verifier
from ._watch import Watch

if TYPE_CHECKING:
    from ._client import CallError, Client, Tokens, session_ended

__all__ = [
    "TLS",
    "CallError",
    "Client",
    "Clock",
    "CountersignError",
    "InvalidReason",
    "InvalidTokenError",
    "MissingTokenError",
    "OnStale",
    "Revocation",
    "SystemClock",
    "Token",
    "TokenError",
    "Tokens",
    "UnknownTokenError",
    "Verifier",
    "Watch",
    "bearer_token",
    "current_token",
    "session_ended",
    "token_in_context",
]


def __getattr__(name: str) -> Any:
    # Only those who call need grpcio.
    if name in ("CallError", "Client", "Tokens", "session_ended"):
        from . import _client

        return getattr(_client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

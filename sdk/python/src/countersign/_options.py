"""How a verifier behaves."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Union

from ._clock import Clock
from ._endpoint import TLS

Credential = Union[str, Callable[[], str]]

_MOST_TOKENS = 1 << 24


class OnStale(enum.Enum):
    """What to answer when the view of revocations is older than it may be."""

    FAIL_CLOSED = "fail_closed"
    """Nothing: it cannot be known whether a token is still good. ``verify`` raises UnknownTokenError."""
    ASK_SERVER = "ask_server"
    """Ask the server for each token."""
    SERVE = "serve"
    """Go on with what is known: a revoked token may be accepted until the server can be heard again. A view that was never
    loaded is not served from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The arguments of a verifier, which describes them."""

    endpoint: str
    issuer: str
    audiences: Sequence[str]
    tls: TLS | None
    credential: Credential | None
    max_staleness: float
    on_stale: OnStale
    ping_interval: float
    patience: float
    max_backoff: float
    ask_timeout: float
    leeway: float
    cached_tokens: int
    clock: Clock

    def __post_init__(self) -> None:
        """Raises ValueError that says what is wrong."""
        if not self.issuer:
            raise ValueError("issuer is empty")
        if isinstance(self.audiences, str):
            raise ValueError("audiences is a text, and not a sequence of texts")
        if not self.audiences or "" in self.audiences:
            raise ValueError("audiences is empty, or has an empty one: no token could be accepted")
        if not isinstance(self.on_stale, OnStale):
            raise ValueError(f"on_stale is {self.on_stale!r}, which is no policy")
        for name in ("max_staleness", "ping_interval", "patience", "max_backoff", "ask_timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is not a positive number of seconds")
        if not 0 <= self.leeway < float("inf"):
            raise ValueError("leeway is negative")
        if not 0 <= self.cached_tokens <= _MOST_TOKENS:
            raise ValueError(f"cached_tokens is not 0 to {_MOST_TOKENS}")

    def credential_text(self) -> str | None:
        """The credential as it is now. Raises ValueError, and what the caller's function raises."""
        return credential_text(self.credential)


def credential_text(credential: Credential | None) -> str | None:
    """A credential as it is now, without the line break that ends a file."""
    if credential is None:
        return None
    text = (credential() if callable(credential) else credential).strip()
    if not text or not all("!" <= character <= "~" for character in text):
        raise ValueError("the credential is empty, or has characters that none has")
    return text

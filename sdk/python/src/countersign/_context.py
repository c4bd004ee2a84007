"""Who is calling, in a handler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ._token import Token

_current: ContextVar[Token | None] = ContextVar("countersign_token", default=None)


def current_token() -> Token | None:
    """Who is calling, in a handler behind the middleware of this package."""
    return _current.get()


@contextmanager
def token_in_context(token: Token | None) -> Iterator[None]:
    """Says who is calling. The middleware does it; tests of handlers can too."""
    before = _current.set(token)
    try:
        yield
    finally:
        _current.reset(before)


def bearer_token(authorization: list[str]) -> str | None:
    """The token of an Authorization header (RFC 6750 section 2.1), given every value of it.

    None when the header is missing, is there twice, or says something else.
    """
    if len(authorization) != 1:
        return None
    scheme, _, token = authorization[0].partition(" ")
    return token.strip(" ") or None if scheme.isascii() and scheme.lower() == "bearer" else None

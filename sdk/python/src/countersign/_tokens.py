"""What a client holds of a session."""

from __future__ import annotations

from dataclasses import dataclass, field

from .v1 import tokens_pb2


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client holds of a session. It shows no token where it is printed or logged."""

    access_token: str = field(repr=False)
    """Goes with each request, as ``Authorization: Bearer …``."""
    refresh_token: str = field(repr=False)
    """Goes to `refresh` and `logout`, and nowhere else. Keep it until the next one has arrived, whatever else happens."""
    expires_in: int
    """For how many seconds the access token is accepted from when the answer arrived."""
    refresh_expires_at: int
    """When the refresh token is refused unless it was used before, by the server's clock; seconds since 1970."""


def tokens_of(message: tokens_pb2.Tokens) -> Tokens:
    """Reads the server's answer."""
    return Tokens(message.access_token, message.refresh_token, message.expires_in, message.refresh_expires_at.seconds)

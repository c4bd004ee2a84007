"""Who is calling, and why a token is refused."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


class InvalidReason(str, enum.Enum):
    """Why an access token is not accepted. The names are those that VerifyAccessToken publishes.

    A token with several defects has the reason of the first check that fails.
    """

    EXPIRED = "EXPIRED"
    """``exp`` has come. Refresh."""
    NOT_YET_VALID = "NOT_YET_VALID"
    """``iat`` or ``nbf`` lies further ahead than two machines' clocks may differ."""
    MALFORMED = "MALFORMED"
    """It is not a token that Countersign could have made. A refresh token is this."""
    BAD_SIGNATURE = "BAD_SIGNATURE"
    """The key that ``kid`` names did not sign it, or ``alg`` is not that key's algorithm."""
    UNKNOWN_KEY = "UNKNOWN_KEY"
    """It names no key that is trusted."""
    WRONG_AUDIENCE = "WRONG_AUDIENCE"
    """It is meant for other services."""
    WRONG_ISSUER = "WRONG_ISSUER"
    """Another issuer made it."""
    WRONG_TYPE = "WRONG_TYPE"
    """Its ``typ`` does not say that it is an access token (RFC 9068)."""
    REVOKED = "REVOKED"
    """Its session, or every session of its user, was revoked."""


@dataclass(frozen=True, slots=True)
class Token:
    """Who is calling: an access token that passed every check.

    It is shared between requests, so what is in ``custom_claims`` must not be changed. Times are whole seconds since 1970.
    """

    subject: str
    """The id of the user or the service account, a UUID (claim ``sub``)."""
    username: str
    """The subject's name when the token was made."""
    external_id: str | None
    """What the user is called in another system (claim ``ext``), where that is known."""
    session_id: str
    """The session that the token belongs to (claim ``sid``)."""
    roles: tuple[str, ...]
    """What the user may do."""
    audiences: tuple[str, ...]
    """The services that the token is meant for. One of those that were expected is among them."""
    token_id: str
    """The token's own name (claim ``jti``)."""
    issued_at: int
    """When the token was made."""
    expires_at: int
    """The first moment at which the token is not accepted any more."""
    auth_time: int
    """When the user last proved who they are."""
    amr: tuple[str, ...]
    """How they proved it (RFC 8176)."""
    epoch: int
    """The user's epoch that the session began in. Every revocation of all sessions of a user raises it."""
    session_expires_at: int
    """When the session ends whatever happens."""
    custom_claims: Mapping[str, Any]
    """The operator's own claims."""
    subject_kind: Literal["user", "service"] = "user"
    """Whether the subject is a user or a service account (RFC 6749 section 4.4). Whoever expects a person must look here."""

    def has_role(self, role: str) -> bool:
        """Whether ``role`` is one of the token's roles."""
        return role in self.roles


@dataclass(frozen=True, slots=True)
class Revocation:
    """Something that is refused from now on: one session, or all sessions of a user up to an epoch."""

    session_id: str | None = None
    """The session that has ended, as in `Token.session_id`."""
    subject: str | None = None
    """The user whose sessions have ended, as in `Token.subject`."""
    epoch: int = 0
    """The smallest `Token.epoch` of the subject that is still accepted."""

    def covers(self, token: Token) -> bool:
        """Whether it refuses the token."""
        if self.session_id is not None:
            return self.session_id == token.session_id
        return self.subject == token.subject and token.epoch < self.epoch

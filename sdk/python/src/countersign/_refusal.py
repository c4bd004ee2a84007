"""How a request is answered that is not let in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

from ._errors import RETRY_AFTER, InvalidTokenError, MissingTokenError, TokenError


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer over HTTP, as the server's own edge gives it: a problem (RFC 9457) with the reason."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status_line(self) -> str:
        """The status as WSGI has it."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"


def refusal_of(error: TokenError) -> Refusal:
    """401 with WWW-Authenticate (RFC 6750), or 503 with Retry-After where nothing can be known about the token."""
    if isinstance(error, MissingTokenError):
        return _problem(HTTPStatus.UNAUTHORIZED, error.reason, ("WWW-Authenticate", "Bearer"))
    if isinstance(error, InvalidTokenError):
        return _problem(HTTPStatus.UNAUTHORIZED, error.reason, ("WWW-Authenticate", 'Bearer error="invalid_token"'))
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, error.reason, ("Retry-After", str(RETRY_AFTER)))


def role_required() -> Refusal:
    """403 for a caller without a role."""
    return _problem(HTTPStatus.FORBIDDEN, "ROLE_REQUIRED")


def _problem(status: HTTPStatus, reason: str, *headers: tuple[str, str]) -> Refusal:
    problem = {"type": "about:blank", "title": status.phrase, "status": int(status), "reason": reason}
    body = json.dumps(problem).encode()
    common = (
        ("Content-Type", "application/problem+json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"),
    )  # fmt: skip
    return Refusal(int(status), (*common, *headers), body)

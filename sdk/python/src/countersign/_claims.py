"""What an authentic token says."""

from __future__ import annotations

import uuid
from types import MappingProxyType
from typing import Any

from ._json import parse_object
from ._jws import decode_part, encode_part
from ._token import Token

# The largest integer that every reader of JSON sees alike.
_LARGEST_EXACT = 1 << 53
_LARGEST_COUNTER = (1 << 64) - 1


class Claims:
    """An authentic token: what it says, and the same in the form of the checks that are made each time."""

    __slots__ = (
        "audiences",
        "expires_at",
        "issued_at",
        "issuer",
        "not_before",
        "session",
        "subject",
        "token",
        "withdrawals",
    )

    def __init__(
        self, issuer: str, token: Token, subject: bytes, session: bytes, not_before: int, withdrawals: int = 0
    ) -> None:
        self.issuer = issuer
        self.token = token
        self.audiences = frozenset(token.audiences)
        # Milliseconds since 1970.
        self.issued_at = token.issued_at * 1000
        self.expires_at = token.expires_at * 1000
        self.not_before = not_before * 1000
        self.subject = subject
        self.session = session
        # That of the key set that the token was verified with.
        self.withdrawals = withdrawals


def parse_claims(payload: bytes) -> Claims | None:
    """Reads the payload of a token strictly.

    Every claim but nbf, ext and client_id must be there and of its one type (RFC 9068 section 2.2).
    """
    members = parse_object(payload)
    if members is None:
        return None
    try:
        issuer = _text(members.pop("iss"))
        subject = _text(members.pop("sub"))
        # A service account is its own client, and nobody else has one (RFC 9068 section 2.2).
        is_service = "client_id" in members
        if is_service and members.pop("client_id") != subject:
            return None
        audiences = _audiences(members.pop("aud"))
        expires_at = _date(members.pop("exp"))
        issued_at = _date(members.pop("iat"))
        not_before = _date(members.pop("nbf", 0))
        token_id = _text(members.pop("jti"))
        session = _text(members.pop("sid"))
        username = _text(members.pop("username"))
        external_id = _text(members.pop("ext")) if "ext" in members else None
        roles = _texts(members.pop("roles"))
        auth_time = _date(members.pop("auth_time"))
        amr = _texts(members.pop("amr"))
        epoch = _counter(members.pop("epoch"))
        session_expires_at = _date(members.pop("sxp"))
        user_id, session_id = parse_user_id(subject), parse_session_id(session)
    except (KeyError, ValueError):
        return None
    token = Token(
        subject=subject,
        username=username,
        external_id=external_id,
        session_id=session,
        roles=roles,
        audiences=audiences,
        token_id=token_id,
        issued_at=issued_at,
        expires_at=expires_at,
        auth_time=auth_time,
        amr=amr,
        epoch=epoch,
        session_expires_at=session_expires_at,
        custom_claims=MappingProxyType(members),
        subject_kind="service" if is_service else "user",
    )
    return Claims(issuer, token, user_id, session_id, not_before)


def _text(value: Any) -> str:
    """A string that says something and has no control characters.

    A NUL would cut it short in whatever is written in C behind us.
    """
    if not isinstance(value, str) or not value or any(c < " " or "\x7f" <= c <= "\x9f" for c in value):
        raise ValueError("no plain text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("no array")
    return tuple(_text(item) for item in value)


def _audiences(value: Any) -> tuple[str, ...]:
    """One string or an array of them (RFC 7519 section 4.1.3), and never none."""
    audiences = (_text(value),) if isinstance(value, str) else _texts(value)
    if not audiences:
        raise ValueError("no audience")
    return audiences


def _date(value: Any) -> int:
    """A NumericDate (RFC 7519 section 2): an integer, not before 1970, and exact in a float."""
    # A bool is an int to Python.
    if type(value) is not int or not 0 <= value <= _LARGEST_EXACT:
        raise ValueError("no date")
    return value


def _counter(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST_COUNTER:
        raise ValueError("no counter")
    return value


def parse_user_id(text: str) -> bytes:
    """Reads a UUID in its canonical form alone, so that one user has one spelling. Raises ValueError."""
    user = uuid.UUID(text)
    if str(user) != text:
        raise ValueError("not in its canonical form")
    return user.bytes


def format_user_id(user: bytes) -> str:
    """Writes the 16 bytes of a UUID."""
    return str(uuid.UUID(bytes=user))


def parse_session_id(text: str) -> bytes:
    """Reads 22 characters of base64url. Raises ValueError."""
    session = decode_part(text.encode("utf-8"))
    if session is None or len(session) != 16:
        raise ValueError("no session")
    return session


def format_session_id(session: bytes) -> str:
    """Writes the 16 bytes of a session's id."""
    return encode_part(session).decode("ascii")

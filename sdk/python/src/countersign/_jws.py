"""A token in compact serialization (RFC 7515), taken apart."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from ._json import parse_object

# Header parameters that bring a key of their own or change what the bytes mean: crit (RFC 7515 section 4.1.11), b64
# (RFC 7797), zip and enc (RFC 7516), cty (a nested JWT, RFC 7519 section 5.2), and the ways to say "verify me with this"
# (RFC 7515 sections 4.1.2 to 4.1.8). No token of Countersign has one. What is in them is never looked at.
FORBIDDEN = ("crit", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "b64", "zip", "enc", "cty")


@dataclass(frozen=True, slots=True)
class Jws:
    """A token that is not trusted yet."""

    is_access_token: bool
    alg: str
    """Good for one comparison with the algorithm of the key, and for nothing else."""
    kid: str | None
    has_forbidden: bool
    payload: bytes
    """Must not be read before the signature was verified."""
    signing_input: bytes
    """The first two parts as they were sent: what the signature covers."""
    signature: bytes


def parse_jws(token: str, max_bytes: int) -> Jws | None:
    """Takes a token apart: at most ``max_bytes``, exactly three parts, none of them empty, each in its one spelling."""
    if len(token) > max_bytes or not token.isascii():
        return None
    parts = token.encode("ascii").split(b".")
    if len(parts) != 3:
        return None
    header = decode_part(parts[0])
    if header is None:
        return None
    members = parse_object(header)
    if members is None:
        return None
    payload, signature = decode_part(parts[1]), decode_part(parts[2])
    if payload is None or signature is None:
        return None
    typ, alg, kid = members.get("typ", ""), members.get("alg"), members.get("kid", "")
    if not (isinstance(typ, str) and isinstance(alg, str) and isinstance(kid, str)):
        return None
    return Jws(
        is_access_token=_is_access_token(typ),
        alg=alg,
        kid=kid if "kid" in members else None,
        has_forbidden=_has_forbidden(members),
        payload=payload,
        signing_input=parts[0] + b"." + parts[1],
        signature=signature,
    )


def decode_part(part: bytes) -> bytes | None:
    """Decodes base64url without padding, in the one spelling that its bytes have.

    The standard library skips what is not of the alphabet, so what was decoded is encoded again and compared.
    """
    if not part:
        return None
    try:
        decoded = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except ValueError:
        return None
    return decoded if encode_part(decoded) == part else None


def encode_part(data: bytes) -> bytes:
    """Encodes base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _is_access_token(typ: str) -> bool:
    """Whether ``typ`` says that it is an access token.

    It is a media type, hence without regard to case and with application/ understood where it is left out (RFC 7515 section
    4.1.9, RFC 9068 section 4). Only of ASCII: str.lower would also take the Kelvin sign for a k.
    """
    return typ.isascii() and typ.lower() in ("at+jwt", "application/at+jwt")


def _has_forbidden(members: dict[str, Any]) -> bool:
    return any(name in members for name in FORBIDDEN)

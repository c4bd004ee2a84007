"""What several tests need."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from countersign._claims import format_session_id, format_user_id
from countersign._key import PublicKey
from countersign._rules import Engine

PATIENCE = 30.0
"""How many seconds a test waits for what must happen."""

ISSUER = "https://auth.example"
AUDIENCE = "orders"
NOW = 1_700_000_000

CORPUS = Path(os.environ.get("COUNTERSIGN_CORPUS") or Path(__file__).parents[2] / "conformance")
NEVER = 1 << 62


def read_lines(name: str) -> list[dict[str, Any]]:
    """Reads a file of the corpus, which lies beside this package in Countersign's repository."""
    if not (CORPUS / name).exists():
        pytest.skip("SKIPPED: the corpus is in Countersign's repository", allow_module_level=True)
    # Not splitlines, which also splits at what is in a text.
    return [json.loads(line) for line in (CORPUS / name).read_text(encoding="utf-8").split("\n") if line]


def skip(what: str) -> None:
    """Skips a test for want of a component, and fails under CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"SKIPPED: {what} is missing")


def until(what: str, holds: Callable[[], object]) -> None:
    """Asks again and again whether something holds, and fails when that takes far too long."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.001)


class TestClock:
    """Moves only when it is told to."""

    __test__ = False

    def __init__(self, wall: int | None = None) -> None:
        self._wall = time.time_ns() // 1_000_000 if wall is None else wall
        self._monotonic = 300 * 1_000_000_000

    def wall(self) -> int:
        return self._wall

    def monotonic(self) -> int:
        return self._monotonic

    def advance(self, milliseconds: int) -> None:
        self._wall += milliseconds
        self._monotonic += milliseconds * 1_000_000

    def step_wall(self, milliseconds: int) -> None:
        self._wall += milliseconds


class Signer:
    """Makes tokens of its own."""

    def __init__(self, kid: str = "k1") -> None:
        self.private = Ed25519PrivateKey.generate()
        spki = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.key = PublicKey(kid, "EdDSA", spki)

    def token(self, session: int = 1, now: int = NOW, **changed: Any) -> str:
        """One that is good at ``now`` (seconds) for a quarter of an hour, but for these claims."""
        claims = {
            "iss": ISSUER, "sub": user(0x42), "aud": [AUDIENCE], "exp": now + 900, "iat": now,
            "jti": "AAAAAAAAAAAAAAAAAAAAAA", "sid": format_session_id(id_of(session)), "username": "ada",
            "roles": ["admin"], "auth_time": now, "amr": ["pwd"], "epoch": 3, "sxp": now + 86_400,
        } | changed  # fmt: skip
        return self.sign(json.dumps({"typ": "at+jwt", "alg": "EdDSA", "kid": self.key.id}), json.dumps(claims))

    def sign(self, header: str, payload: str) -> str:
        """Signs whatever it is."""
        text = ".".join(_base64(part.encode()) for part in (header, payload))
        return f"{text}.{_base64(self.private.sign(text.encode()))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def id_of(number: int) -> bytes:
    return bytes([number]) + bytes(15)


def user(number: int) -> str:
    return format_user_id(id_of(number))


def engine(*signers: Signer, cached: int = 64, issuer: str = ISSUER, audiences: Iterable[str] = (AUDIENCE,)) -> Engine:
    """Trusts the signers, and remembers so many tokens."""
    made = Engine(issuer, tuple(audiences), 5000, cached)
    made.keys = made.keys.replaced_by([signer.key for signer in signers])
    return made


def plain(value: Any) -> Any:
    """Without the types that JSON has not."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value

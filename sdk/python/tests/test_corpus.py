"""The tokens and keys of sdk/conformance: what the server's own verifier answers."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

from countersign import InvalidReason, Token
from countersign._claims import parse_session_id, parse_user_id
from countersign._key import PublicKey
from countersign._rules import Engine
from support import CORPUS, NEVER, plain, read_lines


def key_of(case: dict[str, Any]) -> PublicKey:
    return PublicKey(case["id"], case["algorithm"], base64.b64decode(case["spki"]))


def trusted_keys() -> dict[str, PublicKey]:
    keys: dict[str, PublicKey] = {}
    for case in read_lines("keys.jsonl"):
        if case["trusted"]:
            keys.setdefault(case["id"], key_of(case))
    return keys


def test_corpus_keys() -> None:
    cases = read_lines("keys.jsonl")
    assert len(cases) >= 50
    failures = []
    for case in cases:
        try:
            key_of(case)
            trusted = True
        except ValueError:
            trusted = False
        if trusted != case["trusted"]:
            failures.append(f"{case['name']}: trusted: {trusted}, expected {case['trusted']}")
    assert not failures, "\n".join(failures)


_MEMBERS = {
    "name", "token", "keys", "now_ms", "issuer", "default_audiences", "audiences", "leeway_ms", "revoked", "expect",
}  # fmt: skip


def engine_for(case: dict[str, Any], keys: dict[str, PublicKey]) -> Engine:
    engine = Engine(case["issuer"], case["default_audiences"], case["leeway_ms"], 64)
    engine.keys = engine.keys.replaced_by([keys[id] for id in case["keys"]])
    for session in case["revoked"]["sessions"]:
        engine.revocations.revoke_session(parse_session_id(session), NEVER)
    for user in case["revoked"]["users"]:
        engine.revocations.raise_epoch(parse_user_id(user["subject"]), user["epoch"], NEVER)
    return engine


def written(answer: Token | InvalidReason) -> dict[str, Any]:
    """An answer as the corpus writes it."""
    if isinstance(answer, InvalidReason):
        return {"invalid": answer.value}
    identity = {field.name: plain(getattr(answer, field.name)) for field in dataclasses.fields(answer)}
    if identity["external_id"] is None:
        del identity["external_id"]
    if identity["subject_kind"] == "user":
        del identity["subject_kind"]
    return {"verified": identity}


def same(a: Any, b: Any) -> bool:
    """Equal also in whether a number is an integer, which Python does not look at."""
    return bool(a == b) and json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def test_corpus_tokens() -> None:
    cases = read_lines("tokens.jsonl")
    assert len(cases) >= 900
    keys = trusted_keys()
    failures = []
    for case in cases:
        assert set(case) <= _MEMBERS, f"{case['name']}: a member that is not known"
        engine = engine_for(case, keys)
        # The second time a good token is in the cache.
        for time in ("first", "second"):
            got = written(engine.verify(case["token"], case["audiences"], case["now_ms"]))
            if not same(got, case["expect"]):
                failures.append(f"{case['name']}, the {time} time: {got}, expected {case['expect']}")
    assert not failures, "\n".join(failures)


def test_corpus_jwks() -> None:
    keys = trusted_keys()
    jwks = json.loads((CORPUS / "jwks.json").read_text())["keys"]
    assert len(jwks) == 3
    for jwk in jwks:
        assert keys[jwk["kid"]].algorithm == jwk["alg"]
        if "x" in jwk:
            assert base64.urlsafe_b64decode(jwk["x"] + "=") in keys[jwk["kid"]].spki

"""Breaks each rule of the design's sections on Verify and on revocation, and holds the corpus to noticing it.

    python tests/mutants.py [REGULAR EXPRESSION]

Each rule is broken in a copy of the package, and the corpus is run there; it takes a few seconds for each.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "src" / "countersign"


@dataclass(frozen=True)
class Mutant:
    """A rule that is broken on purpose, and a case of the corpus that must notice."""

    rule: str
    file: str
    # What stands there once, and what is put in its place.
    before: str
    after: str
    # Is in the name of a case that fails.
    caught_by: str


def stream(name: str) -> str:
    return f"test_corpus_streams[{name}]"


MUTANTS = [
    # Size and shape.
    Mutant("size cap", "_rules.py", "MAX_TOKEN_BYTES = 8192", "MAX_TOKEN_BYTES = 9000", "8193 bytes"),
    Mutant("three parts", "_jws.py", "if len(parts) != 3:", "if len(parts) < 3:", "four parts"),
    Mutant("no empty part", "_jws.py", "    if not part:\n        return None\n", "", "an empty signature"),
    Mutant("one spelling", "_jws.py", "return decoded if encode_part(decoded) == part else None", "return decoded", "trailing bits"),
    Mutant("one spelling: line breaks", "_jws.py", "if encode_part(decoded) == part", 'if encode_part(decoded) == part.replace(b"\\n", b"")', "a line break after"),
    Mutant("no name twice", "_json.py", "if len(members) != len(pairs):", "if False:", "alg twice"),
    Mutant("UTF-8", "_json.py", 'text.decode("utf-8")', 'text.decode("utf-8", "replace")', "not UTF-8"),
    Mutant("no lone surrogates", "_json.py", 'if "\\\\u" in decoded:', "if False:", "two halves that are no pair"),
    Mutant("nesting is bounded", "_json.py", "MAX_DEPTH = 127", "MAX_DEPTH = 900", "deep"),
    # The header.
    Mutant("typ", "_jws.py", "is_access_token=_is_access_token(typ)", 'is_access_token=typ != ""', 'typ "JWT"'),
    Mutant("alg of exactly the key", "_rules.py", "if jws.alg != key.algorithm:", "if False:", "alg none"),
    Mutant("alg from the header alone", "_rules.py", "if jws.alg != key.algorithm:", 'if jws.alg not in ("EdDSA", "ES256", "RS256"):', "ES256 by the EdDSA key"),
    Mutant("kid names a key", "_rules.py", "        if jws.kid is None:\n            return InvalidReason.UNKNOWN_KEY\n        key = keys.keys.get(jws.kid)", '        key = keys.keys.get(jws.kid or "") or next((k for k in keys.keys.values() if k.algorithm == jws.alg), None)', "no kid"),
    Mutant("no crit, no key of its own", "_jws.py", "return any(name in members for name in FORBIDDEN)", "return False", "crit"),
    # The signature.
    Mutant("EdDSA signature", "_key.py", "key.verify(signature, message)\n            elif isinstance(key, ec", "return len(signature) == 64\n            elif isinstance(key, ec", "of another token"),
    Mutant("ES256 signature", "_key.py", "key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))", "return r > 0 and s > 0 and encode_dss_signature(r, s) != b''", "its bytes reversed"),
    Mutant("ES256 signature of 64 bytes", "_key.py", "if len(signature) != 64:", "signature = signature[:64]\n                if len(signature) != 64:", "a byte too many"),
    Mutant("RS256 signature", "_key.py", "key.verify(signature, message, padding.PKCS1v15(), SHA256())", "return len(signature) * 8 == key.key_size or padding.PKCS1v15() is SHA256", "ones"),
    # Claims.
    Mutant("a service is its own client", "_claims.py", 'if is_service and members.pop("client_id") != subject:', 'if is_service and not members.pop("client_id"):', "client_id"),
    Mutant("iss", "_rules.py", "if claims.issuer != self._issuer:", "if False:", "the issuer is one exact string"),
    Mutant("aud is required", "_rules.py", "if claims.audiences.isdisjoint(audiences or self._audiences):", "if audiences and claims.audiences.isdisjoint(audiences):", "no audience is never any audience"),
    Mutant("aud is exact", "_rules.py", "if claims.audiences.isdisjoint(audiences or self._audiences):", "if {it.lower() for it in claims.audiences}.isdisjoint(audiences or self._audiences):", 'aud "ORDERS"'),
    Mutant("exp without leeway", "_rules.py", "if now >= claims.expires_at:", "if now >= claims.expires_at + 5000:", "exp -1 s"),
    Mutant("exp is the first moment", "_rules.py", "if now >= claims.expires_at:", "if now > claims.expires_at:", "at exp"),
    Mutant("iat", "_rules.py", "claims.issued_at > latest or ", "", "iat +6 s"),
    Mutant("nbf", "_rules.py", " or claims.not_before > latest", "", "nbf +6 s"),
    Mutant("leeway", "_rules.py", "latest = now + self._leeway", "latest = now", "iat +5 s"),
    Mutant("times are integers", "_claims.py", "if type(value) is not int or not 0 <= value <= _LARGEST_EXACT:", "value = int(value) if isinstance(value, float) else value\n    if type(value) is not int or not 0 <= value <= _LARGEST_EXACT:", "1700000900.0"),
    Mutant("true is no integer", "_claims.py", "if type(value) is not int or not 0 <= value <= _LARGEST_EXACT:", "if not isinstance(value, int) or not 0 <= value <= _LARGEST_EXACT:", "true"),
    Mutant("times are exact", "_claims.py", "<= value <= _LARGEST_EXACT:", "<= value:", "9007199254740993"),
    Mutant("no control characters", "_claims.py", ' or any(c < " " or "\\x7f" <= c <= "\\x9f" for c in value)', "", "with NUL"),
    Mutant("one spelling of a user", "_claims.py", "if str(user) != text:", "if False:", "42424A"),
    Mutant("every claim is required", "_claims.py", 'roles = _texts(members.pop("roles"))', 'roles = _texts(members.pop("roles") or [])', "roles null"),
    # Revocation.
    Mutant("session", "_revocations.py", "if self._sessions.find(session) is not None:", "if False:", "its session is revoked"),
    Mutant("epoch", "_revocations.py", "return raised is not None and epoch < _epoch(raised)", "return False", "above the token's own"),
    Mutant("its own epoch is good", "_revocations.py", "raised is not None and epoch < _epoch(raised)", "raised is not None and epoch <= _epoch(raised)", "to the token's own"),
    Mutant("epochs of 64 bits", "_revocations.py", 'return int.from_bytes(record[_ID + 8 :], "big")', 'return int(float(int.from_bytes(record[_ID + 8 :], "big")))', "an epoch of 64 bits"),
    Mutant("revocation on a hit", "_rules.py", "return self._check(known, audiences, now) or known.token", "reason = self._check(known, audiences, now)\n            return known.token if reason is InvalidReason.REVOKED else reason or known.token", stream("snapshot-and-deltas")),
    Mutant("exp on a hit", "_rules.py", "return self._check(known, audiences, now) or known.token", "reason = self._check(known, audiences, now)\n            return known.token if reason is InvalidReason.EXPIRED else reason or known.token", stream("expires-while-remembered")),
    Mutant("a withdrawn key empties the cache", "_cache.py", "return claims if claims.withdrawals == withdrawals else None", "return claims", stream("key-withdrawn")),
    Mutant("an epoch never falls", "_revocations.py", "raised = max(epoch, before)", "raised = epoch", stream("epoch-never-falls")),
    Mutant("forgotten at its time", "_revocations.py", "session + _signed(forget_at), forget_at)", "session + _signed(forget_at - 1), forget_at - 1)", stream("forgotten")),
    # Freshness.
    Mutant("counted from when the ping was sent", "_follower.py", "freshness.record_answer(sent, age)", "freshness.record_answer(self._clock.monotonic(), age)", stream("heartbeat-late")),
    Mutant("the server's own staleness", "_follower.py", "freshness.record_answer(sent, age)", "freshness.record_answer(sent, 0)", stream("snapshot-and-deltas")),
    Mutant("only an echoed ping proves", "_follower.py", '        if sent is None:\n            raise NonsenseError("an answer to no ping")\n', "        if sent is None:\n            sent = self._clock.monotonic()\n", stream("heartbeat-for-no-ping")),
    Mutant("the watermark", "_follower.py", "if self._position is None or self._position.sequence < heartbeat.sequence:", "if False:", stream("heartbeat-for-more-than-was-sent")),
    Mutant("silence ends the stream", "_follower.py", "conversation.latest_part) > self._patience", "conversation.latest_part) > 1000 * self._patience", stream("silence")),
    Mutant("a snapshot may take its time", "_follower.py", "max(conversation.pings[0][1], conversation.latest_part)", "conversation.pings[0][1]", stream("a-large-snapshot")),
    Mutant("resynchronise begins anew", "_follower.py", "class ResynchroniseError(BeginAnewError):", "class ResynchroniseError(StreamEndedError):", stream("resynchronise")),
    Mutant("a position is an incarnation's", "_follower.py", "conversation.incarnation = begin.incarnation", "conversation.incarnation = 1", stream("another-incarnation")),
    Mutant("the wall clock steps", "_clock.py", "if known is None or self.drift(wall, monotonic) > CLOCK_STEP:", "if known is None:", stream("clock-step")),
    Mutant("the bound", "_following.py", "fresh = staleness is not None and staleness <= self._max_staleness", "fresh = staleness is not None", stream("heartbeat-late")),
    Mutant("an unknown key in a stale view", "_following.py", "if answer is InvalidReason.UNKNOWN_KEY and not fresh:", "if False:", stream("key-unknown-while-stale")),
    # Keys.
    Mutant("RSA keys of 2048 bits and more", "_key.py", "MIN_RSA_BITS = 2048", "MIN_RSA_BITS = 1024", "an RSA key of 1024 bits"),
    Mutant("a key has one algorithm", "_key.py", "if _algorithm_of(key) != algorithm:", "if False:", "key as"),
    Mutant("one curve", "_key.py", " and isinstance(key.curve, ec.SECP256R1)", "", "a key on P-384"),
]  # fmt: skip


def run_corpus(package: Path) -> tuple[bool, str]:
    """Says whether the corpus passes, and what was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "default", "--tb=short", "-k", "corpus", "."],
        cwd=HERE,
        env=os.environ | {"PYTHONPATH": f"{package.parent}:{HERE}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


def problem_of(mutant: Mutant, package: Path) -> str | None:
    """Breaks a rule. Returns what is wrong with the mutant, or None where it is caught."""
    file = package / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.before) != 1:
        return f"{mutant.file} has not once: {mutant.before}"
    file.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
    try:
        passes, output = run_corpus(package)
    finally:
        file.write_text(text, encoding="utf-8")
    if passes:
        return "nothing notices"
    if "error during collection" in output or "errors during collection" in output:
        return f"it does not run:\n{output[-2000:]}"
    return None if mutant.caught_by in output else f"is noticed, but not by {mutant.caught_by!r}:\n{output[-2000:]}"


def main() -> int:
    chosen = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    caught, failed = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "countersign"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        passes, output = run_corpus(package)
        if not passes:
            print(f"without a change:\n{output}")
            return 1
        for mutant in MUTANTS:
            if chosen.search(mutant.rule):
                problem = problem_of(mutant, package)
                caught += problem is None
                if problem is not None:
                    failed += 1
                    print(f"mutant {mutant.rule}: {problem}")
    print(f"{caught} mutants of the Python verifier are caught, {failed} are not")
    return 1 if failed or not caught else 0


if __name__ == "__main__":
    sys.exit(main())

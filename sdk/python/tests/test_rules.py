"""The rules, the cache and the revocations by themselves."""

from __future__ import annotations

import base64
import gc
import json
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from countersign import InvalidReason, Token
from countersign._json import MAX_DEPTH, parse_object
from countersign._revocations import Revocations
from countersign._rules import Engine
from support import AUDIENCE, NEVER, NOW, Signer, engine, id_of, user

NOW_MS = NOW * 1000


def verify(it: Engine, token: str, audiences: list[str] | None = None, now: int = NOW_MS) -> str:
    answer = it.verify(token, audiences, now)
    return answer.value if isinstance(answer, InvalidReason) else answer.token_id


def trust(it: Engine, *signers: Signer) -> None:
    it.keys = it.keys.replaced_by([signer.key for signer in signers])


def test_the_cache_changes_no_answer() -> None:
    """Leads an engine that remembers eight tokens and one that remembers none through the same stories."""
    chance = random.Random(1)
    # The third comes under the name of the first.
    signers = [Signer("a"), Signer("b"), Signer("a")]
    tokens = []
    for i in range(24):
        changed: dict[str, Any] = {"sub": user(i % 3), "jti": str(i), "epoch": i % 4, "exp": NOW + 60 * i}
        if i % 5 == 0:
            changed["nbf"] = NOW + 30 * (i % 7)
        tokens.append(signers[i % 3].token(i % 6, **changed))
    counts: Counter[str] = Counter()
    for _ in range(15):
        both = remembers, forgets = engine(*signers[:2], cached=8), engine(*signers[:2], cached=0)
        now = NOW_MS
        for _ in range(300):
            event = chance.randrange(12)
            if event == 0:
                now += chance.randrange(200_000)
            elif event == 1:
                now -= chance.randrange(100_000)
            elif event == 2 and chance.randrange(4) == 0:
                session = id_of(chance.randrange(6))
                for it in both:
                    it.revocations.revoke_session(session, NEVER)
            elif event == 3:
                subject, epoch = id_of(chance.randrange(3)), chance.randrange(3)
                for it in both:
                    it.revocations.raise_epoch(subject, epoch, NEVER)
            elif event == 4:
                trusted = chance.choice([signers[:1], signers[:2], signers[1:], []])
                for it in both:
                    trust(it, *trusted)
            else:
                token, audience = chance.choice(tokens), chance.choice([None, ["billing"], ["x", AUDIENCE]])
                if chance.randrange(6) == 0:
                    place = chance.randrange(len(token))
                    token = token[:place] + "A" + token[place + 1 :]
                expected = verify(forgets, token, audience, now)
                assert verify(remembers, token, audience, now) == expected
                counts[expected if expected.isalpha() or "_" in expected else ""] += 1
        assert len(remembers.cache) <= 8 and len(forgets.cache) == 0
    for reason in ("", "EXPIRED", "NOT_YET_VALID", "BAD_SIGNATURE", "UNKNOWN_KEY", "WRONG_AUDIENCE", "REVOKED"):
        assert counts[reason], counts


def test_no_change_of_one_byte_is_accepted() -> None:
    signer = Signer()
    it = engine(signer)
    valid = signer.token()
    assert isinstance(it.verify(valid, None, NOW_MS), Token)
    for place, character in enumerate(valid):
        others = {chr(ord(character) ^ 1), chr(ord(character) ^ 32), *"A_.=\0\n\u00e9"} - {character}
        for changed in [valid[:place] + other + valid[place + 1 :] for other in others] + [valid[:place] + valid[place + 1 :]]:
            assert isinstance(it.verify(changed, None, NOW_MS), InvalidReason), f"byte {place} changed"


@pytest.mark.parametrize(
    "token", ["." * (1 << 20), "A" * (1 << 20), "A" * (1 << 19) + "." + "A" * (1 << 19) + ".A", "\u00e9" * (1 << 20)],
    ids=["dots", "one part", "three parts", "no ASCII"],
)  # fmt: skip
def test_a_megabyte_is_refused_fast(token: str) -> None:
    signer = Signer()
    it = engine(signer)
    usual = signer.token()
    begun = time.perf_counter()
    for _ in range(100):
        it.verify(usual + "A", None, NOW_MS)
    one_of_usual_size = (time.perf_counter() - begun) / 100
    begun = time.perf_counter()
    for _ in range(100):
        assert verify(it, token) == "MALFORMED"
    # It is not looked at, so it takes no longer than a forged token of the usual size.
    assert (time.perf_counter() - begun) / 100 < one_of_usual_size


@pytest.mark.parametrize(
    "deep", ['{"a":' * 100_000, "[" * 100_000, "[" * 100_000 + "]" * 100_000], ids=["objects", "arrays", "closed"]
)
def test_a_hundred_thousand_levels_are_refused(deep: str) -> None:
    it = engine(Signer())
    # Also where the size does not stop it.
    it.max_token_bytes = 1 << 22
    header = base64.urlsafe_b64encode(f'{{"deep":{deep}}}'.encode()).decode().rstrip("=")
    begun = time.perf_counter()
    assert verify(it, f"{header}.AA.AA") == "MALFORMED"
    assert time.perf_counter() - begun < 5


def test_sixty_levels_are_accepted_however_deep_the_stack_is() -> None:
    signer = Signer()
    claims: Any = 1
    for _ in range(60):
        claims = {"a": [claims]} if _ % 2 else {"a": claims}
    token = signer.token(nested=claims)
    it = engine(signer, cached=0)

    def deeper(levels: int) -> str:
        return deeper(levels - 1) if levels else verify(it, token)

    assert deeper(0) == deeper(400) == "AAAAAAAAAAAAAAAAAAAAAA"


GOOD_JSON = [
    "{}", ' {"a":[1,-2,0.5,1e3,"x\\u0000",null,true,false],"b":{"a":{"a":18446744073709551615}}} ',
    r'{"":"\"\\\/\b\f\n\r\t\ud83d\ude42"}', '{"a":-0}', '{"a":1e-999}', '{"\\ud83d\\ude42":1}',
    '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH, '{"a":"' + "[" * 500 + '"}', '{"a":[' + "[],{}," * 200 + "0]}",
]  # fmt: skip
BAD_JSON: list[str | bytes] = [
    '{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"x":{"a":1,"a":2}}', '{"x":[{"a":1,"a":2}]}', '{"a":1}{}', '{"a":1} x',
    "\ufeff{}", '{"a":1e999}', '{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', '{"a":01}', '{"a":+1}', '{"a":.5}',
    '{"a":1.}', '{"a":1e}', '{"a":-}', '{"a":"\\ud800"}', '{"a":"\\ud800\\u0041"}', '{"a":"\\udc00"}', '{"\\udc00":1}',
    '{"a":[{"b":"\\ud800"}]}', '{"a":"\\x"}', '{"a":"\\u00g0"}', '{"a":"\x01"}', '{"a":1,}', "{,}", '{"a"}', '{"a":}',
    "{'a':1}", "{a:1}", "{/**/}", "[]", "null", "1", "", "{", '{"', '{"a":"\\', '{"a":tru}', '{"a":[1 2]}', '{"a":[1,]}',
    b'{"a":"\xff"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}', '{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1),
    '{"a":' + "1" * 400 + "}", '{"a":"\\"' + '","b":[' * 1 + "[" * 200 + "]" * 201 + "}",
]  # fmt: skip


def test_strict_json() -> None:
    for good in GOOD_JSON:
        assert parse_object(good.encode()) == json.loads(good), good[:80]
    for bad in BAD_JSON:
        assert parse_object(bad if isinstance(bad, bytes) else bad.encode()) is None, bad[:80]


def test_nothing_that_is_no_token_raises() -> None:
    chance = random.Random(2)
    signer = Signer()
    it, valid = engine(signer), signer.token()
    for _ in range(5_000):
        text = list(valid)
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(text))
            text[place : place + chance.randrange(3)] = chance.choice(["", "A", ".", "=", "\0", "\ud800", "\u212a", "é"])
        changed = "".join(text)
        assert changed == valid or isinstance(it.verify(changed, None, NOW_MS), InvalidReason)
    for header in GOOD_JSON + [bad for bad in BAD_JSON if isinstance(bad, str)]:
        assert isinstance(it.verify(signer.sign(header, header), None, NOW_MS), InvalidReason)


def test_many_threads() -> None:
    first, second = Signer("a"), Signer("b")
    it = engine(first, second, cached=16)
    tokens = [(first, second)[i % 2].token(i) for i in range(40)]
    failures: list[str] = []

    def work(number: int) -> None:
        for i in range(400):
            answer = it.verify(tokens[(i + number) % len(tokens)], None, NOW_MS)
            if isinstance(answer, InvalidReason) and answer not in (InvalidReason.REVOKED, InvalidReason.UNKNOWN_KEY):
                failures.append(answer.value)

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for i in range(100):
        it.revocations.revoke_session(id_of(i % 20), NEVER)
        trust(it, *([first], [first, second])[i % 2])
        it.revocations.purge(0)
    for thread in threads:
        thread.join()
    assert not failures and len(it.cache) <= 16
    trust(it, second)
    assert all(verify(it, token) == "UNKNOWN_KEY" for token in tokens[::2])


def test_revocations_are_those_of_a_dict() -> None:
    """Compares with what is simple, with few ids, so that they are revoked again and lie in one bucket."""
    chance = random.Random(3)
    it = Revocations()
    sessions: dict[bytes, int] = {}
    users: dict[bytes, tuple[int, int]] = {}
    # Bytes that repeat are found across two records, too.
    ids = [bytes([a]) * 16 for a in range(4)] + [bytes([0, 1] * 8), bytes([1, 0] * 8), *(os.urandom(16) for _ in range(20))]
    for _ in range(20_000):
        id, at = chance.choice(ids), chance.randrange(1000)
        event = chance.randrange(8)
        if event == 0:
            assert it.revoke_session(id, at) == (id not in sessions)
            sessions[id] = max(at, sessions.get(id, at))
        elif event == 1:
            epoch = chance.choice([0, 1, 2, (1 << 64) - 1])
            before, until = users.get(id, (0, at))
            assert it.raise_epoch(id, epoch, at) == (epoch > before)
            users[id] = max(epoch, before), max(at, until)
        elif event == 2 and chance.randrange(20) == 0:
            it.purge(at)
            sessions = {id: until for id, until in sessions.items() if until > at}
            users = {id: raised for id, raised in users.items() if raised[1] > at}
        else:
            other, epoch = chance.choice(ids), chance.randrange(3)
            assert it.is_revoked(other, id, epoch) == (id in sessions or epoch < users.get(other, (0, 0))[0])
        assert len(it) == len(sessions) + len(users)


def resident() -> float:
    """MiB that the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="SKIPPED: it reads /proc")
def test_memory_of_a_million_revocations() -> None:
    gc.collect()
    before, begun = resident(), time.perf_counter()
    it = Revocations()
    for _ in range(1_000_000):
        it.revoke_session(os.urandom(16), NEVER)
    took, mebibytes = time.perf_counter() - begun, resident() - before
    print(f"\na million revocations take {mebibytes:.0f} MiB, and {took:.1f} s to take in")
    assert len(it) == 1_000_000 and mebibytes < 100
    it.purge(NEVER + 1)
    assert len(it) == 0

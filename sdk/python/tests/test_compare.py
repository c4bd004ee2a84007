"""Beside PyJWT, which verifies the same token as it is usually used: without revocation."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import jwt

from countersign import SystemClock
from fake import Following
from support import AUDIENCE, ISSUER


def nanoseconds(calls: int, call: Callable[[], Any]) -> float:
    """What a call takes."""
    begun = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - begun) / calls


def test_a_token_that_was_seen_costs_a_tenth() -> None:
    """Measures both in turns, and takes the medians."""
    with Following(clock=SystemClock(), ping_interval=1.0) as f:
        token = f.signer.token(now=int(time.time()))
        public = f.signer.private.public_key()

        def ours() -> object:
            # As it comes from a header, a text that nobody has hashed yet.
            return f.verifier.verify((token + " ")[:-1])

        def theirs() -> object:
            return jwt.decode(token, public, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER)

        assert ours() and theirs()
        rounds = [(nanoseconds(2_000, ours), nanoseconds(200, theirs)) for _ in range(7)]
    mine, other = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(f"\na token that was seen: {mine:.0f} ns; PyJWT {other:.0f} ns: {other / mine:.0f} times as long")
    assert other >= 10 * mine

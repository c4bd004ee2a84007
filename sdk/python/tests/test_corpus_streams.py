"""The scripts of sdk/conformance, played to a verifier that has no connection."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from google.protobuf import json_format

from countersign import OnStale, Revocation
from countersign._follower import Conversation, StreamEndedError
from countersign._following import Following
from countersign._options import Options
from countersign._positions import Asked
from countersign.v1 import revocation_service_pb2 as pb
from support import TestClock, read_lines

SCRIPTS = read_lines("streams.jsonl")

_MEMBERS = {
    "connect": set(),
    "tell": {"on_revoked", "ends", "positions"},
    "ping": {"ends"},
    "ask_position": {"ping"},
    "lost": {"positions"},
    "advance_ms": set(),
    "step_wall_clock_ms": set(),
    "purge": set(),
    "expect": set(),
}  # fmt: skip


class Player:
    def __init__(self, script: dict[str, Any]) -> None:
        self.clock = TestClock(script["start_ms"])
        self.told: list[Revocation] = []
        self.followings = {policy: self._following(script, policy) for policy in (OnStale.FAIL_CLOSED, OnStale.SERVE)}
        self.following = self.followings[OnStale.FAIL_CLOSED]
        # One knowledge, answered from under two policies.
        self.followings[OnStale.SERVE].engine = self.following.engine
        self.following.on_revoked = self.told.append
        self.tokens: dict[str, str] = script["tokens"]
        self.conversation: Conversation | None = None
        self.nonces: list[int] = []
        self.waiting: list[Asked] = []

    def _following(self, script: dict[str, Any], policy: OnStale) -> Following:
        options = Options(
            endpoint="http://127.0.0.1:1", issuer=script["issuer"], audiences=script["default_audiences"], tls=None,
            credential=None, max_staleness=script["max_staleness_ms"] / 1000, on_stale=policy, ping_interval=1,
            patience=script["patience_ms"] / 1000, max_backoff=1, ask_timeout=1, leeway=5, cached_tokens=64,
            clock=self.clock,
        )  # fmt: skip
        following = Following(options, None)
        following.close()  # so that it never connects
        return following

    def play(self, step: dict[str, Any]) -> None:
        kind = next(name for name in ("connect", "tell", "ask_position", *_MEMBERS) if name in step)
        assert set(step) - {kind} <= _MEMBERS[kind], f"a member of {kind} that is not known"
        getattr(self, kind)(step)

    def connect(self, step: dict[str, Any]) -> None:
        start, self.conversation = self.following.follower.start()
        self.nonces = []
        resume = step["connect"]["resume"]
        expected = pb.WatchStart()
        if resume is not None:
            json_format.ParseDict(resume, expected.resume)
            expected.resume.SetInParent()
        assert start == expected

    def tell(self, step: dict[str, Any]) -> None:
        message = json_format.ParseDict(step["tell"], pb.WatchRevocationsResponse())
        if message.HasField("heartbeat") and 1 <= message.heartbeat.nonce <= len(self.nonces):
            message.heartbeat.nonce = self.nonces[message.heartbeat.nonce - 1]
        self.told.clear()
        assert self.conversation is not None
        try:
            self.following.follower.take_in(message, self.conversation)
            why = None
        except StreamEndedError as error:
            why = error
        self.ended(step, why)
        expected = [
            Revocation(session_id=it.get("session_id"), subject=it.get("subject"), epoch=it.get("epoch", 0))
            for it in step.get("on_revoked", [])
        ]
        assert Counter(self.told) == Counter(expected)

    def ping(self, step: dict[str, Any]) -> None:
        assert self.conversation is not None
        try:
            ping, sent = self.following.follower.ping(self.conversation)
        except StreamEndedError as error:
            assert step["ping"] is None
            self.ended(step, error)
            return
        self.ended(step, None)
        sent()
        self.nonces.append(ping.nonce)
        assert step["ping"] == len(self.nonces)

    def ask_position(self, step: dict[str, Any]) -> None:
        assert self.conversation is not None
        asked = Asked(step["ask_position"])
        ping, sent = self.conversation.ask_position(asked)
        sent()
        self.waiting.append(asked)
        self.nonces.append(ping.nonce)
        assert (ping.at_least, step["ping"]) == (step["ask_position"], len(self.nonces))

    def lost(self, step: dict[str, Any]) -> None:
        self.ended(step | {"ends": "lost"}, ConnectionError())

    def ended(self, step: dict[str, Any], why: Exception | None) -> None:
        assert (why is not None) == ("ends" in step), f"ends with {why!r}, expected {step.get('ends')}"
        if why is not None:
            self.following.follower.end(why)
            assert self.conversation is not None
            self.conversation.give_up()
            self.conversation = None
        # One that is given up is not reached.
        found = {asked.position: not asked.reached.cancelled() and asked.reached.result() for asked in self.waiting
                 if asked.reached.done()}  # fmt: skip
        self.waiting = [asked for asked in self.waiting if not asked.reached.done()]
        assert found == step.get("positions", {})

    def advance_ms(self, step: dict[str, Any]) -> None:
        self.clock.advance(step["advance_ms"])

    def step_wall_clock_ms(self, step: dict[str, Any]) -> None:
        self.clock.step_wall(step["step_wall_clock_ms"])

    def purge(self, step: dict[str, Any]) -> None:
        self.following.engine.revocations.purge(self.clock.wall())

    def expect(self, step: dict[str, Any]) -> None:
        expected = step["expect"]
        assert set(expected) <= {"ready", "staleness_ms", "answers"}
        assert self.following.ready.is_set() == expected["ready"]
        staleness = self.following.staleness()
        assert (None if staleness is None else staleness // 1_000_000) == expected["staleness_ms"]
        for name, answers in expected["answers"].items():
            for policy, following in self.followings.items():
                got = answer_of(following, self.tokens[name])
                assert got == answers[policy.value], f"{name} under {policy}"


def answer_of(following: Following, token: str) -> Any:
    answer = following.verify(token, None)
    return "unknown" if answer is None else {"invalid": answer.value} if isinstance(answer, str) else "verified"


def test_there_are_enough() -> None:
    assert len(SCRIPTS) >= 20


@pytest.mark.parametrize("script", SCRIPTS, ids=[script["name"] for script in SCRIPTS])
def test_corpus_streams(script: dict[str, Any]) -> None:
    player = Player(script)
    for number, step in enumerate(script["steps"], 1):
        try:
            player.play(step)
        except AssertionError as error:
            raise AssertionError(f"step {number}: {error}") from error

"""Positions of the ledger that callers wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from countersign import InvalidTokenError, OnStale, UnknownTokenError
from countersign._follower import Conversation
from countersign._positions import MAX_REACHED, MAX_WAITING, Asked, Positions
from countersign.v1 import auth_service_pb2, revocation_service_pb2, verification_pb2
from fake import Following
from support import PATIENCE


def in_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    """Calls in another thread. What is returned waits for the outcome, and returns the error where there is one."""
    outcome: queue.Queue[Any] = queue.Queue()

    def run() -> None:
        try:
            outcome.put(call())
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    return lambda: outcome.get(timeout=PATIENCE)


def test_a_position_is_waited_for_and_remembered() -> None:
    with Following(ask_timeout=PATIENCE) as f:
        token = f.token(1)

        def ask(position: str) -> Callable[[], Any]:
            return in_thread(lambda: f.verifier.verify_at_least(position, token))

        answered = ask("p1")
        nonce = f.stream.asked_for("p1")
        f.stream.revoked(6, 1)
        f.stream.reached(nonce, 6, True)
        assert isinstance(answered(), InvalidTokenError)
        # Remembered: no question is asked, though the server would not answer it.
        for position in ("p1", ""):
            assert isinstance(ask(position)(), InvalidTokenError)
        answered = ask("p2")
        f.stream.reached(f.stream.asked_for("p2"), 6, False)
        assert isinstance(answered(), UnknownTokenError)
        assert isinstance(ask("1" * 65)(), UnknownTokenError)
        answered = ask("p3")
        f.stream.asked_for("p3")
        f.stream.end()
        assert isinstance(answered(), UnknownTokenError)


def test_a_position_that_is_not_told_is_waited_for_as_long_as_was_said() -> None:
    with Following(ask_timeout=0.05) as f:
        token = f.token()
        for _ in range(3):
            with pytest.raises(UnknownTokenError):
                f.verifier.verify_at_least("p1", token)
        f.verifier.verify(token)


def test_a_position_that_is_not_reached_is_asked_of_the_server() -> None:
    with Following(on_stale=OnStale.ASK_SERVER, ask_timeout=0.3) as f:
        asked: list[str] = []

        def verify(request: Any) -> auth_service_pb2.VerifyAccessTokenResponse:
            asked.append(request.at_least)
            return auth_service_pb2.VerifyAccessTokenResponse(verified=verification_pb2.VerifiedToken())

        f.server.verify = verify
        assert f.verifier.verify_at_least("p1", f.token()).username == "ada" and asked == ["p1"]


def test_the_answer_to_a_position_that_was_given_up_is_no_nonsense() -> None:
    conversation = Conversation(0, 0)
    for i in range(MAX_WAITING + 1):
        conversation.ask_position(Asked(str(i)))[1]()
    last = conversation.nonce
    conversation.nonce += 1
    conversation.pings.append((conversation.nonce, 0))
    beat = revocation_service_pb2.WatchHeartbeat
    # The server had begun to look for it before it heard of the one too many.
    assert conversation.answer_position(beat(nonce=1, reached=True))
    assert conversation.answer_position(beat(nonce=last, reached=True))
    assert not conversation.answer_position(beat(nonce=1))
    assert not conversation.answer_position(beat(nonce=conversation.nonce, reached=True))
    assert not conversation.answer_position(beat(nonce=conversation.nonce + 1, reached=True))


def test_the_oldest_of_too_many_positions_is_given_up() -> None:
    conversation = Conversation(0, 0)
    all = [Asked(str(i)) for i in range(MAX_WAITING + 1)]
    for asked in all:
        _, sent = conversation.ask_position(asked)
        sent()
    assert all[0].reached.cancelled() and len(conversation.positions) == MAX_WAITING
    conversation.give_up()
    assert all[-1].reached.cancelled()
    positions = Positions()
    assert all[0] is not None and [positions.ask(str(i)) is None for i in range(MAX_WAITING + 1)][-2:] == [False, True]
    for i in range(2 * MAX_REACHED):
        positions.remember(str(i))
    assert not positions.is_known("0") and positions.is_known(str(2 * MAX_REACHED - 1))

"""Against the real server, with Redis."""

from __future__ import annotations

import queue
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from countersign import (
    CallError,
    Client,
    InvalidTokenError,
    OnStale,
    Revocation,
    SystemClock,
    UnknownTokenError,
    Verifier,
    session_ended,
)
from deployment import PASSWORD, Deployment
from support import PATIENCE, until

pytestmark = pytest.mark.server

BOUND = 10_000
VERIFIERS, LOGOUTS = 50, 20


def answer(verifier: Verifier, token: str) -> str:
    """Why a token is refused; "unknown" where that is the answer, and empty where it is good."""
    try:
        verifier.verify(token)
    except InvalidTokenError as error:
        return error.invalid.value
    except UnknownTokenError:
        return "unknown"
    return ""


def until_answer(verifier: Verifier, token: str, expected: str) -> None:
    until(f"the answer is {expected}", lambda: answer(verifier, token) == expected)


def test_a_revocation_reaches_fifty_verifiers(deployment: Deployment) -> None:
    """Measures how long it takes from the acknowledgement of a logout until each of fifty services refuses the session."""
    client = deployment.client()
    told: list[queue.Queue[float]] = []
    verifiers = []
    for _ in range(VERIFIERS):
        heard: queue.Queue[float] = queue.Queue()

        def tell(_: Revocation, heard: queue.Queue[float] = heard) -> None:
            heard.put(time.monotonic())

        told.append(heard)
        verifiers.append(deployment.verifier(on_revoked=tell))
    delays = []
    for _ in range(LOGOUTS):
        tokens = deployment.login(client)
        for verifier in verifiers:
            verifier.verify(tokens.access_token)
        position = client.logout(tokens.refresh_token)
        acknowledged = time.monotonic()
        for verifier in verifiers[:3]:
            with pytest.raises(InvalidTokenError) as caught:
                verifier.verify_at_least(position, tokens.access_token)
            assert position and caught.value.invalid.value == "REVOKED"
        for verifier, heard in zip(verifiers, told, strict=True):
            delays.append(max(heard.get(timeout=PATIENCE) - acknowledged, 0))
            assert answer(verifier, tokens.access_token) == "REVOKED"
    delays.sort()
    p50, p99, most = (delays[(len(delays) - 1) * share // 100] * 1000 for share in (50, 99, 100))
    print(
        f"\nacknowledged to refused, {VERIFIERS} verifiers in one process, {LOGOUTS} logouts: "
        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {most:.2f} ms"
    )


class MovedClock(SystemClock):
    """The system's clocks, some time later."""

    later = 0

    def wall(self) -> int:
        return super().wall() + self.later

    def monotonic(self) -> int:
        return super().monotonic() + self.later * 1_000_000

    def advance(self, milliseconds: int) -> None:
        self.later += milliseconds


class Observed:
    """A verifier of each policy, over one clock."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.clock = MovedClock()
        self.closed, self.asks, self.serves = (
            deployment.verifier(on_stale=policy, clock=self.clock, ping_interval=0.1)
            for policy in (OnStale.FAIL_CLOSED, OnStale.ASK_SERVER, OnStale.SERVE)
        )
        self.all = (self.closed, self.asks, self.serves)
        client = deployment.client()
        self.good = deployment.login(client)
        bad = deployment.login(client)
        self.revoked = bad.access_token
        client.logout(bad.refresh_token)
        self.refused(self.revoked)
        for verifier in self.all:
            assert answer(verifier, self.good.access_token) == ""

    def refused(self, token: str) -> None:
        for verifier in self.all:
            until_answer(verifier, token, "REVOKED")

    def unheard(self) -> None:
        """Holds the verifiers to what they must do while the server cannot be heard."""
        # A heartbeat may have been on its way.
        self.clock.advance(BOUND // 2)
        for verifier in self.all:
            staleness = verifier.staleness()
            assert staleness is not None and staleness >= BOUND / 2000
            assert answer(verifier, self.good.access_token) == ""
        self.clock.advance(BOUND // 2 + 1000)
        for verifier, expected in ((self.closed, "unknown"), (self.asks, "unknown"), (self.serves, "")):
            assert answer(verifier, self.good.access_token) == expected
            assert answer(verifier, self.revoked) == "REVOKED"

    def until_fresh(self, verifier: Verifier) -> None:
        def is_fresh() -> bool:
            staleness = verifier.staleness()
            return staleness is not None and staleness < BOUND / 4000

        until("it is fresh", is_fresh)

    def heals(self) -> None:
        """Waits until the verifiers are fresh again, by themselves."""
        for verifier in self.all:
            self.until_fresh(verifier)
            assert answer(verifier, self.good.access_token) == ""
            assert answer(verifier, self.revoked) == "REVOKED"


def test_the_server_is_killed(deployment: Deployment) -> None:
    observed = Observed(deployment)
    deployment.kill(deployment.server)
    observed.unheard()
    deployment.start()
    observed.heals()
    # What is revoked after the restart is heard.
    deployment.client().logout(observed.good.refresh_token)
    observed.refused(observed.good.access_token)


def test_the_stream_stalls(deployment: Deployment) -> None:
    observed = Observed(deployment)
    deployment.halt()
    observed.unheard()
    deployment.server.send_signal(signal.SIGCONT)
    observed.heals()


def test_redis_dies(deployment: Deployment) -> None:
    """The ledger is in the database, so revocations go on, and verifiers stay fresh."""
    observed = Observed(deployment)
    deployment.kill(deployment.redis)
    client = deployment.client()
    client.logout(observed.good.refresh_token)
    observed.refused(observed.good.access_token)
    observed.clock.advance(BOUND // 2)
    for verifier in observed.all:
        observed.until_fresh(verifier)
    deployment.start_redis()

    def logs_in() -> bool:
        try:
            observed.good = deployment.login(client)
        except CallError:
            return False
        return True

    until("a login after Redis came back", logs_in)
    observed.heals()


def test_one_client_and_many_verifications_at_once(deployment: Deployment) -> None:
    client, verifier = deployment.client(), deployment.verifier()

    def session() -> None:
        for _ in range(3):
            tokens = deployment.login(client)
            verifier.verify(tokens.access_token)
            following = client.refresh(tokens.refresh_token)
            client.logout(following.refresh_token)
            until_answer(verifier, following.access_token, "REVOKED")
            with pytest.raises(CallError) as caught:
                client.refresh(following.refresh_token)
            assert session_ended(caught.value) and caught.value.cause == "LOGGED_OUT"

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(session) for _ in range(8)]:
            done.result()


def test_a_user_looks_after_their_own_sessions(deployment: Deployment) -> None:
    client, verifier = deployment.client(), deployment.verifier()
    first, second, third = (deployment.login(client) for _ in range(3))
    sessions = client.own_sessions(first.refresh_token)
    assert len(sessions.sessions) == 3
    assert sessions.current_session_id == verifier.verify(first.access_token).session_id
    position = client.end_own_sessions(first.refresh_token, [verifier.verify(second.access_token).session_id])
    with pytest.raises(InvalidTokenError):
        verifier.verify_at_least(position, second.access_token)
    client.end_other_sessions(first.refresh_token)
    with pytest.raises(CallError) as caught:
        client.refresh(third.refresh_token)
    assert caught.value.reason == "SESSION_REVOKED"
    other = "another horse battery"
    changed, position = client.change_password(first.refresh_token, PASSWORD, other)
    assert verifier.verify_at_least(position, changed.access_token).username == "ada"
    with pytest.raises(InvalidTokenError):
        verifier.verify(first.access_token)
    with pytest.raises(CallError) as caught:
        client.login("ada", PASSWORD)
    assert caught.value.reason == "INVALID_CREDENTIALS" and not session_ended(caught.value)


def test_threads_come_and_go_with_their_verifier(deployment: Deployment) -> None:
    before = threading.active_count()
    with Verifier(**deployment.arguments()) as verifier:
        assert verifier.ready(PATIENCE)
        assert threading.active_count() == before + 1
    until("its thread ends", lambda: threading.active_count() == before)
    assert isinstance(deployment.client(), Client)

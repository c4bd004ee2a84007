"""A verifier, and a server whose every word is the test's."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any

import grpc
import pytest

from countersign import (
    InvalidReason,
    InvalidTokenError,
    MissingTokenError,
    OnStale,
    Revocation,
    UnknownTokenError,
    Verifier,
    bearer_token,
)
from countersign.v1 import auth_service_pb2, verification_pb2
from countersign.v1 import revocation_service_pb2 as pb
from fake import FakeServer, Following, quick
from support import PATIENCE, Signer, TestClock, until, user


def invalid(verifier: Verifier, token: str) -> InvalidReason:
    with pytest.raises(InvalidTokenError) as caught:
        verifier.verify(token)
    return caught.value.invalid


def test_a_revocation_is_told_and_the_stream_resumes() -> None:
    told: queue.Queue[Revocation] = queue.Queue()
    with Following(on_revoked=told.put) as f:
        token = f.token(1)
        verified = f.verifier.verify(token)
        assert verified.username == "ada" and verified.has_role("admin")
        called = threading.Event()
        with f.verifier.watch(verified, called.set) as watch:
            assert not watch.revoked
            f.stream.revoked(9, 1)
            assert told.get(timeout=PATIENCE).covers(verified)
            assert watch.wait(PATIENCE) and called.wait(PATIENCE)
        assert invalid(f.verifier, token) is InvalidReason.REVOKED
        with f.verifier.watch(verified) as late:
            assert late.revoked
        f.stream.end()
        resume = f.server.next().started().resume
        assert (resume.incarnation, resume.sequence) == (1, 9)


def test_a_user_is_revoked_up_to_an_epoch() -> None:
    with Following() as f:
        old, new = f.token(1, epoch=3), f.token(2, epoch=4)
        with f.verifier.watch(f.verifier.verify(old)) as watch, f.verifier.watch(f.verifier.verify(new)) as other:
            revoked = pb.WatchRevoked(sequence=6)
            raised = revoked.users.add(subject=bytes([0x42]) + bytes(15), epoch=4)
            raised.forget_at.FromSeconds(int(time.time()) + 3600)
            f.stream.tell(revoked=revoked)
            assert watch.wait(PATIENCE) and not other.revoked
        assert invalid(f.verifier, old) is InvalidReason.REVOKED
        assert f.verifier.verify(new).subject == user(0x42)


def test_what_is_over_is_not_watched() -> None:
    with Following() as f:
        verified = f.verifier.verify(f.token())
        for _ in range(3):
            with f.verifier.watch(verified):
                pass
        watchers = f.verifier._following.watchers
        assert not watchers.sessions and not watchers.subjects


def test_a_callback_that_fails_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: Revocation) -> None:
        raise ValueError("a defect of the caller's")

    with Following(on_revoked=fails) as f:
        token = f.token()
        verified = f.verifier.verify(token)
        with f.verifier.watch(verified, lambda: fails(Revocation())) as watch:
            f.stream.revoked(6, 1)
            assert watch.wait(PATIENCE)
            f.stream.revoked(7, 2)
            until("the stream goes on", lambda: caplog.text.count("on_revoked failed") == 2)
        assert "the callback of a watch failed" in caplog.text


def test_past_the_bound_the_server_is_asked() -> None:
    with Following(on_stale=OnStale.ASK_SERVER, ping_interval=3600, ask_timeout=PATIENCE) as f:
        answers = [
            auth_service_pb2.VerifyAccessTokenResponse(verified=verification_pb2.VerifiedToken()),
            auth_service_pb2.VerifyAccessTokenResponse(
                invalid=verification_pb2.InvalidToken(reason=verification_pb2.INVALID_REASON_REVOKED)
            ),
            auth_service_pb2.VerifyAccessTokenResponse(),
        ]
        asked: list[Any] = []

        def verify(request: Any) -> auth_service_pb2.VerifyAccessTokenResponse:
            asked.append(request)
            if len(asked) > len(answers):
                raise PermissionError("not now")
            return answers[len(asked) - 1]

        f.server.verify = verify
        token = f.token()
        assert f.verifier.verify(token).username == "ada" and not asked
        f.clock.advance(11_000)
        assert f.verifier.verify(token).username == "ada"
        assert asked[0].access_token == token and list(asked[0].audiences) == ["orders"]
        assert asked[0].max_staleness.seconds == 10
        assert invalid(f.verifier, token) is InvalidReason.REVOKED
        with pytest.raises(UnknownTokenError):
            f.verifier.verify(token)
        with pytest.raises(UnknownTokenError) as caught:
            f.verifier.verify(token)
        assert "not now" in str(caught.value.__cause__)
        # What is bad by itself is not asked for.
        assert invalid(f.verifier, "a.b.c") is InvalidReason.MALFORMED and len(asked) == 4


def test_a_server_that_is_silent_is_left() -> None:
    with Following() as f:
        f.stream.pinged()
        f.clock.advance(6_000)
        assert f.server.next().started().resume.sequence == 5


def test_a_server_that_breaks_the_protocol_is_left() -> None:
    with Following() as f:
        f.stream.beat(99_999, 5)
        assert not f.server.next().started().HasField("resume")


def test_a_stream_that_fails_is_resumed(caplog: pytest.LogCaptureFixture) -> None:
    with Following() as f:
        f.stream.fail(grpc.StatusCode.PERMISSION_DENIED)
        assert f.server.next().started().resume.sequence == 5
        until("it is said", lambda: "code 7" in caplog.text and "as the test says" in caplog.text)


def test_it_finds_a_server_that_comes_later() -> None:
    server = FakeServer()
    server.stop()
    with Verifier(**quick(server.address, TestClock())) as verifier:
        with pytest.raises(UnknownTokenError) as caught:
            verifier.verify(Signer().token(now=int(time.time())))
        assert caught.value.staleness is None
        assert not verifier.ready(0.05)
        later = FakeServer(server.address)
        stream = later.next()
        stream.started()
        stream.load()
        assert verifier.ready(PATIENCE)
        later.stop()


def test_the_first_call_waits_until_everything_is_loaded() -> None:
    server, signer = FakeServer(), Signer()
    verifier = Verifier(**quick(server.address, ask_timeout=PATIENCE))
    answered: queue.Queue[Any] = queue.Queue()
    token = signer.token(now=int(time.time()))
    threading.Thread(target=lambda: answered.put(verifier.verify(token)), daemon=True).start()
    stream = server.next()
    stream.started()
    assert answered.empty()
    stream.load(signer)
    assert answered.get(timeout=PATIENCE).username == "ada"
    verifier.close()
    server.stop()


def test_one_that_is_closed_says_nothing_after_its_bound() -> None:
    with Following() as f:
        token = f.token()
        f.verifier.close()
        assert f.verifier.verify(token)
        f.clock.advance(11_000)
        with pytest.raises(UnknownTokenError, match=r"1[0-9]\.[0-9] s old"):
            f.verifier.verify(token)
        assert f.server.arrivals.empty()


def test_the_credential_goes_with_the_stream_and_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keys = iter(["csgn_sk_first", "csgn_sk_second"])
    with Following(credential=lambda: next(keys)) as f:
        assert f.stream.metadata["authorization"] == "Bearer csgn_sk_first"
        f.verifier.verify(f.token())
        f.stream.end()
        assert f.server.next().metadata["authorization"] == "Bearer csgn_sk_second"
    assert "csgn_sk" not in caplog.text and "eyJ" not in caplog.text


@pytest.mark.parametrize(
    "changed",
    [
        {"endpoint": ""}, {"endpoint": "127.0.0.1:1"}, {"endpoint": "grpc://127.0.0.1:1"}, {"endpoint": "http://a:x"},
        {"endpoint": "http://127.0.0.1:1/path"}, {"endpoint": "http://user@127.0.0.1:1"}, {"issuer": ""},
        {"audiences": []}, {"audiences": [""]}, {"audiences": "orders"}, {"on_stale": "serve"}, {"max_staleness": 0},
        {"max_staleness": -1.0}, {"patience": float("nan")}, {"leeway": -1.0}, {"cached_tokens": 1 << 30},
    ],
    ids=str,
)  # fmt: skip
def test_options_are_checked(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Verifier(**quick("127.0.0.1:1") | changed)


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:1", "https://countersign:50051", "https://[::1]:1/", "https://a.example"]
)
def test_good_endpoints(endpoint: str) -> None:
    Verifier(**quick("") | {"endpoint": endpoint}).close()


def test_reasons() -> None:
    assert MissingTokenError().reason == "TOKEN_MISSING"
    assert InvalidTokenError(InvalidReason.EXPIRED).reason == "ACCESS_TOKEN_EXPIRED"
    assert InvalidTokenError(InvalidReason.REVOKED).reason == "SESSION_REVOKED"
    assert InvalidTokenError(InvalidReason.UNKNOWN_KEY).reason == "ACCESS_TOKEN_INVALID"
    assert UnknownTokenError(None).reason == "REVOCATIONS_STALE"


def test_bearer_token() -> None:
    for good in ("Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "):
        assert bearer_token([good]) == "a.b.c"
    for bad in ([], ["Bearer"], ["Bearer "], ["Basic a.b.c"], ["a.b.c"], ["Bearer a", "Bearer a"], ["\u212aearer a"]):
        assert bearer_token(bad) is None


def test_the_credential_is_a_line_of_a_file() -> None:
    with Following(credential="csgn_sk_key\n") as f:
        assert f.stream.metadata["authorization"] == "Bearer csgn_sk_key"


@pytest.mark.parametrize("credential", ["", "two words", "key\r\nheader: x", "schl\u00fcssel"], ids=repr)
def test_a_credential_that_is_none_is_not_sent(credential: str, caplog: pytest.LogCaptureFixture) -> None:
    server = FakeServer()
    with Verifier(**quick(server.address, credential=credential)) as verifier:
        until("it is said", lambda: "the credential is empty, or has" in caplog.text)
        assert not verifier.ready(0.01) and server.arrivals.empty()
    server.stop()


def test_a_text_is_no_collection_of_audiences() -> None:
    with Following() as f, pytest.raises(TypeError, match="audiences"):
        f.verifier.verify(f.token(), "orders")


def test_one_that_is_closed_is_never_ready() -> None:
    verifier = Verifier(**quick("127.0.0.1:1"))
    verifier.close()
    assert not verifier.ready()

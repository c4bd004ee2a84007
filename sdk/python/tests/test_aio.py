"""The verifier for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

import countersign.aio
from countersign import InvalidTokenError, OnStale, Revocation, UnknownTokenError, Verifier
from countersign.v1 import auth_service_pb2, verification_pb2
from fake import FakeServer, FakeStream, Following, quick
from support import PATIENCE, Signer, TestClock


class Loaded(NamedTuple):
    verifier: countersign.aio.Verifier
    server: FakeServer
    stream: FakeStream
    signer: Signer
    clock: TestClock

    def token(self) -> str:
        return self.signer.token(1, self.clock.wall() // 1000)


def following(test: Callable[[Loaded], Awaitable[None]], **changed: Any) -> None:
    """Runs a test with a verifier that has loaded one key, and nothing revoked, up to position 5."""

    async def run() -> None:
        server, clock, signer = FakeServer(), TestClock(), Signer()
        async with countersign.aio.Verifier(**quick(server.address, clock, **changed)) as verifier:
            stream = await asyncio.to_thread(server.next)
            stream.started()
            stream.load(signer)
            assert await verifier.ready(PATIENCE)
            await test(Loaded(verifier, server, stream, signer, clock))
        await asyncio.to_thread(server.stop)

    asyncio.run(run())


def test_a_revocation_is_told() -> None:
    told: list[tuple[Revocation, asyncio.AbstractEventLoop]] = []

    async def test(f: Loaded) -> None:
        token = f.token()
        verified = await f.verifier.verify(token)
        assert f.verifier.staleness() is not None
        async with f.verifier.watch(verified) as watch:
            assert not watch.revoked
            f.stream.revoked(6, 1)
            await asyncio.wait_for(watch.wait(), PATIENCE)
            assert watch.revoked
        with pytest.raises(InvalidTokenError):
            await f.verifier.verify(token)
        async with f.verifier.watch(verified) as late:
            await asyncio.wait_for(late.wait(), PATIENCE)
        assert [(it.covers(verified), loop) for it, loop in told] == [(True, asyncio.get_running_loop())]

    following(test, on_revoked=lambda revocation: told.append((revocation, asyncio.get_running_loop())))


def test_a_position_is_waited_for() -> None:
    async def test(f: Loaded) -> None:
        token = f.token()
        waiting = asyncio.ensure_future(f.verifier.verify_at_least("p1", token))
        nonce = await asyncio.to_thread(f.stream.asked_for, "p1")
        f.stream.revoked(6, 1)
        f.stream.reached(nonce, 6, True)
        with pytest.raises(InvalidTokenError):
            await waiting
        with pytest.raises(InvalidTokenError):
            await f.verifier.verify_at_least("p1", token)
        for position, reached in (("p2", False), ("p3", None)):
            waiting = asyncio.ensure_future(f.verifier.verify_at_least(position, token))
            nonce = await asyncio.to_thread(f.stream.asked_for, position)
            if reached is None:
                f.stream.end()
            else:
                f.stream.reached(nonce, 6, reached)
            with pytest.raises(UnknownTokenError):
                await waiting
        with pytest.raises(UnknownTokenError):
            await f.verifier.verify_at_least("1" * 65, token)

    following(test, ask_timeout=PATIENCE)


def test_past_the_bound_the_server_is_asked() -> None:
    async def test(f: Loaded) -> None:
        asked: list[Any] = []

        def verify(request: Any) -> auth_service_pb2.VerifyAccessTokenResponse:
            asked.append(request)
            if len(asked) == 1:
                return auth_service_pb2.VerifyAccessTokenResponse(verified=verification_pb2.VerifiedToken())
            raise PermissionError("not now")

        f.server.verify = verify
        token = f.token()
        f.clock.advance(11_000)
        assert (await f.verifier.verify(token)).username == "ada"
        with pytest.raises(UnknownTokenError):
            await f.verifier.verify(token)

    following(test, on_stale=OnStale.ASK_SERVER, ping_interval=3600, ask_timeout=PATIENCE)


def test_past_the_bound_nothing_is_known() -> None:
    async def test(f: Loaded) -> None:
        token = f.token()
        f.clock.advance(11_000)
        with pytest.raises(UnknownTokenError):
            await f.verifier.verify(token)

    following(test, ping_interval=3600)


def test_the_first_call_waits_and_the_loop_goes_on() -> None:
    async def run() -> None:
        server, signer = FakeServer(), Signer()
        verifier = countersign.aio.Verifier(**quick(server.address, ask_timeout=PATIENCE))
        verified = asyncio.ensure_future(verifier.verify(signer.token(now=int(time.time()))))
        stream = await asyncio.to_thread(server.next)
        stream.started()
        assert not await verifier.ready(0.01) and not verified.done()
        stream.load(signer)
        assert (await verified).username == "ada"
        await verifier.close()
        await asyncio.to_thread(server.stop)

    asyncio.run(run())


def test_one_stream_for_threads_and_asyncio() -> None:
    with Following() as f:
        shared = countersign.aio.Verifier.sharing(f.verifier)
        for _ in range(2):  # loops
            assert asyncio.run(shared.verify(f.token())).username == "ada"
        assert isinstance(f.verifier, Verifier) and f.server.arrivals.empty()


def test_one_that_is_closed_is_never_ready() -> None:
    async def run() -> None:
        verifier = countersign.aio.Verifier(**quick("127.0.0.1:1"))
        await verifier.close()
        assert not await verifier.ready()

    asyncio.run(run())

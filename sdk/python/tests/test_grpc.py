"""The interceptors of gRPC servers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

import countersign.grpc
from countersign import Token, current_token
from countersign._retry import error_of
from countersign._watch import Watch, Watchers
from support import PATIENCE
from test_middleware import AioAnswers, Answers

Methods = dict[str, Any]

KINDS = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]
REFUSALS = [
    (None, grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", None),
    ("Bearer expired", grpc.StatusCode.UNAUTHENTICATED, "ACCESS_TOKEN_EXPIRED", None),
    ("Bearer other", grpc.StatusCode.UNAVAILABLE, "REVOCATIONS_STALE", 1.0),
]


def name() -> bytes:
    token = current_token()
    return b"nobody" if token is None else token.username.encode()


class Handlers(grpc.GenericRpcHandler):
    def __init__(self, **methods: Any) -> None:
        self.methods = {f"/test.Test/{name}": method for name, method in methods.items()}

    def service(self, handler_call_details: Any) -> Any:
        return self.methods.get(handler_call_details.method)


def metadata(authorization: str | None) -> Any:
    return [] if authorization is None else [("authorization", authorization)]


def call(channel: Any, kind: str, messages: Any, authorization: str | None, name: str | None = None) -> Any:
    """Calls a method of a kind. ``messages`` are those of a stream, or the one."""
    method = getattr(channel, kind)(f"/test.Test/{name or kind}")
    request = messages if kind.startswith("stream") else messages[0]
    return method(request, metadata=metadata(authorization), timeout=PATIENCE)


# Threads


class Watching(Answers):
    """A verifier whose tokens the test revokes."""

    def __init__(self) -> None:
        self.watchers = Watchers()
        self.watches: list[Watch] = []

    def verify(self, token: str, audiences: Collection[str] | None = None) -> Token:
        return super().verify(token, audiences)

    def watch(self, token: Token, call: Callable[[], None] | None = None) -> Watch:
        watch = Watch(self.watchers, token, call)
        self.watchers.add(watch)
        self.watches.append(watch)
        return watch

    def revoke(self) -> None:
        for watch in self.watches:
            watch.tell()


def echo(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
    for request in requests:
        yield name() + request


SYNC_METHODS: Methods = {
    "unary_unary": grpc.unary_unary_rpc_method_handler(lambda request, _: name() + request),
    "unary_stream": grpc.unary_stream_rpc_method_handler(lambda request, _: iter([name(), request])),
    "stream_unary": grpc.stream_unary_rpc_method_handler(lambda requests, _: name() + b"".join(requests)),
    "stream_stream": grpc.stream_stream_rpc_method_handler(echo),
}


@contextmanager
def serving(verifier: Watching, methods: Methods = SYNC_METHODS, **options: Any) -> Iterator[grpc.Channel]:
    server = grpc.server(ThreadPoolExecutor(8), interceptors=[countersign.grpc.Interceptor(verifier, **options)])
    server.add_generic_rpc_handlers([Handlers(**methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(None).wait(PATIENCE)


def whole(answer: Any) -> bytes:
    return answer if isinstance(answer, bytes) else b"".join(answer)


@pytest.mark.parametrize("kind", KINDS)
def test_calls(kind: str) -> None:
    verifier = Watching()
    with serving(verifier) as channel:
        messages = [b"1"]
        assert whole(call(channel, kind, iter(messages) if kind.startswith("stream") else messages, "Bearer good")) == b"ada1"
        for authorization, code, reason, retry_after in REFUSALS:
            with pytest.raises(grpc.RpcError) as caught:
                whole(call(channel, kind, iter(messages) if kind.startswith("stream") else messages, authorization))
            error = error_of(caught.value)
            assert (error.status, error.reason, error.retry_after) == (code, reason, retry_after)
    assert not verifier.watchers.sessions


def test_open_methods_are_for_everybody() -> None:
    with serving(Watching(), open=lambda method: method == "/test.Test/unary_unary") as channel:
        assert call(channel, "unary_unary", [b"1"], None) == b"nobody1"
        for kind, code in (("unary_stream", grpc.StatusCode.UNAUTHENTICATED),):
            with pytest.raises(grpc.RpcError) as caught:
                whole(call(channel, kind, [b"1"], None))
            assert caught.value.code() is code
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, "unary_unary", [b"1"], None, "none")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


class Open:
    """Requests that do not end."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b"1"
        self.over.wait(PATIENCE)


@pytest.mark.parametrize("kind", ["stream_stream", "stream_unary"])
def test_an_open_stream_ends_though_the_peer_says_nothing(kind: str) -> None:
    verifier, requests, entered = Watching(), Open(), threading.Event()

    def collect(incoming: Iterator[bytes], _: Any) -> bytes:
        next(incoming)
        entered.set()
        return b"".join(incoming)

    methods = SYNC_METHODS | {"stream_unary": grpc.stream_unary_rpc_method_handler(collect)}
    with serving(verifier, methods) as channel:
        answer: Any
        untyped: Any = channel
        if kind == "stream_unary":
            answer = untyped.stream_unary("/test.Test/stream_unary").future(iter(requests), metadata=metadata("Bearer good"))
            assert entered.wait(PATIENCE)
        else:
            answer = call(channel, kind, iter(requests), "Bearer good")
            assert next(answer) == b"ada1"
        # The handler waits for a message that never comes.
        verifier.revoke()
        with pytest.raises(grpc.RpcError) as caught:
            answer.result() if kind == "stream_unary" else next(answer)
        requests.over.set()
        error = error_of(caught.value)
    assert (error.status, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "SESSION_REVOKED")
    assert not verifier.watchers.sessions


def test_a_handler_that_waits_for_something_else_is_cancelled() -> None:
    verifier, over = Watching(), threading.Event()

    def waits(request: bytes, context: Any) -> Iterator[bytes]:
        context.add_callback(over.set)
        yield b"1"
        assert over.wait(PATIENCE)
        yield b"2"

    with serving(verifier, {"unary_stream": grpc.unary_stream_rpc_method_handler(waits)}) as channel:
        answer = call(channel, "unary_stream", [b""], "Bearer good")
        assert next(answer) == b"1"
        verifier.revoke()
        with pytest.raises(grpc.RpcError) as caught:
            next(answer)
        assert caught.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAUTHENTICATED)
        assert over.wait(PATIENCE)


def test_an_error_of_a_handler_is_its_own() -> None:
    def fails(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield next(requests)
        context.abort(grpc.StatusCode.ABORTED, "as it likes")

    verifier = Watching()
    with serving(verifier, {"stream_stream": grpc.stream_stream_rpc_method_handler(fails)}) as channel:
        answer = call(channel, "stream_stream", iter([b"1"]), "Bearer good")
        assert next(answer) == b"1"
        with pytest.raises(grpc.RpcError) as caught:
            next(answer)
    assert caught.value.code() is grpc.StatusCode.ABORTED and not verifier.watchers.sessions


# asyncio


async def aio_unary(request: bytes, _: Any) -> bytes:
    return name() + request


async def aio_answers(request: bytes, _: Any) -> AsyncIterator[bytes]:
    yield name()
    yield request


async def aio_collects(requests: AsyncIterator[bytes], _: Any) -> bytes:
    return name() + b"".join([request async for request in requests])


async def aio_echo(requests: AsyncIterator[bytes], context: Any) -> None:
    async for request in requests:
        await context.write(name() + request)


AIO_METHODS: Methods = {
    "unary_unary": grpc.unary_unary_rpc_method_handler(aio_unary),
    "unary_stream": grpc.unary_stream_rpc_method_handler(aio_answers),
    "stream_unary": grpc.stream_unary_rpc_method_handler(aio_collects),
    "stream_stream": grpc.stream_stream_rpc_method_handler(aio_echo),
}


@asynccontextmanager
async def aio_serving(verifier: AioAnswers, methods: Methods = AIO_METHODS, **options: Any) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server(interceptors=[countersign.grpc.AioInterceptor(verifier, **options)])
    server.add_generic_rpc_handlers([Handlers(**methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


async def aio_whole(answer: Any) -> bytes:
    if hasattr(answer, "__aiter__"):
        return b"".join([part async for part in answer])
    result: bytes = await answer
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_aio_calls(kind: str) -> None:
    async def run() -> None:
        async with aio_serving(AioAnswers()) as channel:
            assert await aio_whole(call(channel, kind, [b"1"], "Bearer good")) == b"ada1"
            for authorization, code, reason, retry_after in REFUSALS:
                with pytest.raises(grpc.RpcError) as caught:
                    await aio_whole(call(channel, kind, [b"1"], authorization))
                error = error_of(caught.value)
                assert (error.status, error.reason, error.retry_after) == (code, reason, retry_after)

    asyncio.run(run())


def test_aio_open_methods_are_for_everybody() -> None:
    async def run() -> None:
        async with aio_serving(AioAnswers(), open=lambda method: method == "/test.Test/unary_unary") as channel:
            assert await call(channel, "unary_unary", [b"1"], None) == b"nobody1"
            with pytest.raises(grpc.RpcError):
                await aio_whole(call(channel, "unary_stream", [b"1"], None))

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["unary_stream", "stream_unary", "stream_stream"])
def test_aio_an_open_stream_ends_wherever_it_waits(kind: str) -> None:
    async def run() -> None:
        verifier, entered, ended = AioAnswers(), asyncio.Event(), asyncio.Event()

        async def waits(_: Any, context: Any) -> None:
            try:
                entered.set()
                await asyncio.Event().wait()
            finally:
                ended.set()

        async def messages() -> AsyncIterator[bytes]:
            yield b"1"
            await asyncio.Event().wait()

        handler = getattr(grpc, f"{kind}_rpc_method_handler")(waits)
        async with aio_serving(verifier, {kind: handler}) as channel:
            answer = call(channel, kind, messages() if kind.startswith("stream") else [b"1"], "Bearer good")
            result = asyncio.ensure_future(aio_whole(answer))
            await asyncio.wait_for(entered.wait(), PATIENCE)
            verifier.revoked.set()
            with pytest.raises(grpc.RpcError) as caught:
                await result
            error = error_of(caught.value)
            assert (error.status, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "SESSION_REVOKED")
            assert ended.is_set()

    asyncio.run(run())


def test_aio_an_error_of_a_handler_is_its_own() -> None:
    async def fails(requests: AsyncIterator[bytes], context: Any) -> None:
        await context.abort(grpc.StatusCode.ABORTED, "as it likes")

    async def run() -> None:
        async with aio_serving(AioAnswers(), {"stream_stream": grpc.stream_stream_rpc_method_handler(fails)}) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                await aio_whole(call(channel, "stream_stream", [b"1"], "Bearer good"))
            assert error_of(caught.value).status is grpc.StatusCode.ABORTED

    asyncio.run(run())


def test_aio_handlers_must_be_asynchronous() -> None:
    async def run() -> None:
        async with aio_serving(AioAnswers(), SYNC_METHODS) as channel:
            with pytest.raises(grpc.RpcError):
                await call(channel, "unary_unary", [b"1"], "Bearer good")

    asyncio.run(run())

"""A server whose every word is the test's."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from countersign import Verifier
from countersign.v1 import auth_service_pb2, auth_service_pb2_grpc, revocation_service_pb2_grpc
from countersign.v1 import revocation_service_pb2 as pb
from support import AUDIENCE, ISSUER, PATIENCE, Signer, TestClock, id_of

_END = object()


class FakeStream:
    """One client's stream."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.metadata = metadata
        self.said: queue.Queue[pb.WatchRevocationsRequest] = queue.Queue()
        self.told: queue.Queue[Any] = queue.Queue()

    def hear(self) -> pb.WatchRevocationsRequest:
        return self.said.get(timeout=PATIENCE)

    def started(self) -> pb.WatchStart:
        message = self.hear()
        assert message.HasField("start"), "the first message is no start"
        return message.start

    def pinged(self) -> int:
        message = self.hear()
        assert message.HasField("ping"), "a start again"
        return message.ping.nonce

    def asked_for(self, position: str) -> int:
        """The next ping that asks for a position; the usual ones are passed over."""
        while True:
            ping = self.hear().ping
            if ping.at_least == position:
                return ping.nonce
            assert not ping.at_least, f"asks for {ping.at_least}"

    def tell(self, **message: Any) -> None:
        self.told.put(pb.WatchRevocationsResponse(**message))

    def end(self) -> None:
        """Ends the stream with OK."""
        self.told.put(_END)

    def fail(self, code: grpc.StatusCode) -> None:
        self.told.put(code)

    def begin(self, incarnation: int = 1, resumed: bool = False) -> None:
        self.tell(begin=pb.WatchBegin(incarnation=incarnation, resumed=resumed))

    def keys(self, *signers: Signer) -> None:
        keys = [pb.WatchKey(id=it.key.id, algorithm=it.key.algorithm, spki=it.key.spki) for it in signers]
        self.tell(key_set=pb.WatchKeySet(keys=keys))

    def revoked(self, sequence: int, *sessions: int) -> None:
        revoked = pb.WatchRevoked(sequence=sequence)
        for session in sessions:
            ended = revoked.sessions.add(session_id=id_of(session))
            ended.forget_at.FromSeconds(int(time.time()) + 3600)
        self.tell(revoked=revoked)

    def beat(self, nonce: int, sequence: int) -> None:
        heartbeat = pb.WatchHeartbeat(nonce=nonce, sequence=sequence)
        heartbeat.staleness.SetInParent()
        self.tell(heartbeat=heartbeat)

    def reached(self, nonce: int, sequence: int, reached: bool) -> None:
        self.tell(heartbeat=pb.WatchHeartbeat(nonce=nonce, sequence=sequence, reached=reached))

    def load(self, *signers: Signer, sequence: int = 5) -> None:
        """A client starts, and is told of the keys, of nothing that is revoked, and that this is all."""
        self.begin()
        self.keys(*signers)
        self.revoked(sequence)
        self.beat(self.pinged(), sequence)


class FakeServer(
    revocation_service_pb2_grpc.RevocationServiceServicer, auth_service_pb2_grpc.AuthServiceServicer
):  # fmt: skip
    def __init__(self, address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None) -> None:
        self.arrivals: queue.Queue[FakeStream] = queue.Queue()
        self.verify: Callable[[Any], auth_service_pb2.VerifyAccessTokenResponse] | None = None
        self.server = grpc.server(ThreadPoolExecutor(max_workers=32), options=[("grpc.so_reuseport", 0)])
        revocation_service_pb2_grpc.add_RevocationServiceServicer_to_server(self, self.server)
        auth_service_pb2_grpc.add_AuthServiceServicer_to_server(self, self.server)
        if credentials is None:
            port = self.server.add_insecure_port(address)
        else:
            port = self.server.add_secure_port(address, credentials)
        self.address = f"127.0.0.1:{port}"
        self.server.start()

    def VerifyAccessToken(self, request: Any, context: Any) -> Any:
        assert self.verify is not None
        try:
            return self.verify(request)
        except PermissionError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))

    def WatchRevocations(self, request_iterator: Any, context: Any) -> Iterator[pb.WatchRevocationsResponse]:
        stream = FakeStream(dict(context.invocation_metadata()))
        self.arrivals.put(stream)

        def receive() -> None:
            try:
                for message in request_iterator:
                    stream.said.put(message)
            except Exception:
                pass

        threading.Thread(target=receive, daemon=True).start()
        if not context.add_callback(stream.end):
            return  # The client has gone already, and nobody would end it.
        while (message := stream.told.get()) is not _END:
            if isinstance(message, grpc.StatusCode):
                context.abort(message, "as the test says")
            yield message

    def next(self) -> FakeStream:
        """The next client that comes."""
        return self.arrivals.get(timeout=PATIENCE)

    def stop(self) -> None:
        self.server.stop(None).wait(PATIENCE)


def quick(address: str, clock: TestClock | None = None, **changed: Any) -> dict[str, Any]:
    """The arguments of a verifier for tests that do not wait."""
    arguments = {
        "endpoint": f"http://{address}", "issuer": ISSUER, "audiences": [AUDIENCE], "ping_interval": 0.005,
        "max_backoff": 0.01, "ask_timeout": 0.2, "clock": clock,
    }  # fmt: skip
    return arguments | changed


class Following:
    """A verifier that has loaded what the fake server told: one key, and nothing revoked, up to position 5."""

    def __init__(self, **changed: Any) -> None:
        self.server, self.clock, self.signer = FakeServer(), TestClock(), Signer()
        self.verifier = Verifier(**quick(self.server.address, **{"clock": self.clock} | changed))
        self.verifier.start()
        self.stream = self.server.next()
        assert not self.stream.started().HasField("resume")
        self.stream.load(self.signer)
        assert self.verifier.ready(PATIENCE)

    def token(self, session: int = 1, **changed: Any) -> str:
        return self.signer.token(session, self.clock.wall() // 1000, **changed)

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self.verifier.close()
        self.server.stop()

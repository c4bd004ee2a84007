"""Servers that do not speak as they should."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest

from countersign import Verifier
from countersign._caller import Caller
from countersign._endpoint import Endpoint
from countersign._http2 import MAX_MESSAGE_BYTES, Connection, EndOfCall, LostError, RpcError
from fake import quick
from support import PATIENCE, until

_OK = [(":status", "200"), ("content-type", "application/grpc")]


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[Endpoint]:
    """Serves each connection in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=run, args=[connection], daemon=True).start()

    def run(connection: socket.socket) -> None:
        with connection:
            try:
                serve(connection)
            except (OSError, h2.exceptions.ProtocolError):
                pass

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    with listener:
        endpoint = Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}", None)
        endpoint.resolve()
        yield endpoint
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE)


def speaking(answer: Callable[[h2.connection.H2Connection, int], Any]) -> Callable[[socket.socket], None]:
    """Speaks HTTP/2, and answers each request when it is whole."""

    def serve(connection: socket.socket) -> None:
        speaker = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        speaker.initiate_connection()
        connection.sendall(speaker.data_to_send())
        while data := connection.recv(65_536):
            for event in speaker.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    assert event.stream_id is not None
                    answer(speaker, event.stream_id)
            connection.sendall(speaker.data_to_send())

    return serve


def call(endpoint: Endpoint, timeout: float = PATIENCE) -> bytes:
    caller = Caller(endpoint)
    try:
        return caller.call("/test/Call", None, b"question", timeout)
    finally:
        caller.close()


def failure(answer: Callable[[h2.connection.H2Connection, int], Any]) -> RpcError:
    with listening(speaking(answer)) as endpoint, pytest.raises(RpcError) as caught:
        call(endpoint)
    return caught.value


def message(text: bytes, compressed: int = 0, length: int | None = None) -> bytes:
    return struct.pack(">BI", compressed, len(text) if length is None else length) + text


def test_an_answer() -> None:
    def answer(speaker: h2.connection.H2Connection, stream: int) -> None:
        speaker.send_headers(stream, _OK)
        whole = message(b"answer")
        # A message may come in any parts.
        for at in range(len(whole)):
            speaker.send_data(stream, whole[at : at + 1])
        speaker.send_headers(stream, [("grpc-status", "0")], end_stream=True)

    with listening(speaking(answer)) as endpoint:
        caller = Caller(endpoint)
        for _ in range(3):
            assert caller.call("/test/Call", "key", b"question", PATIENCE) == b"answer"
        # On one connection.
        assert len(caller._idle) == 1
        caller.close()


def test_a_status_without_an_answer() -> None:
    trailers = [*_OK, ("grpc-status", "7"), ("grpc-message", "not%20you"), ("grpc-status-details-bin", "!!")]
    error = failure(lambda speaker, stream: speaker.send_headers(stream, trailers, end_stream=True))
    assert error.code == 7 and error.details.message == "not you"


def test_an_answer_that_is_no_grpc() -> None:
    error = failure(lambda speaker, stream: speaker.send_headers(stream, [(":status", "404")], end_stream=True))
    assert error.code == 14 and "404" in str(error)


def test_a_compressed_message() -> None:
    def answer(speaker: h2.connection.H2Connection, stream: int) -> None:
        speaker.send_headers(stream, _OK)
        speaker.send_data(stream, message(b"?", compressed=1))

    assert failure(answer).code == 13


def test_a_message_that_is_too_long_is_not_waited_for() -> None:
    def answer(speaker: h2.connection.H2Connection, stream: int) -> None:
        speaker.send_headers(stream, _OK)
        speaker.send_data(stream, message(b"", length=MAX_MESSAGE_BYTES + 1))

    assert failure(answer).code == 8


def test_no_answer_and_two_answers() -> None:
    for count in (0, 2):

        def answer(speaker: h2.connection.H2Connection, stream: int, count: int = count) -> None:
            speaker.send_headers(stream, _OK)
            speaker.send_data(stream, message(b"answer") * count)
            speaker.send_headers(stream, [("grpc-status", "0")], end_stream=True)

        assert f"{count} answers" in str(failure(answer))


def test_a_reset_and_a_goodbye() -> None:
    assert failure(lambda speaker, stream: speaker.reset_stream(stream)).code == 14
    assert failure(lambda speaker, stream: speaker.close_connection()).code == 14
    assert failure(lambda speaker, stream: speaker.close_connection(error_code=2)).code == 14


def test_what_stands_before_a_goodbye_is_taken() -> None:
    def serve(connection: socket.socket) -> None:
        def answer(speaker: h2.connection.H2Connection, stream: int) -> None:
            speaker.send_headers(stream, _OK)
            speaker.send_data(stream, message(b"answer"))
            after = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            after.initiate_connection()
            after.clear_outbound_data_buffer()
            after.close_connection()
            # In one piece, and with something behind it.
            connection.sendall(speaker.data_to_send() + after.data_to_send() + b"\0\0\0\0\0\0\0\0\x01")

        speaking(answer)(connection)

    with listening(serve) as endpoint:
        connection = Connection(endpoint, PATIENCE)
        connection.begin("/test/Call", None)
        connection.send(b"question", last=True)
        answers: list[bytes] = []
        with pytest.raises(EndOfCall):
            while True:
                answers += connection.receive(PATIENCE)
        assert answers == [b"answer"]
        connection.close()


def test_a_connection_that_was_kept_and_is_closed_is_replaced() -> None:
    served: list[int] = []

    def serve(connection: socket.socket) -> None:
        def answer(speaker: h2.connection.H2Connection, stream: int) -> None:
            served.append(stream)
            speaker.send_headers(stream, _OK)
            speaker.send_data(stream, message(b"answer"))
            speaker.send_headers(stream, [("grpc-status", "0")], end_stream=True)
            connection.sendall(speaker.data_to_send())
            connection.shutdown(socket.SHUT_RDWR)

        speaking(answer)(connection)

    with listening(serve) as endpoint:
        caller = Caller(endpoint)
        for _ in range(3):
            assert caller.call("/test/Call", None, b"question", PATIENCE) == b"answer"
    assert served == [1, 1, 1]
    caller.close()


def test_what_is_no_http2() -> None:
    for text in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100, b""):

        def serve(connection: socket.socket, text: bytes = text) -> None:
            connection.sendall(text)

        with listening(serve) as endpoint, pytest.raises(RpcError):
            call(endpoint)


def test_silence_ends_at_the_deadline() -> None:
    with listening(lambda connection: time.sleep(PATIENCE)) as endpoint:
        begun = time.monotonic()
        with pytest.raises(RpcError) as caught:
            call(endpoint, timeout=0.2)
        assert caught.value.code == 4 and 0.2 <= time.monotonic() - begun < PATIENCE


def test_an_address_that_nobody_has() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = Endpoint(f"http://127.0.0.1:{unused.getsockname()[1]}", None)
        endpoint.resolve()
        with pytest.raises(RpcError, match="cannot be reached"):
            call(endpoint)
    with pytest.raises(OSError, match="cannot be looked up"):
        Endpoint("http://nowhere.invalid:1", None).resolve()


def test_a_large_message_is_read_within_its_window() -> None:
    large = bytes(3 << 20)

    def serve(connection: socket.socket) -> None:
        speaker = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        speaker.initiate_connection()
        left, stream = b"", 0
        while True:
            connection.sendall(speaker.data_to_send())
            data = connection.recv(65_536)
            if not data:
                return
            for event in speaker.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    assert event.stream_id is not None
                    stream, left = event.stream_id, message(large)
                    speaker.send_headers(stream, _OK)
            while left and (room := min(speaker.local_flow_control_window(stream), speaker.max_outbound_frame_size)):
                speaker.send_data(stream, left[:room])
                left = left[room:]
                if not left:
                    speaker.send_headers(stream, [("grpc-status", "0")], end_stream=True)

    with listening(serve) as endpoint:
        assert call(endpoint) == large


def test_what_cannot_be_sent_waits_and_is_bounded() -> None:
    """A server that never reads: pings are left out, and the stream is left once one is overdue."""
    arrivals: list[float] = []

    def serve(connection: socket.socket) -> None:
        arrivals.append(time.monotonic())
        time.sleep(PATIENCE)

    with listening(serve) as endpoint:
        with Verifier(**quick(f"127.0.0.1:{endpoint.port}", patience=0.3)):
            until("it has tried again", lambda: len(arrivals) >= 3)
        assert arrivals[1] - arrivals[0] >= 0.3


def test_a_call_that_has_ended_says_so_again() -> None:
    def answer(speaker: h2.connection.H2Connection, stream: int) -> None:
        speaker.send_headers(stream, [*_OK, ("grpc-status", "0")], end_stream=True)

    with listening(speaking(answer)) as endpoint:
        connection = Connection(endpoint, PATIENCE)
        connection.begin("/test/Call", None)
        connection.send(b"question", last=True)
        for _ in range(2):
            with pytest.raises(EndOfCall):
                while True:
                    connection.receive(PATIENCE)
        connection.close()


def test_a_server_that_floods_and_does_not_read_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign._http2._MAX_OUT", 20_000)

    class Full:
        """A socket that takes nothing."""

        def __init__(self, inner: socket.socket) -> None:
            self.recv, self.close = inner.recv, inner.close

        def send(self, _: bytes) -> int:
            raise BlockingIOError

    def serve(connection: socket.socket) -> None:
        speaker = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        speaker.initiate_connection()
        for _ in range(2_000):
            speaker.ping(b"12345678")
        connection.sendall(speaker.data_to_send())
        time.sleep(PATIENCE)

    with listening(serve) as endpoint:
        connection = Connection(endpoint, PATIENCE)
        connection.begin("/test/Call", None)
        plain = connection._socket
        connection._wait = lambda timeout: None  # type: ignore[method-assign]
        connection._socket = Full(plain)  # type: ignore[assignment]
        with pytest.raises(LostError, match="does not read"):
            while True:
                connection.receive(PATIENCE)
        connection.close()

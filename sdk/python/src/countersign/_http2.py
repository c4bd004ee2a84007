"""Calls of gRPC over HTTP/2 on a plain socket, for the stream of revocations.

Not with grpcio: a process that has called with it cannot fork safely. Its threads are not in the child, and of a hundred
children whose parent had a stream open some fifteen abort and others hang at their first channel; even where everything was
closed before the fork a few hang (grpcio 1.85, https://github.com/grpc/grpc/issues/41768). What is here has no thread and no
state but a socket, so a child closes its copy and begins its own.
"""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
import struct
from collections import deque
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from ._endpoint import Endpoint
from ._errors import CountersignError, ErrorDetails, decode_binary, parse_details

# Bounds one message of the server's.
MAX_MESSAGE_BYTES = 16 << 20
# How much the server may send before it is read.
_WINDOW = 1 << 24
_READ = 1 << 16
# How many bytes may wait to be sent: answers to the server's own frames too.
_MAX_OUT = 1 << 20
# A frame begins with its length and what it is.
_FRAME_HEAD = 9
# How many header bytes the server may send.
_MAX_HEADERS = 1 << 16

_PREFIX = struct.Struct(">BI")

OK = 0
UNKNOWN = 2
DEADLINE_EXCEEDED = 4
RESOURCE_EXHAUSTED = 8
INTERNAL = 13
UNAVAILABLE = 14

# epoll would be shared with a child.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)

# It would log each header at the level DEBUG, and a credential is in one.
_hpack = logging.getLogger("hpack")
if _hpack.level == logging.NOTSET:
    _hpack.setLevel(logging.INFO)


class RpcError(CountersignError):
    """A call that the server did not answer, or not with a message."""

    def __init__(self, code: int, details: ErrorDetails) -> None:
        """Takes a status of gRPC."""
        super().__init__(f"code {code} {details.reason} {details.message}".replace("  ", " ").strip())
        self.code = code
        self.details = details
        self.reason = details.reason


class LostError(RpcError):
    """The connection was lost, or could not be made."""

    def __init__(self, message: str) -> None:
        """Takes why."""
        super().__init__(UNAVAILABLE, ErrorDetails(message))


class EndOfCall(Exception):  # noqa: N818 It is no error.
    """The server has ended the call with OK, or is about to close the connection."""


def failure(code: int, message: str) -> RpcError:
    """An error that does not come from the server."""
    return RpcError(code, ErrorDetails(message))


class Wake:
    """Wakes a thread that waits in `Connection.receive`."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)

    def wake(self) -> None:
        """Wakes it, now or when it waits next."""
        try:
            self._writer.send(b"\0")
        except OSError:
            # Full: it will wake. Or closed: nobody waits any more.
            pass

    def drain(self) -> None:
        """Takes what has woken it."""
        try:
            while self.reader.recv(256):
                pass
        except OSError:
            pass

    def close(self) -> None:
        """Closes both ends."""
        self.reader.close()
        self._writer.close()


class Connection:
    """A connection for one call at a time, used by one thread."""

    def __init__(self, endpoint: Endpoint, timeout: float, wake: Wake | None = None) -> None:
        """Connects, within ``timeout`` seconds. ``wake`` ends the wait of `receive`. Raises RpcError."""
        self._endpoint = endpoint
        self._wake = wake
        try:
            self._socket = endpoint.connect(timeout)
        except (OSError, ValueError) as error:
            raise LostError(f"{endpoint.authority} cannot be reached: {error}") from error
        self._socket.setblocking(False)
        self._selector = _Selector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        if wake is not None:
            self._selector.register(wake.reader, selectors.EVENT_READ)
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self._h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: _MAX_HEADERS,
            },
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW - 65_535)
        self._out = bytearray()
        self._raw = bytearray()
        self._closing = False
        self._stream = 0
        self._reset()

    def _reset(self) -> None:
        self._unsent: deque[tuple[bytes, bool]] = deque()
        self._buffer = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._messages: deque[bytes] = deque()
        self._ended = False

    def begin(self, path: str, credential: str | None, timeout: float | None = None) -> None:
        """Begins a call. ``timeout`` is told to the server."""
        self._reset()
        headers = [
            (":method", "POST"),
            (":scheme", self._endpoint.scheme),
            (":path", path),
            (":authority", self._endpoint.authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "countersign-python"),
        ]
        if timeout is not None:
            headers.append(("grpc-timeout", f"{max(int(timeout * 1000), 1)}m"))
        if credential is not None:
            headers.append(("authorization", f"Bearer {credential}"))
        try:
            self._stream = self._h2.get_next_available_stream_id()
            self._h2.send_headers(self._stream, headers)
            self._h2.increment_flow_control_window(_WINDOW, self._stream)
        except h2.exceptions.H2Error as error:
            raise LostError(f"HTTP/2: {error}") from error

    @property
    def unsent(self) -> int:
        """How many messages wait to be sent."""
        return len(self._unsent) + (1 if self._out else 0)

    def send(self, message: bytes, last: bool = False) -> None:
        """Sends a message as soon as there is room for it. Raises RpcError."""
        self._unsent.append((_PREFIX.pack(0, len(message)) + message, last))
        self._flush()

    def receive(self, timeout: float) -> list[bytes]:
        """Waits for messages, at most ``timeout`` seconds or until it is woken; none may have come then.

        Raises EndOfCall when the call has ended with OK, and RpcError.
        """
        if not self._ended:
            self._flush()
            # What was read before may wait in the TLS layer, which a selector does not see.
            if not self._read():
                self._wait(timeout)
                self._read()
            self._flush()
        messages = list(self._messages)
        self._messages.clear()
        if not messages and self._ended:
            self._raise_status()
        return messages

    def _wait(self, timeout: float) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        if self._selector.get_key(self._socket).events != events:
            self._selector.modify(self._socket, events)
        ready = self._selector.select(max(timeout, 0))
        if self._wake is not None and any(key.fileobj is self._wake.reader for key, _ in ready):
            self._wake.drain()

    def _flush(self) -> None:
        try:
            self._fill()
            self._out += self._h2.data_to_send()
            if len(self._out) > _MAX_OUT:
                raise LostError("the server does not read")
            while self._out:
                # TLS wants the same bytes again after it could not send them: they stay at the head.
                del self._out[: self._socket.send(bytes(self._out[:_READ]))]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            raise LostError(f"the connection was lost: {error}") from error
        except h2.exceptions.H2Error as error:
            raise LostError(f"HTTP/2: {error}") from error

    def _fill(self) -> None:
        """Hands on what flow control has room for."""
        while self._unsent and not self._ended:
            data, last = self._unsent[0]
            room = min(self._h2.local_flow_control_window(self._stream), self._h2.max_outbound_frame_size)
            if room <= 0:
                return
            self._h2.send_data(self._stream, data[:room], end_stream=last and len(data) <= room)
            self._unsent.popleft()
            if len(data) > room:
                self._unsent.appendleft((data[room:], last))

    def _read(self) -> bool:
        """Reads once. Says whether there was something."""
        try:
            data = self._socket.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            raise LostError(f"the connection was lost: {error}") from error
        if not data:
            raise LostError("the server closed the connection")
        self._raw += data
        try:
            # One frame at a time: h2 takes nothing behind a GOAWAY, and would lose what stands before it.
            while not self._closing and (frame := self._next_frame()):
                for event in self._h2.receive_data(frame):
                    self._take(event)
        except h2.exceptions.H2Error as error:
            raise LostError(f"HTTP/2: {error}") from error
        return True

    def _next_frame(self) -> bytes:
        """The next frame (RFC 9113 section 4.1), empty where it is not whole yet."""
        if len(self._raw) < _FRAME_HEAD:
            return b""
        end = _FRAME_HEAD + int.from_bytes(self._raw[:3], "big")
        if end > _FRAME_HEAD + self._h2.max_inbound_frame_size:
            raise LostError("what the server sends is no HTTP/2")
        if len(self._raw) < end:
            return b""
        frame = bytes(self._raw[:end])
        del self._raw[:end]
        return frame

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            # What has come before is handed on first.
            self._ended = self._closing = True
            code = event.error_code or 0
            self._headers = {b"grpc-status": b"0"} if code == 0 else {b"grpc-status": b"14"}
        elif getattr(event, "stream_id", self._stream) != self._stream or self._ended:
            return
        elif isinstance(event, h2.events.DataReceived):
            self._take_data(event)
        elif isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
            self._headers.update((bytes(name), bytes(value)) for name, value in event.headers or [])
        elif isinstance(event, h2.events.StreamEnded):
            self._ended = True
        elif isinstance(event, h2.events.StreamReset):
            raise failure(UNAVAILABLE, f"the server reset the stream ({event.error_code})")

    def _take_data(self, event: h2.events.DataReceived) -> None:
        self._buffer += event.data or b""
        self._h2.acknowledge_received_data(event.flow_controlled_length or 0, self._stream)
        at = 0
        while len(self._buffer) - at >= _PREFIX.size:
            compressed, length = _PREFIX.unpack_from(self._buffer, at)
            if compressed:
                raise failure(INTERNAL, "a compressed message, though none was asked for")
            if length > MAX_MESSAGE_BYTES:
                raise failure(RESOURCE_EXHAUSTED, f"a message of {length} bytes")
            if len(self._buffer) - at - _PREFIX.size < length:
                break
            at += _PREFIX.size
            self._messages.append(bytes(self._buffer[at : at + length]))
            at += length
        del self._buffer[:at]

    def _raise_status(self) -> None:
        status = self._headers.get(b"grpc-status")
        if status == b"0":
            raise EndOfCall
        if status is None or not status.isdigit():
            http = self._headers.get(b":status", b"none").decode("latin-1")
            raise failure(UNAVAILABLE, f"no status of gRPC, and the HTTP status {http}")
        message = unquote(self._headers.get(b"grpc-message", b"").decode("latin-1"))
        details = self._headers.get(b"grpc-status-details-bin", b"").decode("latin-1")
        raise RpcError(int(status), parse_details(message, decode_binary(details)))

    def close(self) -> None:
        """Closes the socket. In a child process that closes the child's copy, and tells the server nothing."""
        self._selector.close()
        self._socket.close()

"""The thread that follows a server."""

from __future__ import annotations

import logging
import threading
import time

from google.protobuf.message import DecodeError

from ._endpoint import Endpoint
from ._follower import Follower, NonsenseError, StreamEndedError
from ._http2 import Connection, EndOfCall, RpcError, Wake
from ._options import Options
from ._pauses import Pauses
from ._positions import Positions
from ._rules import Engine
from .v1 import revocation_service_pb2 as pb

logger = logging.getLogger("countersign")

_PATH = "/countersign.v1.RevocationService/WatchRevocations"
# How often what need not be remembered any more is forgotten, in seconds.
_PURGE_EVERY = 30.0
# How long a stream that is stopped is waited for, in seconds.
_STOP_WITHIN = 1.0
# Bounds what waits to be sent when the connection hangs.
_MAX_UNSENT = 8


class Stream:
    """Follows a server through every loss of the connection, in a thread of its own, until it is stopped."""

    def __init__(
        self, options: Options, endpoint: Endpoint, engine: Engine, follower: Follower, positions: Positions, pauses: Pauses
    ) -> None:
        """Begins at once."""
        self._options = options
        self._endpoint = endpoint
        self._engine = engine
        self._follower = follower
        self._positions = positions
        self._pauses = pauses
        self._stopping = threading.Event()
        self._wake = Wake()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._follow, name="countersign", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, and waits for it where that is soon: it may be connecting."""
        self._stopping.set()
        self._wake.wake()
        if self._thread is not threading.current_thread():
            self._thread.join(_STOP_WITHIN)

    def wake(self) -> None:
        """Says that a position is asked for."""
        self._wake.wake()

    def abandon(self) -> None:
        """Closes what a child process has of its parent's stream. The thread is not in the child."""
        self._wake.close()
        if self._connection is not None:
            self._connection.close()

    def _follow(self) -> None:
        try:
            while not self._stopping.is_set():
                self._follow_once_and_say_why()
        finally:
            self._wake.close()

    def _follow_once_and_say_why(self) -> None:
        try:
            self._follow_once()
            return  # stopped
        except EndOfCall:
            logger.debug("the server ended the stream of revocations; connecting again")
            pause = self._pauses.draw()
        except Exception as error:
            # Whatever it is, also what a callback raises: a thread that ends would be silence.
            unexpected = not isinstance(error, (RpcError, StreamEndedError, OSError))
            self._follower.end(error)
            pause = self._pauses.draw()
            logger.warning(
                "the stream of revocations was lost; connecting again in %.1f s: %s", pause, error, exc_info=unexpected
            )
        self._stopping.wait(pause)

    def _follow_once(self) -> None:
        start, conversation = self._follower.start()
        self._endpoint.resolve()
        connection = self._connection = Connection(self._endpoint, self._options.patience, self._wake)

        def send(ping: pb.WatchPing) -> bool:
            if connection.unsent >= _MAX_UNSENT:
                return False
            connection.send(pb.WatchRevocationsRequest(ping=ping).SerializeToString())
            return True

        try:
            connection.begin(_PATH, self._options.credential_text())
            connection.send(pb.WatchRevocationsRequest(start=start).SerializeToString())
            next_ping, next_purge = time.monotonic(), time.monotonic() + _PURGE_EVERY
            while not self._stopping.is_set():
                now = time.monotonic()
                if now >= next_ping:
                    next_ping = now + self._options.ping_interval
                    ping, sent = self._follower.ping(conversation)
                    # With no room to send it in, the earlier ones stand for it.
                    if send(ping):
                        sent()
                if now >= next_purge:
                    next_purge = now + _PURGE_EVERY
                    self._engine.revocations.purge(self._options.clock.wall())
                for asked in self._positions.take():
                    ping, sent = conversation.ask_position(asked)
                    # With no room to send it in, the connection hangs.
                    if send(ping):
                        sent()
                    else:
                        asked.give_up()
                for message in connection.receive(min(next_ping, next_purge) - time.monotonic()):
                    self._follower.take_in(_parse(message), conversation)
        finally:
            self._connection = None
            conversation.give_up()
            connection.close()


def _parse(message: bytes) -> pb.WatchRevocationsResponse:
    try:
        return pb.WatchRevocationsResponse.FromString(message)
    except DecodeError as error:
        raise NonsenseError(f"a message that cannot be read: {error}") from error

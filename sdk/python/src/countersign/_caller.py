"""Calls with one answer."""

from __future__ import annotations

import time
from collections import deque

from ._endpoint import Endpoint
from ._http2 import DEADLINE_EXCEEDED, Connection, EndOfCall, LostError, RpcError, failure


class Caller:
    """Makes calls with one answer, on connections that are kept. Any thread may call."""

    # How many connections that nobody uses are kept.
    _MAX_IDLE = 8

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._idle: deque[Connection] = deque(maxlen=self._MAX_IDLE)

    def call(self, path: str, credential: str | None, message: bytes, timeout: float) -> bytes:
        """Makes a call. Raises RpcError, after ``timeout`` seconds at the latest."""
        deadline = time.monotonic() + timeout
        connection = self._take()
        fresh = connection is None
        try:
            if connection is None:
                connection = Connection(self._endpoint, timeout)
            answer = self._call(connection, path, credential, message, deadline)
        except RpcError as error:
            if connection is not None:
                connection.close()
            # One that was kept may have been closed by the server meanwhile.
            if not fresh and isinstance(error, LostError) and deadline > time.monotonic():
                self.close()
                return self.call(path, credential, message, deadline - time.monotonic())
            raise
        self._keep(connection)
        return answer

    def _call(self, connection: Connection, path: str, credential: str | None, message: bytes, deadline: float) -> bytes:
        connection.begin(path, credential, deadline - time.monotonic())
        connection.send(message, last=True)
        answers: list[bytes] = []
        try:
            while (left := deadline - time.monotonic()) > 0:
                answers += connection.receive(left)
        except EndOfCall:
            if len(answers) == 1:
                return answers[0]
            # Without any the server was about to close the connection.
            raise LostError(f"{len(answers)} answers") from None
        raise failure(DEADLINE_EXCEEDED, "no answer in time")

    def _take(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _keep(self, connection: Connection) -> None:
        if len(self._idle) == self._MAX_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        while (connection := self._take()) is not None:
            connection.close()

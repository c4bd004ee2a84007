"""The test server as a child process."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Any

from ._world import World

_KEPT = 64 * 1024


class StartError(Exception):
    """The server did not start."""


class TestServer:
    """A running ``countersign test-server``. It is a context manager, which stops it; so does the end of this process."""

    # It is no test, whatever pytest makes of its name.
    __test__ = False

    def __init__(self, process: subprocess.Popen[bytes], said: dict[str, Any]) -> None:
        """Takes a server that has said where it is: see `start`."""
        self._process = process
        self._numbers = itertools.count(1)
        self.grpc: str = said["grpc"]
        """Where gRPC is served: ``127.0.0.1:41234``."""
        self.http: str = said["http"]
        """Where HTTP is served: ``http://127.0.0.1:41235``."""
        self.issuer: str = said["issuer"]
        """The issuer of its access tokens."""
        self.audience: str = said["audience"]
        """The audience of tokens that name none."""
        self.audiences: list[str] = said["audiences"]
        """Every audience that tokens can have."""

    @classmethod
    def start(cls, *, binary: str | None = None, arguments: Sequence[str] = (), patience: float = 30.0) -> TestServer:
        """Starts a server.

        Args:
            binary: The program; what the variable ``COUNTERSIGN_BIN`` names, or else ``countersign`` on the ``PATH``.
            arguments: More arguments of ``countersign test-server``, such as ``--issuer`` and ``--audience``.
            patience: How many seconds the start may take.

        Raises:
            StartError: It did not start, and why.
        """
        program = binary or os.environ.get("COUNTERSIGN_BIN") or "countersign"
        try:
            process = subprocess.Popen(  # noqa: S603 - the caller names the program
                [program, "test-server", "--until-stdin-closes", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise StartError(f"cannot run {program}: {error}; install it, or name it in COUNTERSIGN_BIN") from error
        first: list[bytes] = []
        errors = _Errors()
        assert process.stdout is not None and process.stderr is not None
        reading = threading.Thread(target=lambda out: first.append(out.readline()), args=(process.stdout,), daemon=True)
        passing_on = threading.Thread(target=errors.pass_on, args=(process.stderr,), daemon=True)
        reading.start()
        passing_on.start()
        reading.join(patience)
        if first and first[0]:
            return cls(process, json.loads(first[0]))
        _end(process)
        passing_on.join(patience)
        raise StartError(f"countersign test-server did not start: {errors}")

    def world(self, name: str | None = None) -> World:
        """A world for a test, which no other test has; or the world of this name: 1 to 63 of ``a-z 0-9 -``."""
        return World(self, name or f"python-{os.getpid()}-{next(self._numbers)}")

    def stop(self) -> None:
        """Ends the server."""
        _end(self._process)

    def __enter__(self) -> TestServer:
        """The server itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Ends the server."""
        self.stop()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


class _Errors:
    """Passes on what the server logs, and keeps the beginning of it."""

    def __init__(self) -> None:
        self._kept = b""

    def pass_on(self, source: IO[bytes]) -> None:
        with source:
            for line in source:
                if len(self._kept) < _KEPT:
                    self._kept += line
                sys.stderr.write(line.decode("utf-8", "replace"))

    def __str__(self) -> str:
        return self._kept.decode("utf-8", "replace").strip()

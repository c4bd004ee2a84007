"""A real server with its database, its keys and a Redis."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

from countersign import Client, Tokens, Verifier
from support import PATIENCE, skip, until

PASSWORD = "correct horse battery"

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def free_port() -> int:
    """One that nobody has, and that no connection gets while what listens there is started again."""
    while True:
        # Below those that Linux gives to connections.
        port = random.randrange(15_000, 32_000)
        with socket.socket() as it, contextlib.suppress(OSError):
            it.bind(("127.0.0.1", port))
            return port


def _die_with_the_test() -> None:
    assert _libc is not None
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Deployment:
    def __init__(self, folder: Path, edge: bool = False) -> None:
        if sys.platform != "linux":
            skip("Linux")
        self.binary = shutil.which(os.environ.get("COUNTERSIGN_BIN") or "") or ""
        if not self.binary:
            skip("COUNTERSIGN_BIN (the path of the server's binary)")
        if not shutil.which("redis-server"):
            skip("redis-server")
        self.folder = folder
        self.redis_port = free_port()
        self.grpc = f"127.0.0.1:{free_port()}"
        keys = folder / "keys"
        # Keys are refused where others may read them.
        keys.mkdir(mode=0o700)
        self.environment = os.environ | {
            "COUNTERSIGN__DATABASE__URL": f"sqlite://{folder}/countersign.db",
            "COUNTERSIGN__REDIS__URL": f"redis://127.0.0.1:{self.redis_port}",
            "COUNTERSIGN__KEYS__DIRECTORY": str(keys),
            "COUNTERSIGN__GRPC__LISTEN": self.grpc,
            "COUNTERSIGN__OPERATIONS__LISTEN": "127.0.0.1:0",
            "COUNTERSIGN__EDGE__ENABLED": "false",
            "COUNTERSIGN__LOG__FORMAT": "json",
            "COUNTERSIGN__SHUTDOWN__DRAIN_DELAY": "0s",
            "COUNTERSIGN__PASSWORDS__MEMORY_KIB": "64",
            "COUNTERSIGN__PASSWORDS__ITERATIONS": "1",
            "COUNTERSIGN__THROTTLE__ENABLED": "false",
        }
        self._opened = contextlib.ExitStack()
        self.start_redis()
        self.run("migrate")
        self.run("key", "generate", "--kind", "signing", "--activate-in", "0s")
        self.run("key", "generate", "--kind", "refresh", "--activate-in", "0s")
        self.run("user", "create", "ada", "--password-stdin", input=PASSWORD + "\n")
        self.start()

    def run(self, *arguments: str, input: str = "") -> None:
        """Runs a subcommand in the server's environment."""
        done = subprocess.run(
            [self.binary, *arguments], env=self.environment, input=input, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"

    def spawn(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        """Starts a process that does not outlive the test, however that ends."""
        return subprocess.Popen(arguments, env=self.environment, text=True, preexec_fn=_die_with_the_test, **more)

    def start(self) -> None:
        """Starts the server, and returns when it is ready."""
        self.server = self.spawn(self.binary, "serve", stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        log, listening, operations = self.server.stderr, threading.Event(), []
        assert log is not None

        def read() -> None:
            with log:
                for line in log:
                    with contextlib.suppress(ValueError):
                        message = json.loads(line)
                        if message.get("message") == "listening":
                            operations.append(message["operations"])
                            listening.set()

        threading.Thread(target=read, daemon=True).start()
        assert listening.wait(PATIENCE), "the server does not listen"

        def is_ready() -> bool:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{operations[0]}/readyz") as answer:
                return bool(answer.status == 200)
            return False

        until("the server is ready", is_ready)

    def start_redis(self) -> None:
        self.redis = self.spawn(
            "redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--dir",
            str(self.folder), stdout=subprocess.DEVNULL,
        )  # fmt: skip

        def listens() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.redis_port)):
                return True
            return False

        until("Redis listens", listens)

    def kill(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait(PATIENCE)

    def halt(self) -> None:
        """Stops the server with SIGSTOP, and returns when each of its threads stands still."""
        self.server.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self.server.pid}/task")
        until(
            "the server stands still",
            lambda: all(") T " in (thread / "stat").read_text() for thread in threads.iterdir()),
        )

    def client(self) -> Client:
        return self._opened.enter_context(Client(f"http://{self.grpc}"))

    def login(self, client: Client) -> Tokens:
        return client.login("ada", PASSWORD)

    def arguments(self, **changed: Any) -> dict[str, Any]:
        """Those of a verifier."""
        return {
            "endpoint": f"http://{self.grpc}", "issuer": "countersign", "audiences": ["countersign"], "max_backoff": 0.2,
        } | changed  # fmt: skip

    def verifier(self, **changed: Any) -> Verifier:
        """One that has loaded everything."""
        verifier = self._opened.enter_context(Verifier(**self.arguments(**changed)))
        assert verifier.ready(PATIENCE), "a verifier is not ready"
        return verifier

    def close(self) -> None:
        self._opened.close()
        self.kill(self.server)
        self.kill(self.redis)

"""Processes that are forked while a stream is open. Each test forks in a process of its own that has never called by gRPC."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from deployment import Deployment, free_port
from fake import FakeServer
from support import AUDIENCE, ISSUER, PATIENCE, Signer, until

CHILDREN = 40

HEAD = f"""
import os, sys, threading, time
import countersign
endpoint, token = sys.argv[1:3]
verifier = countersign.Verifier(endpoint, issuer={ISSUER!r}, audiences=[{AUDIENCE!r}], ping_interval=0.01, ask_timeout=30)

def wait_for(child):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0, f"a child ended with {{status}}"
            return
        time.sleep(0.001)
    os.kill(child, 9)
    raise AssertionError("a child hangs")

def fork(run):
    child = os.fork()
    if child == 0:
        try:
            run()
            os._exit(0)
        except BaseException as error:
            print("child:", repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return child
"""


def run(program: str, server: FakeServer, token: str) -> subprocess.Popen[str]:
    source = HEAD + textwrap.dedent(program)
    return subprocess.Popen(
        [sys.executable, "-c", source, f"http://{server.address}", token],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ends_well(process: subprocess.Popen[str]) -> None:
    assert process.wait(2 * PATIENCE) == 0
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def test_a_child_has_what_its_parent_knew_and_a_stream_of_its_own() -> None:
    server, signer = FakeServer(), Signer()
    process = run(
        f"""
        assert verifier.ready(30)
        held = verifier.watch(verifier.verify(token))
        stop = threading.Event()

        def verify_all_the_time():
            # So that locks are held while the process is forked.
            while not stop.is_set():
                verifier.verify(token)

        threads = [threading.Thread(target=verify_all_the_time, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()

        def child():
            assert not verifier._following.ready.is_set()
            verifier.verify(token)  # with what the parent knew
            os.write(1, b"verified\\n")
            assert verifier.ready(30)
            assert held.wait(30), "the child is not told of a revocation"
            try:
                verifier.verify(token)
            except countersign.InvalidTokenError as error:
                assert error.reason == "SESSION_REVOKED"
            else:
                raise AssertionError("accepted")
            verifier.close()

        for _ in range({CHILDREN}):
            wait_for(fork(child))
        stop.set()
        for thread in threads:
            thread.join()
        verifier.verify(token)
        assert verifier.staleness() < 10
        """,
        server,
        signer.token(now=int(time.time())),
    )
    parent = server.next()
    assert not parent.started().HasField("resume")
    parent.load(signer)
    for _ in range(CHILDREN):
        child = server.next()
        # It goes on from where the parent was: nothing need be sent again.
        assert child.started().resume.sequence == 5
        child.begin(resumed=True)
        child.beat(child.pinged(), 5)
        assert process.stdout is not None and process.stdout.readline() == "verified\n"
        child.revoked(6, 1)
        # The parent's stream is as it was. It has sent pings, and they are answered.
        while not parent.said.empty():
            parent.beat(parent.pinged(), 5)
    ends_well(process)
    assert server.arrivals.empty(), "somebody has opened another stream"
    server.stop()


def test_a_child_that_asks_nothing_opens_no_stream() -> None:
    server, signer = FakeServer(), Signer()
    process = run(
        f"""
        assert verifier.ready(30)
        for _ in range({CHILDREN}):
            wait_for(fork(lambda: None))
        """,
        server,
        signer.token(now=int(time.time())),
    )
    parent = server.next()
    parent.started()
    parent.load(signer)
    ends_well(process)
    assert server.arrivals.empty()
    server.stop()


def test_workers_of_a_process_that_has_not_started_one() -> None:
    """As `gunicorn --preload` forks them."""
    server, signer = FakeServer(), Signer()
    process = run(
        """
        # The first call waits until everything is loaded.
        children = [fork(lambda: verifier.verify(token)) for _ in range(4)]
        for child in children:
            wait_for(child)
        assert threading.active_count() == 1
        """,
        server,
        signer.token(now=int(time.time())),
    )
    for _ in range(4):
        worker = server.next()
        assert not worker.started().HasField("resume")
        worker.load(signer)
    ends_well(process)
    assert server.arrivals.empty()
    server.stop()


def test_a_client_that_was_used_is_refused_in_a_child() -> None:
    server = FakeServer()
    process = run(
        """
        unused, used = countersign.Client(endpoint), countersign.Client(endpoint)
        used.users
        def child():
            try:
                used.users
            except RuntimeError as error:
                assert "make one in the child" in str(error)
            else:
                raise AssertionError("a client of the parent was used")
        wait_for(fork(child))
        """,
        server,
        "",
    )
    ends_well(process)
    server.stop()


APPLICATION = """
import os
import countersign, countersign.wsgi

verifier = countersign.Verifier(os.environ["ENDPOINT"], issuer="countersign", audiences=["countersign"])

def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]

app = countersign.wsgi.Middleware(hello, verifier)
"""


@pytest.mark.server
def test_gunicorn_with_four_workers(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(APPLICATION)
    port = free_port()
    server = deployment.spawn(
        sys.executable, "-m", "gunicorn", "--preload", "--workers", "4", "--bind", f"127.0.0.1:{port}", "--no-control-socket",
        "--env", f"ENDPOINT=http://{deployment.grpc}", "--chdir", str(tmp_path), "--log-level", "warning", "application:app",
    )  # fmt: skip

    def get(token: str) -> tuple[int, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())["reason"]

    def listens() -> bool:
        try:
            get("a")
        except OSError:
            return False
        return True

    client = deployment.client()
    tokens = deployment.login(client)
    until("gunicorn listens", listens)
    workers: set[bytes] = set()

    def all_have_answered() -> bool:
        status, worker = get(tokens.access_token)
        assert status == 200, worker
        workers.add(worker)
        return len(workers) == 4

    until("each of the workers lets the user in", all_have_answered)
    client.logout(tokens.refresh_token)

    def is_refused_often() -> bool:
        return all(get(tokens.access_token) == (401, "SESSION_REVOKED") for _ in range(40))

    until("none of the workers lets the user in", is_refused_often)
    server.terminate()
    assert server.wait(PATIENCE) == 0

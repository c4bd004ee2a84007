"""`countersign.testing`, as the tests of a service use it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import countersign.aio
from countersign import CallError, InvalidTokenError, UnknownTokenError, Verifier
from countersign.testing import StartError, State, TestServer, World
from support import skip

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def server() -> Iterator[TestServer]:
    if not shutil.which(os.environ.get("COUNTERSIGN_BIN") or ""):
        skip("COUNTERSIGN_BIN (the path of the server's binary)")
    with TestServer.start() as started:
        yield started


@pytest.fixture
def world(server: TestServer) -> Iterator[World]:
    with server.world() as made:
        yield made


def said(verifier: Verifier, token: str, position: str = "") -> str:
    try:
        verifier.verify_at_least(position, token)
    except InvalidTokenError as error:
        return error.invalid.value
    except UnknownTokenError:
        return "unknown"
    return "verified"


@pytest.mark.server
def test_a_token_in_each_state_is_what_a_verifier_says_it_is(world: World) -> None:
    verifier = world.verifier()
    states: dict[State, str] = {
        "good": "verified",
        "expired": "EXPIRED",
        "not_yet_valid": "NOT_YET_VALID",
        "wrong_audience": "WRONG_AUDIENCE",
        "wrong_issuer": "WRONG_ISSUER",
        "revoked": "REVOKED",
        "unknown_key": "UNKNOWN_KEY",
        "withdrawn_key": "UNKNOWN_KEY",
        "bad_signature": "BAD_SIGNATURE",
        "malformed": "MALFORMED",
    }
    for state, expected in states.items():
        minted = world.access_token(state=state)
        assert said(verifier, minted.token, minted.position) == expected, state
    minted = world.access_token(username="ada", roles=["admin"], claims={"tenant": "acme"}, external_id="42")
    token = verifier.verify(minted.token)
    assert (token.username, token.roles[0], token.external_id) == ("ada", "admin", "42")
    assert token.subject == minted.user_id
    assert minted.token not in repr(minted)


@pytest.mark.server
def test_a_session_lives_through_its_life_by_the_worlds_clock(world: World) -> None:
    verifier, client = world.verifier(), world.client()
    world.create_user("ada", PASSWORD, ["ops"])
    first = client.login("ada", PASSWORD)
    assert said(verifier, first.access_token) == "verified"
    world.advance(timedelta(minutes=6))
    assert said(verifier, first.access_token) == "EXPIRED"
    second = client.refresh(first.refresh_token)
    assert said(verifier, second.access_token) == "verified"
    position = client.logout(second.refresh_token)
    assert said(verifier, second.access_token, position) == "REVOKED"


@pytest.mark.server
def test_a_verifier_grows_stale_when_its_stream_is_stalled_and_recovers(world: World) -> None:
    verifier = world.verifier()
    token = world.access_token(lifetime=timedelta(hours=1)).token
    world.stall_streams()
    world.advance(timedelta(seconds=30))
    assert said(verifier, token) == "unknown"
    world.resume_streams()
    world.advance(timedelta(seconds=30))
    assert said(verifier, token) == "verified"
    world.end_streams()
    assert said(verifier, token) == "verified"


@pytest.mark.server
def test_a_client_tries_again_what_fails_for_a_moment_and_no_more(world: World) -> None:
    client, token = world.client(), world.refresh_token().token
    refresh = "countersign.v1.AuthService/Refresh"
    world.fail(refresh, code=14, times=1)
    client.refresh(token)
    world.fail(refresh, reason="SESSION_REVOKED")
    with pytest.raises(CallError) as refused:
        client.refresh(token)
    assert refused.value.reason == "SESSION_REVOKED"
    world.clear_failures()
    client.refresh(token)


def key_id(world: World) -> str:
    with urllib.request.urlopen(world.jwks_url) as answer:
        (key,) = json.load(answer)["keys"]
    return str(key["kid"])


@pytest.mark.server
def test_worlds_do_not_see_each_other_and_one_can_be_made_anew(server: TestServer, world: World) -> None:
    with server.world() as other:
        world.create_user("ada", PASSWORD)
        with pytest.raises(CallError) as refused:
            other.client().login("ada", PASSWORD)
        assert refused.value.reason == "INVALID_CREDENTIALS"
        assert key_id(world) != key_id(other)
    client = world.client()
    client.login("ada", PASSWORD)
    world.reset()
    with pytest.raises(CallError):
        client.login("ada", PASSWORD)


@pytest.mark.server
def test_a_verifier_of_asyncio_follows_a_world(world: World) -> None:
    async def verify() -> str:
        async with countersign.aio.Verifier(**world.verifier_arguments()) as verifier:
            assert await verifier.ready(30)
            return (await verifier.verify(world.access_token(username="ada").token)).username

    assert asyncio.run(verify()) == "ada"


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(StartError, match="/nowhere/countersign"):
        TestServer.start(binary="/nowhere/countersign")


@pytest.mark.server
def test_what_a_server_refuses_is_said_and_one_that_is_stopped_is_gone(server: TestServer) -> None:
    with pytest.raises(StartError, match=r"grpc\.listen"):
        TestServer.start(arguments=["--listen", "0.0.0.0:0"])
    with TestServer.start(arguments=["--issuer", "https://auth.test"]) as other:
        assert other.issuer == "https://auth.test"
        url = f"{other.http}/.well-known/jwks.json"
    with pytest.raises(OSError):
        urllib.request.urlopen(url)


def run_pytest(folder: Path) -> int:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(path).resolve()) for path in sys.path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


@pytest.mark.server
def test_the_example_of_the_page_passes(server: TestServer, tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "testing.md").read_text(encoding="utf-8")
    conftest, example = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_page.py").write_text(example)
    assert run_pytest(tmp_path) == 0


@pytest.mark.server
def test_a_run_of_pytest_has_the_fixtures_and_leaves_no_server_behind(server: TestServer, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["countersign.testing.plugin"]\n')
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent(
            """
            import os, pathlib

            def test_it(countersign_server, countersign_world):
                assert countersign_world.access_token().token
                pathlib.Path("http").write_text(countersign_server.http)
                os._exit(7)  # as a run that is killed
            """
        )
    )
    assert run_pytest(tmp_path) == 7
    url = (tmp_path / "http").read_text() + "/.well-known/jwks.json"
    latest = time.monotonic() + 10
    while time.monotonic() < latest:
        try:
            urllib.request.urlopen(url).close()
        except OSError:
            return
    raise AssertionError("the server outlives the run")

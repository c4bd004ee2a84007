"""The examples of README.md, as they stand there."""

from __future__ import annotations

import asyncio
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from deployment import PASSWORD, Deployment
from support import PATIENCE, until

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def example(beginning: str, **replaced: str) -> str:
    """The example that contains a text, for another server."""
    blocks: list[str] = BLOCKS
    (found,) = (block for block in blocks if beginning in block)
    for name, value in replaced.items():
        found = re.sub(name, value, found)
    return found


def names_for(deployment: Deployment) -> dict[str, str]:
    return {r"http://127\.0\.0\.1:50051": f"http://{deployment.grpc}", r'audiences=\["orders"\]': 'audiences=["countersign"]'}


def test_every_example_compiles() -> None:
    assert len(BLOCKS) >= 5
    for block in BLOCKS:
        compile(block, str(README), "exec", flags=1 << 13)  # with await outside of functions


@pytest.mark.server
def test_verify_and_log_in(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"password": PASSWORD}
    exec(example("client.login", **names_for(deployment)), names)
    with deployment.client() as client:
        verify = example("except UnknownTokenError", **names_for(deployment))
        for token, expected in (
            (client.login("ada", PASSWORD).access_token, "ada ()"),
            ("not.a.token", "refuse it: MALFORMED"),
        ):
            names = {"bearer_token": token}
            exec(verify, names)
            names["verifier"].close()
            assert expected in capsys.readouterr().out


@pytest.mark.server
def test_asgi_application(deployment: Deployment) -> None:
    module = types.ModuleType("readme_application")
    exec(example("asgi.Middleware", **names_for(deployment)), module.__dict__)
    sys.modules.pop(module.__name__, None)

    async def run(token: str) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request"}

        headers = [(b"authorization", f"Bearer {token}".encode())]
        await module.app({"type": "http", "path": "/", "headers": headers}, receive, send)
        status: int = sent[0]["status"]
        return status

    with deployment.client() as client:
        tokens = client.login("ada", PASSWORD)
        assert asyncio.run(run(tokens.access_token)) == 200
        client.logout(tokens.refresh_token)
        until("the token is refused", lambda: asyncio.run(run(tokens.access_token)) == 401)
    assert asyncio.run(module.verifier.ready(PATIENCE))
    asyncio.run(module.verifier.close())

"""Fixtures for pytest: ``pytest_plugins = ["countersign.testing.plugin"]`` in ``conftest.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ._server import TestServer
from ._world import World


@pytest.fixture(scope="session")
def countersign_server() -> Iterator[TestServer]:
    """The test server of this run. A conftest.py may override it, to start one with arguments."""
    with TestServer.start() as server:
        yield server


@pytest.fixture
def countersign_world(countersign_server: TestServer) -> Iterator[World]:
    """A world of the test's own."""
    with countersign_server.world() as world:
        yield world

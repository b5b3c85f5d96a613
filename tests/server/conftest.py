"""Servers for tests: started on demand, stopped at the end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dc1.testing.clock import ManualClock
from tests.server.harness import START_MS, Harness, Running

Serve = Callable[..., Awaitable[Running]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_MS)


@pytest.fixture
def harness(database_file: Path, clock: ManualClock) -> Harness:
    return Harness(database_file.parent, clock)


@pytest.fixture
async def serve(harness: Harness) -> AsyncIterator[Serve]:
    """Start servers with settings of the test's choice."""
    running: list[Running] = []

    async def start(**settings: Any) -> Running:
        running.append(await harness.start(**settings))
        return running[-1]

    yield start
    for each in running:
        await each.channel.close()
        await each.app.drain(1)


@pytest.fixture
async def server(serve: Serve) -> Running:
    """A server with rate limits off and the admin token set."""
    return await serve()

"""Fixtures of the daemon's tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.daemon.loop.fake_server import FakeServer
from tests.daemon.runners.podman import PYTHON_IMAGE, Engine, import_python, short_directory, start_engine


@pytest.fixture(scope="session")
def container_engine() -> Iterator[Engine]:
    with short_directory() as directory:
        yield from start_engine(directory)


@pytest.fixture(scope="session")
def python_image(container_engine: Engine) -> str:
    import_python(container_engine.base_url)
    return PYTHON_IMAGE


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    async with fake.listening():
        yield fake

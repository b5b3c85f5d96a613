"""Fixtures of the daemon's tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from dc1.daemon.connection import stream
from tests.daemon.loop.fake_server import FakeServer
from tests.daemon.runners.podman import PYTHON_IMAGE, Engine, import_python, short_directory, start_engine


# Of a module, as a function's would not do for tests that are given made-up values.
@pytest.fixture(autouse=True, scope="module")
def _answers_may_be_late() -> Iterator[None]:
    """Beats of these tests come many a second, and a busy machine stands still for longer than three of them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stream, "MISSED_ANSWERS", 1_000)
        yield


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

"""Fixtures of the daemon's tests."""

from collections.abc import Iterator

import pytest

from tests.daemon.podman import Engine, short_directory, start_engine


@pytest.fixture(scope="session")
def container_engine() -> Iterator[Engine]:
    with short_directory() as directory:
        yield from start_engine(directory)

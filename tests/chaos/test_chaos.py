"""The market survives the death of any of its parts at any moment. More of it by `python -m tests.chaos`."""

import os
import random
from pathlib import Path

import pytest

from dc1.testing.postgres import PostgresServer
from tests.chaos.databases import on, sqlite
from tests.chaos.storm import unleash

# As long as the slowest machine may need; a usual one takes a minute for both.
pytestmark = pytest.mark.timeout(900)

# Each kind strikes one of the two; `make chaos` has all of them on each engine.
_OF_REPLICAS = {"server killed", "clock stepped", "container engine restarted", "database killed", "database stalled"}
_OF_ONE_SERVER = {
    *("daemon killed", "server killed", "Envoy killed", "daemon frozen until its leases are lost"),
    *("second daemon with a key", "server stalled", "Envoy stalled", "log of servers lost", "disk full"),
}


@pytest.fixture
def seed() -> int:
    """Another storm each time; DC1_CHAOS_SEED repeats one."""
    return int(os.environ.get("DC1_CHAOS_SEED") or random.randrange(1_000_000))


@pytest.fixture
def faults() -> int:
    """Each kind once, or as many as DC1_CHAOS_FAULTS says."""
    return int(os.environ.get("DC1_CHAOS_FAULTS") or 0)


def test_no_job_and_no_halala_is_lost_whatever_fails(tmp_path: Path, seed: int, faults: int) -> None:
    with sqlite(tmp_path) as place:
        report = unleash(tmp_path, faults, seed, place, kinds=_OF_ONE_SERVER)
    print(report)
    assert report.found.statuses["completed"] > 0


def test_two_replicas_and_their_database_may_fail_as_well(
    tmp_path: Path, seed: int, faults: int, postgres_server: PostgresServer
) -> None:
    report = unleash(tmp_path, faults, seed, on(postgres_server), kinds=_OF_REPLICAS)
    print(report)
    assert report.found.statuses["completed"] > 0

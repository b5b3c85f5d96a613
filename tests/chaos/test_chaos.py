"""The market survives the death of any of its parts at any moment. More of it by `python -m tests.chaos`."""

import os
import random
from pathlib import Path

import pytest

from dc1.testing.postgres import PostgresServer
from tests.chaos.databases import on, sqlite
from tests.chaos.storm import unleash

# As long as the slowest machine may need; a usual one takes two minutes for both.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def seed() -> int:
    """Another storm each time; DC1_CHAOS_SEED repeats one."""
    return int(os.environ.get("DC1_CHAOS_SEED") or random.randrange(1_000_000))


def test_no_job_and_no_halala_is_lost_whatever_is_killed(tmp_path: Path, seed: int) -> None:
    with sqlite(tmp_path) as place:
        report = unleash(tmp_path, faults=int(os.environ.get("DC1_CHAOS_FAULTS") or 20), seed=seed, place=place)
    print(report)
    assert report.found.statuses["completed"] > 0


def test_two_replicas_and_their_database_may_be_killed_as_well(
    tmp_path: Path, seed: int, postgres_server: PostgresServer
) -> None:
    faults = int(os.environ.get("DC1_CHAOS_FAULTS") or 12)
    report = unleash(tmp_path, faults=faults, seed=seed, place=on(postgres_server))
    print(report)
    assert report.found.statuses["completed"] > 0

"""Replicas, their database and their daemons are real processes here, and die."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.money import ledger_audit
from dc1.testing.people import Renter
from dc1.testing.postgres import PostgresServer
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.chaos.verdict import begun_twice, told
from tests.chaos.world import World

DAEMONS = 3
JOBS = 6
RUN_SECONDS = 8


@pytest.fixture
def world(tmp_path: Path, postgres_server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[World]:
    """Two replicas behind one Envoy, and three daemons with two slots each."""
    settings = request.node.get_closest_marker("settings")
    world = World(
        tmp_path,
        postgres_server.create(),
        servers=2,
        **{"stream_grace_seconds": 10, **(settings.kwargs if settings else {})},
    )
    try:
        world.start()
        for _ in range(DAEMONS):
            world.add_daemon()
        for seat in world.daemons:
            seat.present.expect('"connected"', seconds=60)
        yield world
        assert world.stored(ledger_audit.verify) == []
    finally:
        world.close()


def run_everywhere(world: World, renter: Renter) -> list[Json]:
    """A job in every slot, all of them running."""
    submitted = [renter.submit(duration_minutes=1, params={"prompt": "x", "seconds": RUN_SECONDS}) for _ in range(JOBS)]
    eventually(lambda: begun(world) == JOBS, "every job running", 30)
    return submitted


def begun(world: World) -> int:
    return sum(1 for seat in world.daemons for _ in told(seat.present, "work begun"))


def assert_each_ran_once(world: World, renter: Renter, submitted: list[Json]) -> None:
    for job in submitted:
        done = eventually(partial(completed, world, job), "the job being completed", 60)
        assert done is not None
        assert (done.attempt_number, done.retry_count) == (1, 0)
        assert len(world.stored(partial(jobs.attempts, job_id=done.id))) == 1
    assert begun_twice(world.daemons) == []
    world.await_service()
    assert renter.wallet()["held_halala"] == 0


def completed(world: World, job: Json) -> JobRow | None:
    row = world.stored(partial(jobs.get, job_id=job["id"]))
    assert row is not None
    assert row.status in ("running", "completed"), row
    return row if row.status == "completed" else None


def test_replicas_die_one_after_the_other_and_no_attempt_is_lost(world: World) -> None:
    renter = world.add_renter()
    submitted = run_everywhere(world, renter)
    first, second = world.servers
    first.kill()
    first.start()
    assert first.present is not None
    first.present.expect('"serving"', times=2, seconds=60)
    second.kill()
    assert_each_ran_once(world, renter, submitted)
    second.start()


@pytest.mark.settings(stream_grace_seconds=2)
@pytest.mark.parametrize("seconds", [0, 8], ids=["for a moment", "longer than a replica's word counts"])
def test_the_database_dies_and_nobody_s_job_is_taken(
    world: World, postgres_server: PostgresServer, seconds: float
) -> None:
    renter = world.add_renter()
    submitted = run_everywhere(world, renter)
    postgres_server.crash()
    back_at = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= back_at, "the outage being over", 30)
    postgres_server.start()
    assert_each_ran_once(world, renter, submitted)


def test_a_replica_that_starts_while_the_database_is_away_waits_for_it(
    world: World, postgres_server: PostgresServer
) -> None:
    replica = world.servers[0]
    replica.kill()
    postgres_server.crash()
    replica.start()
    assert replica.present is not None
    replica.present.expect('"database_not_reached"', seconds=60)
    postgres_server.start()
    replica.present.expect('"serving"', times=2, seconds=60)


def test_a_replica_that_is_frozen_and_thaws_takes_nobody_s_job(world: World) -> None:
    """The others call it dead after some seconds, its daemons find another replica, and it wakes up with old news."""
    renter = world.add_renter()
    submitted = run_everywhere(world, renter)
    frozen = world.servers[0].present
    assert frozen is not None
    frozen.freeze()
    thaw_at = time.monotonic() + 8
    eventually(lambda: time.monotonic() >= thaw_at, "the replica's word having expired", 30)
    frozen.thaw()
    assert_each_ran_once(world, renter, submitted)
    frozen.expect('"call"')

"""The disk under the database of a market of real processes is full for a while: a real file system, either engine."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from dc1.storage.engine.database import Database, UnusableDatabaseError
from dc1.storage.jobs import jobs
from dc1.storage.money import ledger_audit
from dc1.testing.people import Renter, answered
from dc1.testing.postgres import PostgresServer
from dc1.testing.waiting import eventually
from tests.chaos.verdict import stored_ids, told
from tests.chaos.world import World
from tests.contract.expect import refused
from tests.support.logs import troubles
from tests.support.small_disk import SmallDisk, small_disk

# What PostgreSQL has from the beginning is 50.
MEBIBYTES = 100
PROMPT = "x" * 200_000
RUN_SECONDS = 4


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    with small_disk(MEBIBYTES) as disk:
        yield disk


@pytest.fixture(params=["sqlite", "postgresql"])
def world(tmp_path: Path, disk: SmallDisk, request: pytest.FixtureRequest) -> Iterator[World]:
    """A server whose database is on the small disk, and a daemon."""
    with ExitStack() as stack:
        url = f"sqlite:///{disk.directory / 'dc1.sqlite3'}"
        if request.param == "postgresql":
            server = PostgresServer(disk.directory / "node", durable=False)
            stack.callback(server.stop)
            url = server.create()
        world = World(tmp_path, url, stream_grace_seconds=10)
        stack.callback(world.close)
        world.start()
        world.add_daemon().present.expect('"connected"', seconds=60)
        yield world


def fill_up(disk: SmallDisk, renter: Renter) -> set[int]:
    """Take all room, and submit until nothing is stored any more; return the jobs that were acknowledged."""
    disk.fill()
    acknowledged: set[int] = set()
    for _ in range(1000):
        answer = renter.try_submit(params={"prompt": PROMPT, "seconds": 0}, duration_minutes=1)
        if answer.status_code != 201:
            said = refused(answer, 503, "Database cannot be written", reason="disk_full", retryAfterSeconds=10)
            assert said["status"] == "degraded"
            assert answer.headers["retry-after"] == "10"
            return acknowledged
        acknowledged.add(answered(answer, 201)["job"]["id"])
    raise AssertionError("a full disk took a thousand jobs")


def test_a_server_that_starts_on_a_full_disk_says_so(disk: SmallDisk) -> None:
    url = f"sqlite:///{disk.directory / 'dc1.sqlite3'}"
    Database.open(url)._backend.close()
    disk.fill()
    with pytest.raises(UnusableDatabaseError, match="the disk that it is on is full"):
        Database.open(url)
    disk.make_room()
    Database.open(url)._backend.close()


def test_a_disk_that_is_full_of_logs_is_noticed_by_nobody_but_their_reader(tmp_path: Path) -> None:
    """Those of the server, the daemon and Envoy, with Envoy's other files; the database is elsewhere."""
    with small_disk(20) as disk:
        world = World(disk.directory, f"sqlite:///{tmp_path / 'dc1.sqlite3'}", data_dir=tmp_path)
        try:
            world.start()
            world.add_daemon().present.expect('"connected"', seconds=60)
            renter = world.add_renter()
            disk.fill()
            jobs_done = [renter.submit(duration_minutes=1, params={"prompt": "x", "seconds": 0}) for _ in range(3)]
            for job in jobs_done:
                eventually(partial(completed, world, job["id"]), "the job being completed", 20)
            for _ in range(40):
                # The last block of a file may have room for some lines.
                answered(renter.get("/renters/balance"))
            assert world.rest.get("/health").status_code == 200
            assert world.fallen == []
            disk.make_room()
            answered(renter.get("/jobs"))
            server = world.servers[0].present
            assert server is not None
            server.expect("log_lines_lost", seconds=20)
        finally:
            world.close()


def completed(world: World, row_id: int) -> bool:
    row = world.stored(partial(jobs.get, job_id=row_id))
    assert row is not None
    return row.status == "completed" and row.attempt_number == 1


def test_nothing_acknowledged_is_lost_reads_go_on_and_room_is_all_it_needs(world: World, disk: SmallDisk) -> None:
    renter = world.add_renter()
    running = renter.submit(duration_minutes=1, params={"prompt": "x", "seconds": RUN_SECONDS})
    eventually(lambda: [*told(world.daemons[0].present, "work begun")], "the job running", 20)
    acknowledged = {running["id"], *fill_up(disk, renter)}
    eventually(lambda: world.rest.get("/health").status_code == 503, "the health saying so")
    refused(world.rest.get("/health"), 503, "Database cannot be written", reason="disk_full")
    assert answered(renter.get(f"/jobs/{running['id']}"))["job"]["status"] in ("running", "completed")
    # Its run ends while nothing can be stored of that.
    eventually(lambda: [*told(world.daemons[0].present, "work over")], "the run being over", 20)
    assert answered(renter.get("/renters/balance"))["balance_halala"] > 0
    disk.make_room()
    eventually(lambda: world.rest.get("/health").status_code == 200, "the service being healthy again", 20)
    eventually(lambda: completed(world, running["id"]), "the run being settled, in its first attempt", 20)
    assert world.stored(stored_ids) == acknowledged
    assert world.stored(ledger_audit.verify) == []
    assert [line for log in world.logs.values() for line in troubles(log) if "takes no writes" not in line] == []
    assert world.fallen == []

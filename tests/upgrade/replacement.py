"""Two servers of an older commit, replaced by ours one after the other under calls that must not fail."""

import io
import os
import subprocess
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path

import httpx

from dc1.storage.transfer.care import examine
from dc1.testing.people import Admin, Renter
from dc1.testing.rest import Rest
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.waiting import eventually
from tests.chaos import verdict
from tests.chaos.world import ServerSeat, World

_ROOT = Path(__file__).parents[2]
_TABLES = "src/dc1/storage/schema/migrations/versions"
# What a server of that commit reads; with our installed packages, as far as they go.
_PARTS = ("src", "gen", "envoy", "web", "requirements", "ops")
_SECONDS = 120.0
_CALLS_BETWEEN = 20
"""How often everybody calls in each state of the market before it moves on to the next."""


@dataclass
class Caller:
    """Calls again and again, each time once: what goes wrong is not tried a second time."""

    calls: Sequence[Callable[[], httpx.Response]]
    answered: int = 0
    jobs: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        for call in cycle(self.calls):
            if self._stopped.wait(0.02):
                return
            try:
                response = call()
            except httpx.TransportError as error:
                self.failures.append(f"{error.request.method} {error.request.url.path}: {error!r}")
                continue
            if response.is_success:
                self.answered += 1
                if response.status_code == httpx.codes.CREATED:
                    self.jobs.append(response.json()["job"]["id"])
            else:
                told = response.request
                self.failures.append(f"{told.method} {told.url.path}: {response.status_code} {response.text}")


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it."""

    revision: str
    tables: Sequence[str]
    answered: Sequence[int]
    statuses: Counter[str]

    def __str__(self) -> str:
        before, after = self.tables
        counts = ", ".join(str(count) for count in self.answered)
        ended = ", ".join(f"{status} {count}" for status, count in sorted(self.statuses.items()))
        return (
            f"From {self.revision} (tables {before}) to this (tables {after}), one server after the other: "
            f"{counts} calls by two renters and an operator, none of which failed; jobs: {ended}."
        )


def before_the_newest_tables() -> str:
    """The last commit that ran and whose tables are not today's, for which there has to be some history."""
    for newest in _git("log", "--diff-filter=A", "--format=%h", "--", _TABLES).decode().split():
        before = _git("rev-parse", "--short", f"{newest}^").decode().strip()
        names = _git("ls-tree", "-r", "--name-only", before, _TABLES).decode().split()
        numbers = [name.rpartition("/")[2].partition("_")[0] for name in names if not name.endswith("__init__.py")]
        # What was made side by side has one number until the second of them is given its own: nobody starts from there.
        if len(set(numbers)) == len(numbers):
            return before
    raise AssertionError("there is no commit with other tables")


def check_out(revision: str, directory: Path) -> Path:
    """Lay the code of a commit into a directory."""
    with tarfile.open(fileobj=io.BytesIO(_git("archive", revision, *_PARTS))) as archive:
        archive.extractall(directory, filter="data")
    return directory


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=_ROOT, check=True, capture_output=True).stdout


def replaced_one_by_one(revision: str, code: Path, directory: Path, database_url: str) -> Report:
    """Run the market of `code`, replace its servers by ours, and check what is left."""
    path = os.pathsep.join(str(code / part) for part in ("src", "gen"))
    world = World(directory, database_url, servers=2)
    for seat in world.servers:
        seat.python_path = path
    callers: list[Caller] = []
    try:
        world.start()
        # Looked at, and not opened, which would bring them up to date.
        before = examine(database_url).revision
        renters = [world.add_renter() for _ in range(2)]
        daemon = world.add_daemon()
        eventually(lambda: world.is_online(daemon), "the daemon being online", _SECONDS)
        callers += [_renter(world, renter) for renter in renters] + [_operator(world)]
        _let_call(callers)
        for seat in world.servers:
            _replace(seat)
            _let_call(callers)
        for caller in callers:
            caller.stop()
        failures = [failure for caller in callers for failure in caller.failures]
        assert not failures, f"{len(failures)} calls failed: {failures[:10]}"
        eventually(lambda: world.stored(verdict.open_jobs) == 0, "every job having ended", _SECONDS)
        assert not world.fallen, world.fallen
        found = verdict.check(world, acknowledged=[job for caller in callers for job in caller.jobs], cancelled=set())
        after = examine(database_url).revision
        return Report(revision, (str(before), str(after)), [each.answered for each in callers], found.statuses)
    except BaseException as error:
        error.add_note(f"The logs are in {directory}.")
        raise
    finally:
        for caller in callers:
            caller.stop()
        world.close()


def _replace(seat: ServerSeat) -> None:
    """Stop a server as whoever upgrades does, and start ours in its place."""
    assert seat.present is not None
    seat.present.terminate()
    assert seat.present.exit_status(_SECONDS) == 0
    served = seat.present.said.count('"serving"')
    seat.python_path = None
    seat.start()
    seat.present.expect('"serving"', served + 1, _SECONDS)


def _let_call(callers: Sequence[Caller]) -> None:
    before = [caller.answered for caller in callers]
    eventually(
        lambda: all(now.answered - then >= _CALLS_BETWEEN for now, then in zip(callers, before, strict=True)),
        "everybody having called so often",
        _SECONDS,
    )


def _renter(world: World, renter: Renter) -> Caller:
    job = {"job_type": "llm_inference", "duration_minutes": 1, "params": {"prompt": "work", "seconds": 0.05}}
    mine = Renter(Rest(world.rest.url), renter.id, renter.key)
    reads = (
        "/renters/me",
        "/renters/balance",
        "/renters/me/jobs",
        "/jobs/history",
        "/providers/public",
        "/jobs/active",
    )
    return Caller([lambda: mine.post("/jobs/submit", job), *(partial(mine.get, path) for path in reads)])


def _operator(world: World) -> Caller:
    admin = Admin(Rest(world.rest.url), ADMIN_TOKEN)
    reads = ("/admin/dashboard", "/admin/jobs", "/admin/renters", "/admin/finance/books", "/admin/audit")
    return Caller([partial(admin.get, path) for path in reads])

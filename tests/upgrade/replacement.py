"""Two servers of an older commit and two edges, replaced one after the other under calls that must not fail."""

import io
import os
import subprocess
import tarfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dc1.storage.transfer.care import examine
from dc1.testing.server import LoopThread
from dc1.testing.waiting import eventually
from tests.chaos import verdict
from tests.chaos.world import ServerSeat, World
from tests.faults.engine import Engine
from tests.upgrade.balancer import Balancer
from tests.upgrade.callers import Caller, answers, chats, follower, operator_at_work, queue_reader, renter_at_work

_ROOT = Path(__file__).parents[2]
_TABLES = "src/dc1/storage/schema/migrations/versions"
# What a server of that commit reads; with our installed packages, as far as they go.
_PARTS = ("src", "gen", "envoy", "web", "requirements", "ops")
_SECONDS = 120.0
# As the setting has it.
_EDGE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it."""

    revision: str
    tables: Sequence[str]
    answered: Mapping[str, int]
    put_off: int
    statuses: Counter[str]

    def __str__(self) -> str:
        before, after = self.tables
        counts = ", ".join(f"{name} {count}" for name, count in self.answered.items())
        ended = ", ".join(f"{status} {count}" for status, count in sorted(self.statuses.items()))
        return (
            f"From {self.revision} (tables {before}) to this (tables {after}), one server and one edge after the "
            f"other, nothing failed. Answered: {counts} ({self.put_off} chats were told to ask again); jobs: {ended}."
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
    """Run the market of `code`, replace its servers by ours and then its edges, and check what is left."""
    path = os.pathsep.join(str(code / part) for part in ("src", "gen"))
    world = World(directory, database_url, servers=2)
    for seat in world.servers:
        seat.python_path = path
    callers: list[Caller] = []
    try:
        with ExitStack() as stack:
            stack.callback(world.close)
            world.start()
            # Looked at, and not opened, which would bring them up to date.
            before = examine(database_url).revision
            edges = [world.envoy, world.add_edge()]
            loop = LoopThread()
            stack.callback(loop.close)
            balancer = Balancer(loop, [edge.port for edge in edges])
            stack.callback(balancer.close)
            url, world.target = f"http://{balancer.target}", balancer.target
            renters = [world.add_renter() for _ in range(4)]
            engine = stack.enter_context(Engine.serving())
            engine.answers = answers
            daemon = world.add_daemon()
            world.add_engine_daemon(engine.url)
            eventually(lambda: world.is_online(daemon), "the daemon being online", _SECONDS)
            # By each of the servers, among which the edge takes turns: the machine is at one, the other hears of it.
            eventually(
                lambda: all(world.rest.get("/v1/models").json()["data"] for _ in range(20)),
                "the model being offered",
                _SECONDS,
            )
            # First of all where something fails below: nobody may call what is being closed.
            stack.callback(_stop, callers)
            callers += [renter_at_work(url, renter) for renter in renters[:2]] + [operator_at_work(url)]
            callers += [chats(url, renters[2], stream=stream) for stream in (False, True)]
            callers += [follower(url, renters[3]), queue_reader(url)]
            _let_call(callers)
            for number, seat in enumerate(world.servers):
                _say(callers, f"server {number}")
                _replace(seat)
                _let_call(callers)
            for number, edge in enumerate(edges):
                _say(callers, f"edge {number}")
                balancer.leave_out(edge.port)
                edge.stop(_EDGE_SECONDS)
                edge.start()
                balancer.take_in(edge.port)
                _let_call(callers)
            _stop(callers)
            failures = [failure for caller in callers for failure in caller.failures]
            assert not failures, f"{len(failures)} calls failed: {failures[:10]}"
            eventually(lambda: world.stored(verdict.open_jobs) == 0, "every job having ended", _SECONDS)
            assert not world.fallen, world.fallen
            jobs = [job for caller in callers for job in caller.jobs]
            found = verdict.check(world, acknowledged=jobs, cancelled=set())
            after = examine(database_url).revision
            told = {caller.name: caller.answered for caller in callers}
            put_off = sum(caller.put_off for caller in callers)
            return Report(revision, (str(before), str(after)), told, put_off, found.statuses)
    except BaseException as error:
        error.add_note(f"The logs are in {directory}.")
        raise


def _replace(seat: ServerSeat) -> None:
    """Stop a server as whoever upgrades does, and start ours in its place."""
    assert seat.present is not None
    seat.present.terminate()
    assert seat.present.exit_status(_SECONDS) == 0
    served = seat.present.said.count('"serving"')
    seat.python_path = None
    seat.start()
    seat.present.expect('"serving"', served + 1, _SECONDS)


def _stop(callers: Sequence[Caller]) -> None:
    # Whoever follows is told of what the others do, and waits for it.
    for caller in reversed(callers):
        caller.stop()


def _say(callers: Sequence[Caller], doing: str) -> None:
    for caller in callers:
        caller.doing = f"with {doing} being replaced"


def _let_call(callers: Sequence[Caller]) -> None:
    before = [caller.answered for caller in callers]

    def waiting() -> list[str]:
        return [
            now.name
            for now, then in zip(callers, before, strict=True)
            # Whoever failed goes on, and is heard of at the end.
            if now.answered - then < now.enough and not now.failures
        ]

    eventually(lambda: not waiting(), "everybody having been answered so often", _SECONDS)

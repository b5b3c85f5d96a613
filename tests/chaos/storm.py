"""Faults strike a market at random moments while jobs are submitted and run."""

import random
import shutil
import time
from collections import Counter
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dc1.testing.people import answered
from dc1.testing.waiting import eventually
from tests.chaos import verdict
from tests.chaos.containers import RESTARTED, EngineSeat, engine_if_there_is_one
from tests.chaos.databases import Place
from tests.chaos.faults import RECOVERY_SECONDS, STOP_SECONDS, Fault, faults_of, let_pass
from tests.chaos.load import Load
from tests.chaos.world import World
from tests.support.fake_time import may_step
from tests.support.small_disk import SmallDisk, mounted_if_allowed

_DAEMONS = 3
_RENTERS = 2
_BETWEEN_SECONDS = (0.0, 1.0)
_SETTLE_SECONDS = 600
"""As long as the slowest machine may need; one with cores to spare takes a few."""

_BEAT_SECONDS = 1.0
"""Daemons leave a server that misses three: more often than that cores answer late that others work on as well."""

_GRACE_SECONDS = 3
_LOG_MEBIBYTES = 256
"""More than servers say in a long storm: their disk is full when it is filled."""


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one storm."""

    title: str
    seconds: float
    faults: Counter[str]
    found: verdict.Found
    stopped: Counter[str]

    def __str__(self) -> str:
        failures = f"; failed for {_listed(self.found.failures)}" if self.found.failures else ""
        stopped = self.stopped - Counter({"settled": self.stopped["settled"]})
        return (
            f"{self.title}: {self.faults.total()} faults ({_listed(self.faults)}) in {self.seconds:.0f} s\n"
            f"  {self.found.statuses.total()} acknowledged jobs ({_listed(self.found.statuses)}), "
            f"{self.found.attempts} attempts, {self.found.retries} retries{failures}; "
            f"submission to completion {verdict.percentiles(self.found.seconds_to_end)}\n"
            f"  daemons were told that {self.stopped['settled']} attempts are settled as theirs, and to drop {stopped.total()} "
            f"({_listed(stopped)})\n"
            "  passed: every job has ended, and once; the books balance; no attempt was begun twice; "
            "no daemon works at what is not its own; nothing ended by itself; no error in any log"
        )


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(counted.items())) or "none"


def unleash(directory: Path, faults: int, seed: int, place: Place, kinds: Collection[str] | None = None) -> Report:
    """Run a market on that database through so many faults, and check what is left.

    Every kind strikes at least once, or those of `kinds` that can be had here. An AssertionError says what is wrong,
    how to try it again and where every process's log is.
    """
    title = f"chaos on {place.title}, seed {seed}"
    with_engine = kinds is None or RESTARTED in kinds
    with mounted_if_allowed(_LOG_MEBIBYTES) as log_disk, ExitStack() as stack:
        engine = stack.enter_context(engine_if_there_is_one()) if with_engine else None
        storm = _Storm(title, faults, seed, kinds)
        return _unleash(storm, directory, place, log_disk, engine)


@dataclass(frozen=True, slots=True)
class _Storm:
    title: str
    faults: int
    seed: int
    kinds: Collection[str] | None

    @property
    def steps(self) -> bool:
        """Whether clocks are set in it."""
        return self.kinds is None or "clock stepped" in self.kinds

    def of(self, found: list[Fault]) -> list[Fault]:
        return [fault for fault in found if self.kinds is None or fault.name in self.kinds]


def _unleash(
    storm: _Storm, directory: Path, place: Place, log_disk: SmallDisk | None, engine: EngineSeat | None
) -> Report:
    logs = None if log_disk is None else log_disk.directory
    world = World(
        directory,
        place.url,
        servers=place.servers,
        logs_of_servers=logs,
        with_walls=storm.steps and may_step(),
        container_url=None if engine is None else engine.url,
        beat_interval_seconds=_BEAT_SECONDS,
        stream_grace_seconds=_GRACE_SECONDS,
        **place.settings,
    )
    loads: list[Load] = []
    try:
        world.start()
        if engine is not None:
            answered(world.admin.post("/admin/containers/approve-image", {"image_ref": engine.image}), 201)
        # Before anything starts that needs the cores: nobody insists on these answers.
        renters = [world.add_renter() for _ in range(_RENTERS)]
        for seat in [world.add_seat() for _ in range(_DAEMONS)]:
            seat.start()
        image = None if engine is None else engine.image
        loads += [Load(world.rest.url, renter, storm.seed + at, image) for at, renter in enumerate(renters)]
        began = time.monotonic()
        kinds = storm.of([*faults_of(world, log_disk), *place.faults, *([] if engine is None else engine.faults())])
        struck = _strike(world, kinds, storm.faults, loads, random.Random(storm.seed))
        seconds = time.monotonic() - began
        _calm(world, loads)
        if engine is not None:
            eventually(engine.is_clear, "every container being removed", STOP_SECONDS)
        found = verdict.check(
            world,
            acknowledged=[job_id for load in loads for job_id in load.acknowledged.values()],
            cancelled={job_id for load in loads for job_id in load.cancelled},
        )
        return Report(storm.title, seconds, struck, found, verdict.leases_ended(world.daemons))
    except BaseException as error:
        error.add_note(f"{storm.title}, {storm.faults} faults; the logs are in {directory}")
        if logs is not None:
            shutil.copytree(logs, directory, ignore=shutil.ignore_patterns(SmallDisk.BALLAST), dirs_exist_ok=True)
        raise
    finally:
        for load in loads:
            load.give_up()
        world.close()


def _strike(world: World, kinds: list[Fault], times: int, loads: list[Load], dice: random.Random) -> Counter[str]:
    """Every kind at least once.

    Half of the faults strike a market that is at work again, half one that is getting up.
    """
    chosen = [*kinds, *dice.choices(kinds, [kind.odds for kind in kinds], k=max(0, times - len(kinds)))]
    dice.shuffle(chosen)
    for fault in chosen:
        _assert_standing(world)
        for load in loads:
            load.check()
        fault.strike(dice)
        if dice.random() < 0.5:
            _await_progress(loads)
        let_pass(dice.uniform(*_BETWEEN_SECONDS))
    return Counter(fault.name for fault in chosen)


def _calm(world: World, loads: list[Load]) -> None:
    """Let the last jobs end, and see that nothing fell over meanwhile."""
    world.await_service()
    for load in loads:
        load.stop()
        load.check()
    eventually(lambda: world.stored(verdict.open_jobs) == 0, "every job having ended", _SETTLE_SECONDS)
    eventually(lambda: not verdict.still_at_work(world.daemons), "the daemons having stopped their work", STOP_SECONDS)
    _assert_standing(world)


def _assert_standing(world: World) -> None:
    fallen = world.fallen
    assert not fallen, f"something ended that nobody killed: {fallen}"


def _await_progress(loads: list[Load]) -> None:
    before = [len(load.acknowledged) for load in loads]
    eventually(
        lambda: all(len(load.acknowledged) > count for load, count in zip(loads, before, strict=True)),
        "every renter having a submission acknowledged",
        RECOVERY_SECONDS,
    )

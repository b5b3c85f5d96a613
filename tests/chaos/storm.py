"""Servers, daemons and Envoy are killed at random moments while jobs are submitted and run."""

import math
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dc1.testing.postgres import PostgresServer
from dc1.testing.waiting import eventually
from tests.chaos import verdict
from tests.chaos.load import Load
from tests.chaos.world import World

_DAEMONS = 3
_RENTERS = 2
_DOWN_SECONDS = (0.0, 0.5)
_BETWEEN_SECONDS = (0.0, 1.0)
_FROZEN_SECONDS = (4.5, 6.0)
"""Three missed beats and the grace take 3.5."""
_KILLS_A_FREEZE = 15
_SETTLE_SECONDS = 90
_RECOVERY_SECONDS = 60
_STOP_SECONDS = 20
_ODDS = {"daemon": 5, "server": 3, "envoy": 2, "postgres": 2}
_FREEZE = "freeze"


class Victim(Protocol):
    """What can be killed and started again."""

    def kill(self) -> None: ...

    def start(self) -> None: ...


class _Crashing:
    """PostgreSQL as a victim."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def kill(self) -> None:
        self._server.crash()

    def start(self) -> None:
        self._server.start()


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one storm."""

    title: str
    seconds: float
    blows: Counter[str]
    found: verdict.Found
    stopped: Counter[str]

    def __str__(self) -> str:
        frozen = self.blows[_FREEZE]
        kills = self.blows - Counter({_FREEZE: frozen})
        stopped = self.stopped - Counter({"settled": self.stopped["settled"]})
        return (
            f"{self.title}: {kills.total()} kills ({_listed(kills)}) and {frozen} daemons frozen in {self.seconds:.0f} s\n"
            f"  {self.found.statuses.total()} acknowledged jobs ({_listed(self.found.statuses)}), "
            f"{self.found.attempts} attempts, {self.found.retries} retries; "
            f"submission to completion {verdict.percentiles(self.found.seconds_to_end)}\n"
            f"  daemons were told that {self.stopped['settled']} attempts are settled as theirs, and to drop {stopped.total()} "
            f"({_listed(stopped)})\n"
            "  passed: every job has ended, and once; the books balance; no attempt was begun twice; "
            "no daemon works at what is not its own; nothing ended by itself; no error in any log"
        )


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(counted.items())) or "none"


def unleash(
    directory: Path,
    kills: int,
    seed: int,
    postgres: PostgresServer | None = None,
) -> Report:
    """Run a market through so many kills and check what is left: on SQLite, or with two replicas on PostgreSQL.

    Beside the kills, a daemon that is at work is frozen now and then, and comes back when its work has been given to
    another. An AssertionError says what is wrong, how to try it again and where every process's log is.
    """
    title = f"chaos on {'SQLite' if postgres is None else 'PostgreSQL'}, seed {seed}"
    url = f"sqlite:///{directory / 'dc1.sqlite3'}" if postgres is None else postgres.create()
    world = World(directory, url, servers=1 if postgres is None else 2)
    loads: list[Load] = []
    try:
        world.start()
        for _ in range(_DAEMONS):
            world.add_daemon()
        loads += [Load(world.rest.url, world.add_renter(), seed + number) for number in range(_RENTERS)]
        began = time.monotonic()
        blows = _strike(world, _victims(world, postgres), kills, loads, random.Random(seed))
        seconds = time.monotonic() - began
        _calm(world, loads)
        found = verdict.check(
            world,
            acknowledged=[job_id for load in loads for job_id in load.acknowledged.values()],
            cancelled={job_id for load in loads for job_id in load.cancelled},
        )
        return Report(title, seconds, blows, found, verdict.leases_ended(world.daemons))
    except BaseException as error:
        error.add_note(f"{title}, {kills} kills; the logs are in {directory}")
        raise
    finally:
        for load in loads:
            load.give_up()
        world.close()


def _victims(world: World, postgres: PostgresServer | None) -> dict[str, list[Victim]]:
    victims: dict[str, list[Victim]] = {"daemon": [*world.daemons], "server": [*world.servers], "envoy": [world.envoy]}
    if postgres is not None:
        victims["postgres"] = [_Crashing(postgres)]
    return victims


def _strike(
    world: World, victims: dict[str, list[Victim]], kills: int, loads: list[Load], dice: random.Random
) -> Counter[str]:
    """Every kind at least once.

    Half of the blows strike a market that is at work again, half one that is getting up.
    """
    blows: Counter[str] = Counter()
    kinds = list(victims)
    chosen = [*kinds, *dice.choices(kinds, [_ODDS[kind] for kind in kinds], k=kills)][:kills]
    chosen += [_FREEZE] * math.ceil(kills / _KILLS_A_FREEZE)
    dice.shuffle(chosen)
    for kind in chosen:
        _assert_standing(world)
        for load in loads:
            load.check()
        if kind == _FREEZE:
            _freeze(world, dice)
        else:
            _kill(dice.choice(victims[kind]), dice)
        blows[kind] += 1
        if dice.random() < 0.5:
            _await_progress(loads)
        _let_pass(dice.uniform(*_BETWEEN_SECONDS))
    return blows


def _kill(victim: Victim, dice: random.Random) -> None:
    victim.kill()
    _let_pass(dice.uniform(*_DOWN_SECONDS))
    victim.start()


def _freeze(world: World, dice: random.Random) -> None:
    """A daemon at work stands still for so long that its leases are lost, and goes on as if nothing had happened."""
    eventually(lambda: verdict.still_at_work(world.daemons), "a daemon being at work", _RECOVERY_SECONDS)
    daemon = dice.choice([seat for seat in world.daemons if verdict.still_at_work([seat])] or world.daemons)
    daemon.present.freeze()
    _let_pass(dice.uniform(*_FROZEN_SECONDS))
    daemon.present.thaw()
    eventually(lambda: not verdict.at_work_in_vain(world), "the daemons having stopped what they lost", _STOP_SECONDS)


def _calm(world: World, loads: list[Load]) -> None:
    """Let the last jobs end, and see that nothing fell over meanwhile."""
    world.await_service()
    for load in loads:
        load.stop()
        load.check()
    eventually(lambda: world.stored(verdict.open_jobs) == 0, "every job having ended", _SETTLE_SECONDS)
    eventually(lambda: not verdict.still_at_work(world.daemons), "the daemons having stopped their work", _STOP_SECONDS)
    _assert_standing(world)


def _assert_standing(world: World) -> None:
    fallen = world.fallen
    assert not fallen, f"something ended that nobody killed: {fallen}"


def _await_progress(loads: list[Load]) -> None:
    before = [len(load.acknowledged) for load in loads]
    eventually(
        lambda: all(len(load.acknowledged) > count for load, count in zip(loads, before, strict=True)),
        "every renter having a submission acknowledged",
        _RECOVERY_SECONDS,
    )


def _let_pass(seconds: float) -> None:
    threading.Event().wait(seconds)

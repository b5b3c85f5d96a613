"""Servers, daemons and Envoy are killed at random moments while jobs are submitted and run."""

import random
import threading
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.chaos import verdict
from tests.chaos.load import Load
from tests.chaos.world import World
from tests.stack.postgres import PostgresServer
from tests.stack.waiting import eventually

_DAEMONS = 3
_RENTERS = 2
_DOWN_SECONDS = (0.0, 0.5)
_BETWEEN_SECONDS = (0.0, 1.0)
_SETTLE_SECONDS = 90
_RECOVERY_SECONDS = 60
_ODDS = {"daemon": 5, "server": 3, "envoy": 2, "postgres": 1}


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

    engine: str
    seed: int
    seconds: float
    kills: Counter[str]
    found: verdict.Found

    def __str__(self) -> str:
        killed = ", ".join(f"{name} {times}" for name, times in sorted(self.kills.items()))
        ended = ", ".join(f"{status} {jobs}" for status, jobs in sorted(self.found.statuses.items()))
        return (
            f"chaos on {self.engine}, seed {self.seed}: {self.kills.total()} kills ({killed}) in {self.seconds:.0f} s; "
            f"{self.found.statuses.total()} jobs ({ended}), {self.found.attempts} attempts, {self.found.retries} retries; "
            f"submission to completion {verdict.percentiles(self.found.seconds_to_end)}"
        )


def unleash(
    directory: Path,
    kills: int,
    seed: int,
    postgres: PostgresServer | None = None,
    *,
    spared: Collection[str] = (),
    **settings: Any,
) -> Report:
    """Run a market through so many kills and check what is left: on SQLite, or with two replicas on PostgreSQL.

    `spared` names the kinds of victims that live on.
    """
    url = f"sqlite:///{directory / 'dc1.sqlite3'}" if postgres is None else postgres.create()
    world = World(directory, url, servers=1 if postgres is None else 2, **settings)
    loads: list[Load] = []
    try:
        world.start()
        for _ in range(_DAEMONS):
            world.add_daemon()
        loads += [Load(world.rest.url, world.add_renter(), seed + number) for number in range(_RENTERS)]
        began = time.monotonic()
        victims = {kind: found for kind, found in _victims(world, postgres).items() if kind not in spared}
        killed = _kill(victims, kills, loads, random.Random(seed))
        seconds = time.monotonic() - began
        world.await_service()
        for load in loads:
            load.stop()
        eventually(lambda: world.stored(verdict.open_jobs) == 0, "every job having ended", _SETTLE_SECONDS)
        eventually(lambda: not verdict.still_at_work(world.daemons), "the daemons having stopped their work", 10)
        refusals = [refusal for load in loads for refusal in load.refusals]
        assert refusals == []
        acknowledged = [job_id for load in loads for job_id in load.acknowledged.values()]
        engine = "SQLite" if postgres is None else "PostgreSQL"
        return Report(engine, seed, seconds, killed, verdict.check(world, acknowledged))
    finally:
        for load in loads:
            load.give_up()
        world.close()


def _victims(world: World, postgres: PostgresServer | None) -> dict[str, list[Victim]]:
    victims: dict[str, list[Victim]] = {"daemon": [*world.daemons], "server": [*world.servers], "envoy": [world.envoy]}
    if postgres is not None:
        victims["postgres"] = [_Crashing(postgres)]
    return victims


def _kill(victims: dict[str, list[Victim]], kills: int, loads: list[Load], dice: random.Random) -> Counter[str]:
    """Half of the kills strike a market that is at work again, the others one that is still getting up."""
    killed: Counter[str] = Counter()
    kinds = list(victims)
    for _ in range(kills):
        [kind] = dice.choices(kinds, [_ODDS[kind] for kind in kinds])
        victim = dice.choice(victims[kind])
        victim.kill()
        killed[kind] += 1
        _let_pass(dice.uniform(*_DOWN_SECONDS))
        victim.start()
        if dice.random() < 0.5:
            _await_progress(loads)
        _let_pass(dice.uniform(*_BETWEEN_SECONDS))
    return killed


def _await_progress(loads: list[Load]) -> None:
    before = [len(load.acknowledged) for load in loads]
    eventually(
        lambda: all(len(load.acknowledged) > count for load, count in zip(loads, before, strict=True)),
        "every renter having a submission acknowledged",
        _RECOVERY_SECONDS,
    )


def _let_pass(seconds: float) -> None:
    threading.Event().wait(seconds)

"""What strikes a market in a storm."""

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from dc1.testing.waiting import eventually
from tests.chaos import verdict
from tests.chaos.world import DaemonSeat, World
from tests.support.programs.process import DC1
from tests.support.signals import stopped
from tests.support.small_disk import SmallDisk

RECOVERY_SECONDS = 120
STOP_SECONDS = 60
"""For so long a part that was struck may take to be at work again, or to have left what it lost."""

_DOWN_SECONDS = (0.0, 0.5)
_STALLED_SECONDS = (0.5, 3.0)
_FULL_SECONDS = (0.5, 4.0)
_FROZEN_SECONDS = (7.0, 8.5)
"""Three missed beats and the grace take 6."""
_STEPS = (172_800, -172_800, 90, -90, 3)
"""In seconds; the least is just a step and no drift."""
_STEPPED_SECONDS = (0.2, 2.5)
_REFUSED = 78
"""The exit status of a daemon that finds its place taken."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault; of those that are drawn `odds` say how many are of this kind."""

    name: str
    odds: int
    strike: Callable[[random.Random], None]


class Stallable(Protocol):
    """What can be stopped for a while."""

    def pids(self) -> Iterable[int]: ...


class Victim(Stallable, Protocol):
    """What can be killed and started again."""

    def kill(self) -> None: ...

    def start(self) -> None: ...


def faults_of(world: World, log_disk: SmallDisk | None) -> list[Fault]:
    """Return the kinds of faults that every market can have; `log_disk` has the logs of servers, if there is one."""

    def killed(victims: list[Victim]) -> Callable[[random.Random], None]:
        return lambda dice: kill(dice.choice(victims), dice)

    def stalled(victims: list[Victim]) -> Callable[[random.Random], None]:
        return lambda dice: stall(dice.choice(victims), dice)

    return [
        Fault("daemon killed", 5, killed([*world.daemons])),
        Fault("server killed", 3, killed([*world.servers])),
        Fault("Envoy killed", 2, killed([world.envoy])),
        Fault("daemon frozen until its leases are lost", 1, lambda dice: _freeze(world, dice)),
        Fault("second daemon with a key", 1, lambda dice: _second_daemon(world, dice)),
        Fault("server stalled", 2, stalled([*world.servers])),
        Fault("Envoy stalled", 1, stalled([world.envoy])),
        *([] if not world.walls else [Fault("clock stepped", 4, lambda dice: _step(world, dice))]),
        *([] if log_disk is None else [Fault("log of servers lost", 2, lambda dice: fill(log_disk, dice))]),
    ]


def let_pass(seconds: float) -> None:
    """Do nothing for so long."""
    threading.Event().wait(seconds)


def kill(victim: Victim, dice: random.Random) -> None:
    """A part ends at once, and is started again a moment later."""
    victim.kill()
    let_pass(dice.uniform(*_DOWN_SECONDS))
    victim.start()


def stall(victim: Stallable, dice: random.Random) -> None:
    """All processes of a part stand still and go on as if nothing had happened, as where a disk hangs."""
    with stopped(victim.pids()):
        let_pass(dice.uniform(*_STALLED_SECONDS))


def fill(disk: SmallDisk, dice: random.Random) -> None:
    """A disk has no room for a while."""
    try:
        disk.fill()
        let_pass(dice.uniform(*_FULL_SECONDS))
    finally:
        disk.make_room()


def _step(world: World, dice: random.Random) -> None:
    """The clock of one machine is set, ahead or back; every other time it is set right after a while."""
    wall = dice.choice(world.walls)
    wall.step(dice.choice(_STEPS))
    let_pass(dice.uniform(*_STEPPED_SECONDS))
    if dice.random() < 0.5:
        wall.step(0)


def _freeze(world: World, dice: random.Random) -> None:
    """A daemon at work stands still for so long that its leases are lost, and goes on as if nothing had happened."""
    daemon = _at_work(world, dice)
    daemon.present.freeze()
    let_pass(dice.uniform(*_FROZEN_SECONDS))
    daemon.present.thaw()
    eventually(lambda: not verdict.at_work_in_vain(world), "the daemons having stopped what they lost", STOP_SECONDS)


def _second_daemon(world: World, dice: random.Random) -> None:
    """Another daemon comes with the key of one; one of the two is sent away for good.

    Usually that is the second. It may be the first where that has just been silent for two beats, as on a slow machine.
    """
    first = dice.choice(world.daemons)
    command = (*DC1, "daemon", "--server", world.target, "--no-containers")
    second = world.spawn(f"second-daemon-{first.id}", command, {"DC1_PROVIDER_KEY": first.key})
    try:
        eventually(lambda: not (second.is_alive and first.present.is_alive), "one of two going", RECOVERY_SECONDS)
        leaving = first.present if second.is_alive else second
        assert leaving.exit_status() == _REFUSED, leaving.said[-2000:]
    finally:
        second.clean_up()
    if leaving is first.present:
        first.start()


def _at_work(world: World, dice: random.Random) -> DaemonSeat:
    eventually(lambda: verdict.still_at_work(world.daemons), "a daemon being at work", RECOVERY_SECONDS)
    return dice.choice([seat for seat in world.daemons if verdict.still_at_work([seat])] or world.daemons)

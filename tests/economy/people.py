"""Machines and renters of a simulated market, each true to its kind; they see what real ones see, and no more."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from dc1.domain.errors import ApiError
from dc1.domain.jobs.states import Actor, ErrorCategory
from dc1.testing.daemon_script import Attempt
from dcp.v1 import daemon_stream_pb2 as pb
from tests.control.scripted_daemon import ScriptedDaemon
from tests.control.small_market import SmallMarket
from tests.economy.kinds import OwnerKind, RenterKind

TICK_SECONDS = 5.0
BEAT_SECONDS = 25.0
AWAY_SECONDS = 300.0
EXIT_1 = pb.Failure(error="exit code 1", category=ErrorCategory.EXECUTION)
REFUSED = pb.Failure(error="no such sampler", category=ErrorCategory.INVALID_PARAMS)


@dataclass(slots=True)
class Order:
    """A job as its renter means it: how long the program works, and how it ends."""

    row_id: int
    kind: RenterKind
    work_seconds: float
    most_seconds: float
    paid_by_friend: bool = False


@dataclass(slots=True)
class Truth:
    """What a run really was, which nobody in the market knows."""

    kind: OwnerKind
    started: float
    ask_pct: int
    work_began: float | None = None
    worked_seconds: float = 0.0


@dataclass(slots=True)
class Machine:
    """One card, and an owner of some kind."""

    daemon: ScriptedDaemon
    kind: OwnerKind
    ask_pct: int
    heard: float = 0.0
    away_until: float = 0.0
    run: Attempt | None = None
    truths: dict[Attempt, Truth] = field(default_factory=dict)

    async def tick(self, market: SmallMarket, now: float, orders: dict[str, Order]) -> None:
        """Do what is due."""
        if now < self.away_until:
            return
        if not self.daemon.connected:
            await self.daemon.connect(market.control)
        if now - self.heard >= BEAT_SECONDS:
            self.heard = now
            await self.daemon.beat(draining=False)
        if self.run is not None and self.run not in self.daemon.held:
            self.run = None
        await self.daemon.accept()
        running = [each for each, phase in self.daemon.held.items() if phase == pb.LEASE_PHASE_RUNNING]
        if running:
            await self._work_on(running[0], orders[running[0][0]], now)

    async def _work_on(self, attempt: Attempt, order: Order, now: float) -> None:
        truth = self.truths.get(attempt)
        if truth is None:
            self.run = attempt
            truth = self.truths[attempt] = Truth(self.kind, now, self.ask_pct)
            await _FIRST.get(self.kind, _begin)(self, order, truth, now)
        else:
            if truth.work_began is not None:
                truth.worked_seconds = min(now - truth.work_began, self._needs(order))
            await _THEN.get(self.kind, _go_on)(self, order, truth, now)

    def _needs(self, order: Order) -> float:
        return order.most_seconds if order.kind is RenterKind.NEVER_ENDS else order.work_seconds

    async def fail(self, failure: pb.Failure, exit_code: int | None = None) -> None:
        """Report the run as failed."""
        await self.daemon.end(0, failure, exit_code=exit_code)

    async def complete(self, text: str = "done", gpu_seconds: float | None = None) -> None:
        """Report the run as completed."""
        await self.daemon.complete(text, gpu_seconds)


Act = Callable[[Machine, Order, Truth, float], Awaitable[None]]


async def _begin(machine: Machine, order: Order, truth: Truth, now: float) -> None:
    if order.kind is RenterKind.BAD_PARAMS:
        await machine.fail(REFUSED)
        return
    truth.work_began = now
    await machine.daemon.show_work(0)


async def _go_on(machine: Machine, order: Order, truth: Truth, now: float) -> None:
    if order.kind is RenterKind.NEVER_ENDS or now - truth.started < order.work_seconds:
        return
    if order.kind is RenterKind.EXITS_1:
        await machine.fail(EXIT_1, exit_code=1)
    elif order.kind not in {RenterKind.CANCELS, RenterKind.COMPLETES_BY_HAND}:
        await machine.complete(gpu_seconds=order.work_seconds * 10 if machine.kind is OwnerKind.INFLATES else None)


async def _hand_nothing_back(machine: Machine, order: Order, truth: Truth, now: float) -> None:
    await machine.complete("")


async def _make_up(machine: Machine, order: Order, truth: Truth, now: float) -> None:
    await machine.complete("lorem ipsum")


async def _lose(machine: Machine, order: Order, truth: Truth, now: float) -> None:
    if now - truth.started >= order.work_seconds / 2:
        machine.daemon.crash()
        await machine.daemon.cut(0)
        machine.away_until = now + AWAY_SECONDS


async def _show_a_sign(machine: Machine, order: Order, truth: Truth, now: float) -> None:
    await machine.daemon.show_work(0)


async def _blame(machine: Machine, order: Order, truth: Truth, now: float) -> None:
    if now - truth.started >= order.most_seconds * 0.9:
        await machine.fail(EXIT_1, exit_code=1)


async def _nothing(machine: Machine, order: Order, truth: Truth, now: float) -> None:
    pass


_FIRST: dict[OwnerKind, Act] = {
    OwnerKind.IDLES: _nothing,
    OwnerKind.HANDS_NOTHING_BACK: _hand_nothing_back,
    OwnerKind.MADE_UP_RESULT: _make_up,
    OwnerKind.BLAMES: _show_a_sign,
    OwnerKind.SITS: _show_a_sign,
}
_THEN: dict[OwnerKind, Act] = {
    OwnerKind.IDLES: _nothing,
    OwnerKind.LOSES: _lose,
    OwnerKind.BLAMES: _blame,
    OwnerKind.SITS: _nothing,
    OwnerKind.HANDS_NOTHING_BACK: _nothing,
    OwnerKind.MADE_UP_RESULT: _nothing,
}


async def interfere(market: SmallMarket, order: Order, truth: Truth | None) -> None:
    """Let a renter do what its kind does when the work is done, before the machine says so."""
    if truth is None or truth.worked_seconds < order.work_seconds:
        return
    with suppress(ApiError):
        if order.kind is RenterKind.CANCELS:
            await market.control.job_commands.cancel(order.row_id, Actor.RENTER)
        elif order.kind is RenterKind.COMPLETES_BY_HAND:
            await market.control.job_commands.complete(order.row_id, Actor.RENTER)


def order_of(kind: RenterKind, row_id: int, minutes: int, chance: random.Random) -> Order:
    """Return an order whose work takes a part of the time that is paid for."""
    # Whole ticks, so that a machine is at work for as long as the work takes and no longer.
    ticks = chance.randint(2, int(minutes * 60 * 0.8 / TICK_SECONDS))
    return Order(row_id, kind, ticks * TICK_SECONDS, minutes * 60, kind is RenterKind.STARTER_CREDIT)

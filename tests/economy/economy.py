"""A market of hours in seconds: honest and cheating renters and owners, on the real control plane and database."""

import random
from collections.abc import Callable
from contextlib import nullcontext, suppress
from itertools import count
from typing import TypeVar

from dc1.control.background.fault_watch import LOOK_SECONDS
from dc1.domain.access.call_limits import NO_LIMITS
from dc1.domain.errors import ApiError
from dc1.domain.providers.measurements import Device, Measurement
from dc1.storage.accounts import renters as renter_accounts
from dc1.storage.accounts import wallets
from dc1.storage.engine.database import Database
from tests.control.scripted_daemon import ScriptedDaemon
from tests.control.small_market import SmallMarket
from tests.economy.kinds import MEASURED, MODELS, OWNER_CHEATS, RENTER_CHEATS, RTX_4090, OwnerKind, RenterKind
from tests.economy.people import TICK_SECONDS, Machine, Order, Truth, interfere, order_of
from tests.economy.reckoning import Reckoning, reckon

T = TypeVar("T", OwnerKind, RenterKind)

MINUTES = 3
PURSE_HALALA = 1_000_000
STARTER_HALALA = 1_000
_LOOK_TICKS = round(LOOK_SECONDS / TICK_SECONDS)
BUDGET_HALALA = 150
"""Of a month, of which a few jobs are had."""


class Economy:
    """Renters who order, machines that are given jobs, and time."""

    def __init__(self, db: Database, seed: int) -> None:
        self.market = SmallMarket(db)
        self.chance = random.Random(seed)
        self.machines: list[Machine] = []
        self.renters: list[tuple[int, RenterKind]] = []
        self.orders: dict[str, Order] = {}
        self.open: list[str] = []
        self.suspended: list[Machine] = []
        self.budgets: dict[int, int] = {}
        self.now = 0.0
        self._refs = count(1)

    async def populate(
        self, renters: int, machines: int, share: float, owner_cheats: tuple[OwnerKind, ...] = OWNER_CHEATS
    ) -> None:
        """Open the market with a share of cheats of every kind on both sides, and one friend of a renter's."""
        await self.market.load()
        few = (OwnerKind.THROTTLED, OwnerKind.FRIEND)
        for kind in (*_kinds(OwnerKind.HONEST, owner_cheats, machines - len(few), share), *few):
            provider = await self.market.provider(gpus=1)
            self.market.heartbeat(provider, {"gpu_status": {"gpu_name": MODELS.get(kind, RTX_4090)}})
            # What the probe at its approval comes to, which is a test of its own.
            fleet, by_integers = self.market.control.fleet, kind is not OwnerKind.FLOATS
            if kind in MEASURED:
                measured = Measurement(*MEASURED[kind], Device.GPU, self._now_ms(), integer_products=by_integers)
                fleet.set_measurement(provider, measured, "measured")
            if kind is OwnerKind.SHARES_A_CARD:
                fleet.set_shared_card(provider)
            ask_pct = self.chance.choice((80, 100, 120))
            await self.market.control.provider_accounts.set_preferences(provider, {"ask_pct": ask_pct})
            self.machines.append(Machine(ScriptedDaemon(provider.id), kind, ask_pct))
        for renter_kind in _kinds(RenterKind.HONEST, RENTER_CHEATS, renters, share):
            renter_id = await self.market.renter(0)
            await self.market.do(wallets.top_up, renter_id, PURSE_HALALA, f"t{next(self._refs)}", self._now_ms())
            self.renters.append((renter_id, renter_kind))
            if renter_kind is RenterKind.EVADES_ITS_BUDGET:
                self.budgets[renter_id] = BUDGET_HALALA
                await self.market.do(renter_accounts.set_limits, renter_id, BUDGET_HALALA, None, NO_LIMITS)

    def _now_ms(self) -> int:
        return self.market.clock.now_ms()

    async def run(self, jobs: int, tell: Callable[[str], None] = lambda _: None) -> Reckoning:
        """Have so many jobs ordered and brought to an end, and reckon."""
        while len(self.orders) < jobs or self.open:
            if len(self.orders) < jobs:
                await self._order()
            await self._tick()
            if len(self.orders) < jobs and round(self.now / TICK_SECONDS) % _LOOK_TICKS == 0:
                tell(f"{len(self.orders)} jobs ordered, {len(self.open)} open, {self.now / 3600:.1f} h")
        await self.market.check()
        return await self.market.see(reckon, self.orders, self.truths, self.budgets)

    @property
    def truths(self) -> dict[tuple[str, int], Truth]:
        """What every run really was."""
        return {attempt: truth for machine in self.machines for attempt, truth in machine.truths.items()}

    async def _order(self) -> None:
        # As many as keep most machines busy, so that cheats are given jobs as well.
        while len(self.open) < len(self.machines):
            if self.chance.random() < 0.02:
                await self._submit(
                    await self.market.renter(STARTER_HALALA),
                    RenterKind.STARTER_CREDIT,
                    provider_id=self.machines[-1].daemon.provider_id,
                )
            else:
                renter_id, kind = self.chance.choice(self.renters)
                # Refused, it is no job.
                with suppress(ApiError) if renter_id in self.budgets else nullcontext():
                    for _ in range(4 if renter_id in self.budgets else 1):
                        await self._submit(renter_id, kind)

    async def _submit(self, renter_id: int, kind: RenterKind, provider_id: int | None = None) -> None:
        job = await self.market.submit(renter_id, provider_id=provider_id)
        self.orders[job.job_id] = order_of(kind, job.id, MINUTES, self.chance)
        self.open.append(job.job_id)

    async def _tick(self) -> None:
        self.now += TICK_SECONDS
        await self.market.advance(TICK_SECONDS)
        for machine in self.machines:
            if machine.run is not None and machine.run in machine.truths:
                await interfere(self.market, self.orders[machine.run[0]], machine.truths[machine.run])
            await machine.tick(self.market, self.now, self.orders)
        if round(self.now / TICK_SECONDS) % _LOOK_TICKS == 0:
            await self._operate()
        if round(self.now / TICK_SECONDS) % 6 == 0:
            rows = [await self.market.job(self.orders[each].row_id) for each in self.open]
            self.open = [row.job_id for row in rows if not row.is_terminal]

    async def _operate(self) -> None:
        """Do as an operator who follows the alerts: suspend, and give renters back what they paid."""
        control = self.market.control
        await control.fault_watch.look()
        for machine in self.machines:
            provider = control.fleet.known(machine.daemon.provider_id)
            # What a card is worth is priced by the market itself.
            watch = control.fault_watch
            is_named = (watch.since_ms(provider.id), watch.short_since_ms(provider.id)) != (None, None)
            if is_named and not provider.suspended:
                await control.provider_supervision.suspend(provider)
                self.suspended.append(machine)
                await self._give_back(machine)

    async def _give_back(self, machine: Machine) -> None:
        for job_id, _ in machine.truths:
            job = await self.market.job(self.orders[job_id].row_id)
            # Free, or another machine's in the end.
            if job.actual_cost_halala and job.provider_id == machine.daemon.provider_id:
                await self.market.control.wallets.give_back_charge(job, "The provider was stopped")


def _kinds(honest: T, cheats: tuple[T, ...], number: int, share: float) -> list[T]:
    each = max(1, round(number * share / len(cheats)))
    return [kind for kind in cheats for _ in range(each)] + [honest] * (number - each * len(cheats))

"""Everything that is alive in one server, wired together."""

import asyncio
from dataclasses import dataclass
from typing import Self

from dc1.control.dispatcher import Dispatcher
from dc1.control.fleet import Fleet
from dc1.control.hub import Hub
from dc1.control.leases import Leases
from dc1.control.loading import load_fleet
from dc1.control.orders import Orders
from dc1.control.policy import Policy
from dc1.control.runs import Runs
from dc1.control.sessions import Sessions
from dc1.control.upkeep import Upkeep
from dc1.domain.clock import Clock
from dc1.storage.database import Database


@dataclass(slots=True)
class Market:
    """The parts that servicers call."""

    db: Database
    clock: Clock
    policy: Policy
    fleet: Fleet
    leases: Leases
    sessions: Sessions
    hub: Hub
    dispatcher: Dispatcher
    runs: Runs
    orders: Orders
    upkeep: Upkeep
    _running: asyncio.Task[None] | None = None

    @classmethod
    def build(cls, db: Database, clock: Clock, policy: Policy) -> Self:
        """Wire the parts together; nothing runs and nothing is read yet."""
        fleet = Fleet(clock, policy.thresholds)
        leases, sessions, hub = Leases(), Sessions(), Hub()
        dispatcher = Dispatcher(db, clock, fleet, leases, sessions, hub, policy.offer_timeout_seconds)
        runs = Runs(db, clock, fleet, leases, dispatcher, hub, policy.limits.queue_deadline_seconds)
        orders = Orders(db, clock, fleet, dispatcher, runs, policy)
        upkeep = Upkeep(db, clock, fleet, leases, dispatcher, runs)
        return cls(db, clock, policy, fleet, leases, sessions, hub, dispatcher, runs, orders, upkeep)

    async def start(self) -> None:
        """Read what was stored, then dispatch and keep time."""
        await load_fleet(self.db, self.clock, self.fleet)
        await self.dispatcher.load()
        await self.orders.load()
        self._running = asyncio.create_task(self._run(), name="market")

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.dispatcher.run())
            group.create_task(self.upkeep.run())

    async def stop(self) -> None:
        """End every task and flush what daemons reported."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

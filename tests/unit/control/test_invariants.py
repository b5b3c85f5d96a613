"""Renters, daemons, time and restarts in any order and at the same time: memory must never disagree with the database."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from dc1.control.leases import Lease
from dc1.domain.errors import ApiError
from dc1.domain.jobs import Mover
from dc1.storage import jobs
from dc1.storage.database import Connection, Database
from dc1.storage.job_rows import JobRow
from dc1.storage.lifecycle import Outcome
from dc1.storage.tables import jobs as jobs_table
from tests.unit.control.small_market import DONE, Daemon, SmallMarket

GPUS = (1, 1, 2)
FAILED = Outcome(completed=False, error="CUDA out of memory")

daemons = st.integers(0, len(GPUS) - 1)
picks = st.integers(0, 1_000)


class AnyOrder(RuleBasedStateMachine):
    """Stale and repeated calls are as likely as right ones."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.jobs: list[int] = []
        self.leases: list[tuple[int, Lease]] = []
        self.settled: dict[int, JobRow] = {}

    def teardown(self) -> None:
        self.runner.run(self.market.db.close())
        self.runner.close()
        self.directory.cleanup()

    @initialize()
    def open(self) -> None:
        path = Path(self.directory.name) / "dc1.sqlite3"
        shutil.copy(self.template, path)
        self.runner.run(self._open(f"sqlite:///{path}"))

    async def _open(self, url: str) -> None:
        self.market = SmallMarket(Database.open(url))
        await self.market.load()
        self.renter = await self.market.renter(5000)
        self.daemons: list[Daemon] = [await self.market.daemon(gpus=gpus) for gpus in GPUS]

    def pick(self, pick: int) -> int:
        return self.jobs[pick % len(self.jobs)] if self.jobs else 1

    # What people and daemons do, each ready to happen together with others

    async def submit(self, daemon: int, pick: int) -> None:
        changes: dict[str, Any] = {
            "pricing_class": ("priority", "standard", "economy")[pick % 3],
            "container_spec": {"image_type": "llm", "gpu_count": 1 + (pick % 5 == 0)},
        }
        if pick % 4 == 0:
            changes["provider_id"] = self.daemons[daemon].provider_id
        self.jobs.append((await self.market.submit(self.renter, **changes)).id)

    async def cancel(self, daemon: int, pick: int) -> None:
        await self.market.control.orders.cancel(self.pick(pick), Mover.RENTER)

    async def accept(self, daemon: int, pick: int) -> None:
        held = self.daemons[daemon]
        for offer in held.offers[-2:]:
            lease = await self.market.control.runs.accept(held.provider_id, offer.job.job_id, offer.attempt)
            if isinstance(lease, Lease):
                self.leases.append((daemon, lease))

    async def decline(self, daemon: int, pick: int) -> None:
        if self.daemons[daemon].offers:
            await self.daemons[daemon].decline()

    async def poll(self, daemon: int, pick: int) -> None:
        lease, _ = await self.market.control.polls.next_for(self.daemons[daemon].provider)
        if lease is not None:
            self.leases.append((daemon, lease))

    async def finish(self, daemon: int, pick: int) -> None:
        if self.leases:
            holder, lease = self.leases[-1 - pick % min(4, len(self.leases))]
            outcome = FAILED if pick % 3 == 0 else DONE
            await self.daemons[holder].finish(lease, outcome, transient=pick % 2 == 0)

    async def lose(self, daemon: int, pick: int) -> None:
        for lease in self.market.control.leases.of_provider(self.daemons[daemon].provider_id):
            await self.market.control.runs.lose(lease, "The daemon lost the job")

    async def pause(self, daemon: int, pick: int) -> None:
        provider = self.daemons[daemon].provider
        self.market.control.fleet.set_paused(provider, pick % 2 == 0)
        await self.market.control.runs.bookability_changed(provider)

    async def dispatch(self, daemon: int, pick: int) -> None:
        await self.market.dispatch()

    @rule(
        calls=st.lists(
            st.tuples(
                st.sampled_from(
                    [submit, submit, cancel, accept, accept, decline, poll, finish, finish, lose, pause, dispatch]
                ),
                daemons,
                picks,
            ),
            min_size=1,
            max_size=5,
        )
    )
    def at_once(self, calls: list[tuple[Callable[["AnyOrder", int, int], Awaitable[None]], int, int]]) -> None:
        async def refusable(call: Awaitable[None]) -> None:
            with suppress(ApiError):
                await call

        async def together() -> None:
            await asyncio.gather(*(refusable(call(self, daemon, pick)) for call, daemon, pick in calls))

        self.runner.run(together())

    @rule(daemon=daemons, draining=st.booleans())
    def beat(self, daemon: int, draining: bool) -> None:
        if self.daemons[daemon].provider.presence.stream_open:
            self.daemons[daemon].beat(draining=draining)

    @rule(daemon=daemons, silent=st.sampled_from([0, 30]))
    def cut(self, daemon: int, silent: float) -> None:
        self.daemons[daemon].cut(silent)

    @rule(daemon=daemons)
    def reconnect(self, daemon: int) -> None:
        self.daemons[daemon] = self.market.reconnect(self.daemons[daemon])

    @rule(daemon=daemons)
    def post_heartbeat(self, daemon: int) -> None:
        self.market.heartbeat(self.daemons[daemon].provider)

    @rule(seconds=st.sampled_from([0.5, 6, 16, 130, 2000]))
    def time_passes(self, seconds: float) -> None:
        self.runner.run(self.market.advance(seconds))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.market.restart())
        fleet = self.market.control.fleet
        self.daemons = [Daemon(self.market.control, fleet.known(daemon.provider_id)) for daemon in self.daemons]

    @invariant()
    def memory_agrees_with_the_database(self) -> None:
        self.runner.run(self.market.check())
        self.runner.run(self.market.see(self._check_jobs))

    def _check_jobs(self, conn: Connection) -> None:
        for row_id in conn.scalars(select(jobs_table.c.id)):
            row = jobs.get(conn, row_id)
            assert row is not None
            live = [attempt for attempt in jobs.attempts(conn, row_id) if attempt.outcome is None]
            assert len(live) == (row.status == "running")
            if row.is_terminal:
                assert self.settled.setdefault(row_id, row) == row, "a settled job changed"


def test_whatever_happens_at_the_same_time_memory_agrees_with_the_database(empty_database: Path) -> None:
    AnyOrder.template = empty_database
    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

"""A market without a network: control on a real database, a clock that the test moves, and scripted daemons."""

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import count
from math import isclose
from typing import Any, TypeVar

from dc1.control.config import ControlConfig
from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.loading import provider_from_row
from dc1.control.fleet.provider import Provider
from dc1.control.operations.attempts import ReportReceipt
from dc1.control.operations.credentials import Credentials
from dc1.control.scheduling.leases import Assignment, Lease
from dc1.control.scheduling.probe_messages import ProbeMessage
from dc1.control.scheduling.sessions import EndReason, StopReason
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.submission import SubmitBody, accept
from dc1.domain.providers.reports import read_report
from dc1.storage.accounts import renters
from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.money import ledger_audit
from dc1.storage.providers import providers
from dc1.testing.clock import ManualClock

T = TypeVar("T")

NOW = 1_774_206_010_000
JOB_TYPES = frozenset({"llm_inference", "benchmark", "training"})
DONE = AttemptReport(completed=True, result={"type": "text", "response": "ok"})

_numbers = count(1)


class Daemon:
    """What control knows of a daemon: a session that is offered jobs and told to stop.

    It is below the protocol on purpose, so that a test of control fails for control's reasons alone; one that speaks is
    `tests.control.scripted_daemon`.
    """

    def __init__(self, market: ControlPlane, provider: Provider) -> None:
        self._market = market
        self.provider = provider
        self.offers: list[Assignment] = []
        self.stopped: list[tuple[str, int, StopReason]] = []
        self.ended: EndReason | None = None
        self.address = ""
        self.begins_calls = False
        self.probed: list[ProbeMessage] = []
        self.answer: Callable[[ProbeMessage], None] = self.probed.append

    # What control calls

    @property
    def provider_id(self) -> int:
        return self.provider.id

    @property
    def key_id(self) -> str | None:
        return None

    @property
    def instance(self) -> str:
        return ""

    @property
    def heard_at(self) -> float:
        return time.monotonic()

    @property
    def beat_interval_seconds(self) -> float:
        return 10

    def ask_for_beat(self) -> None:
        self.beat()

    def offer(self, assignment: Assignment, expires_in_seconds: float) -> None:
        self.offers.append(assignment)

    def stop(self, job_id: str, attempt: int, reason: StopReason) -> None:
        self.stopped.append((job_id, attempt, reason))

    def probe(self, message: ProbeMessage) -> None:
        self.answer(message)

    def end(self, reason: EndReason, after_seconds: float = 0.0) -> None:
        self.ended = reason

    # What the test calls

    def connect(self) -> None:
        self._market.open_stream(self, self.provider)
        self.beat()

    def beat(self, *, draining: bool = False, calls: int = 0, **report: Any) -> None:
        said = read_report(report)
        self._market.fleet.presence.stream_beat(self.provider, said, JOB_TYPES, draining=draining, calls=calls)
        self._market.dispatcher.wake(self.provider_id)

    def cut(self, silent_seconds: float = 0) -> None:
        self._market.close_stream(self, self.provider, silent_seconds)

    @property
    def offered(self) -> list[int]:
        """Row ids of the jobs that were offered, in order."""
        return [assignment.job.id for assignment in self.offers]

    async def accept(self) -> Lease:
        """Take the last offer."""
        last = self.offers[-1]
        lease = await self._market.attempts.accept(self.provider_id, last.job.job_id, last.attempt)
        assert isinstance(lease, Lease), lease
        return lease

    async def decline(self) -> None:
        last = self.offers[-1]
        await self._market.attempts.decline(self.provider_id, last.job.job_id, last.attempt, "not today")

    async def finish(self, lease: Lease, outcome: AttemptReport = DONE, *, transient: bool = False) -> ReportReceipt:
        return await self._market.attempts.finish(
            self.provider_id, lease.job_id, lease.attempt, outcome, transient=transient
        )


class SmallMarket:
    """Nothing runs on its own: the test lets the dispatcher and the timers take their turns."""

    def __init__(self, db: Database, config: ControlConfig | None = None) -> None:
        self.db = db
        self.clock = ManualClock(NOW)
        self._policy = config or ControlConfig()
        self.control = self._build()

    def _build(self) -> ControlPlane:
        return ControlPlane.build(self.db, self.clock, self._policy, Credentials(self.db, self.clock))

    async def load(self) -> None:
        """Know what is stored, as a server that starts."""
        fleet = self.control.fleet
        fleet.add_all([provider_from_row(row) for row in await self.see(providers.load_all)])
        await self.control.dispatcher.load()
        await self.control.catalog.load()

    async def restart(self, *, killed: bool = False) -> None:
        """A new server on the same database, after the old one flushed, or was killed."""
        if not killed:
            await self.control.report_flusher.flush()
        await self.db.close()
        self.db = Database.open(self.db.url.render_as_string(hide_password=False))
        self.control = self._build()
        await self.load()

    async def do(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await self.db.write(lambda conn: function(conn, *args, **kwargs))

    async def see(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await self.db.read(lambda conn: function(conn, *args, **kwargs))

    # People

    async def renter(self, credit: int = 1000) -> int:
        number = next(_numbers)
        new = renters.NewRenter(f"Renter {number}", f"renter{number}@example.sa")
        return await self.do(renters.register, new, credit, self.clock.now_ms())

    async def provider(self, *, gpus: int = 1, **report: Any) -> Provider:
        """An approved account, not heard of yet but for its number of GPUs."""
        number = next(_numbers)
        new = providers.NewProvider(f"Provider {number}", f"gpu{number}@example.sa", "RTX 4090", "linux")

        def work(conn: Connection) -> providers.ProviderRow:
            provider_id = providers.register(conn, new, self.clock.now_ms())
            providers.set_approved(conn, provider_id, self.clock.now_ms())
            row = providers.get(conn, provider_id)
            assert row is not None
            return row

        provider = provider_from_row(await self.db.write(work))
        provider.take_report(read_report({"gpu_status": {"gpu_count": gpus}, **report}))
        self.control.fleet.add(provider)
        return provider

    async def daemon(self, *, gpus: int = 1, **report: Any) -> Daemon:
        """A provider whose daemon holds a stream."""
        daemon = Daemon(self.control, await self.provider(gpus=gpus, **report))
        daemon.connect()
        return daemon

    def reconnect(self, daemon: Daemon) -> Daemon:
        """The same daemon with a new stream to the present server."""
        again = Daemon(self.control, self.control.fleet.known(daemon.provider_id))
        again.connect()
        return again

    def heartbeat(self, provider: Provider, report: JsonObject | None = None) -> None:
        """A heartbeat by POST."""
        self.control.fleet.presence.heartbeat(provider, read_report(report or {}))
        self.control.dispatcher.wake(provider.id)

    # Jobs

    async def submit(self, renter_id: int, **changes: Any) -> JobRow:
        """Three minutes of inference."""
        body = replace(SubmitBody("llm_inference", Decimal(3), params={"prompt": "two lines about the sea"}), **changes)
        return (await self.control.job_commands.submit(renter_id, accept(body, frozenset()))).job

    async def job(self, row_id: int) -> JobRow:
        row = await self.see(jobs.get, row_id)
        assert row is not None
        return row

    async def dispatch(self) -> None:
        await self.control.dispatcher.dispatch()

    async def advance(self, seconds: float) -> None:
        """Let time pass and the timers take one turn."""
        self.clock.advance(seconds)
        await self.control.reaper.presence()
        await self.control.reaper.deadlines()
        await self.dispatch()

    async def _check_counts(self, provider: Provider) -> None:
        stored = await self.see(providers.get, provider.id)
        assert stored is not None
        here, there = (provider.completed_jobs, provider.failed_jobs), (stored.completed_jobs, stored.failed_jobs)
        assert here == there, f"provider {provider.id}: {here} in memory, {there} stored"
        # Sums that were added up in another order.
        assert isclose(provider.record.completed, stored.recent_completed, rel_tol=1e-9)
        assert isclose(provider.record.failed, stored.recent_failed, rel_tol=1e-9)
        assert provider.record.runs == stored.weighed_runs

    async def check(self) -> None:
        """Memory agrees with the database, no provider has more than its slots, and the books balance."""
        active = {row.id: row for row in await self.see(jobs.load_active)}
        queued = {row.id for row in await self.see(jobs.load_queue)}
        leases = {lease.row_id: lease for lease in self.control.leases}
        assert leases.keys() == active.keys()
        assert self.control.leases.running == sum(lease.running for lease in leases.values())
        assert {row_id for row_id in queued | active.keys() if row_id in self.control.dispatcher.queue} == queued
        assert len(self.control.dispatcher.queue) == len(queued)
        for row_id, row in active.items():
            lease = leases[row_id]
            running = row.status == "running"
            assert (lease.provider_id, lease.running) == (row.provider_id, running)
            assert lease.attempt == row.attempt_number + (not running)
        for provider in self.control.fleet:
            used = sum(row.gpu_count for row in active.values() if row.provider_id == provider.id)
            assert provider.gpus_held + provider.calls == used <= provider.slots
            await self._check_counts(provider)
        assert await self.see(ledger_audit.verify) == []

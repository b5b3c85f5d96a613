"""Everything that is alive in one server, wired together."""

import asyncio
from dataclasses import dataclass
from typing import Self

import structlog

from dc1.control.background.reaper import Reaper
from dc1.control.cluster.replication import Replication
from dc1.control.config import ControlConfig
from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.loading import load_fleet
from dc1.control.fleet.provider import Provider
from dc1.control.operations.attempts import Attempts
from dc1.control.operations.catalog import Catalog
from dc1.control.operations.completions import Completions
from dc1.control.operations.credentials import Credentials
from dc1.control.operations.job_commands import JobCommands
from dc1.control.operations.machine_reports import MachineReports
from dc1.control.operations.payouts import Payouts
from dc1.control.operations.polling import Polling
from dc1.control.operations.provider_accounts import ProviderAccounts
from dc1.control.operations.provider_supervision import ProviderSupervision
from dc1.control.operations.renter_accounts import RenterAccounts
from dc1.control.operations.renter_supervision import RenterSupervision
from dc1.control.operations.submission import Submission
from dc1.control.operations.wallets import Wallets
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.control.scheduling.job_feed import JobFeed
from dc1.control.scheduling.leases import Leases
from dc1.control.scheduling.sessions import Session, Sessions
from dc1.domain.base.clock import Clock
from dc1.storage.engine.database import Database
from dc1.storage.providers import offered_models

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ControlPlane:
    """The parts that servicers call."""

    db: Database
    clock: Clock
    config: ControlConfig
    fleet: Fleet
    leases: Leases
    sessions: Sessions
    job_feed: JobFeed
    dispatcher: Dispatcher
    attempts: Attempts
    polling: Polling
    job_commands: JobCommands
    completions: Completions
    reaper: Reaper
    replication: Replication | None
    credentials: Credentials
    provider_accounts: ProviderAccounts
    provider_supervision: ProviderSupervision
    renter_accounts: RenterAccounts
    renter_supervision: RenterSupervision
    wallets: Wallets
    payouts: Payouts
    machine_reports: MachineReports
    catalog: Catalog
    _running: asyncio.Task[None] | None = None

    @classmethod
    def build(cls, db: Database, clock: Clock, config: ControlConfig, credentials: Credentials) -> Self:
        """Wire the parts together; nothing runs and nothing is read yet."""
        fleet = Fleet(clock, config.thresholds)
        leases, sessions, job_feed = Leases(), Sessions(), JobFeed()
        dispatcher = Dispatcher(db, clock, fleet, leases, sessions, job_feed, config.offer_timeout_seconds)
        attempts = Attempts(db, clock, fleet, leases, dispatcher, job_feed, config.limits.queue_deadline_seconds)
        polling = Polling(db, clock, fleet, leases, dispatcher, attempts, config.poll_lease_grace_seconds)
        replication = Replication(db, clock, fleet, leases, sessions, job_feed, dispatcher) if db.is_shared else None
        catch_up = _nothing_to_follow if replication is None else replication.catch_up
        submission = Submission(db, clock, dispatcher)
        job_commands = JobCommands(db, clock, fleet, dispatcher, submission, attempts, config, catch_up)
        completions = Completions(db, clock, fleet, dispatcher, submission, job_commands, config, catch_up)
        reaper = Reaper(db, clock, fleet, leases, dispatcher, attempts)
        return cls(
            db=db,
            clock=clock,
            config=config,
            fleet=fleet,
            leases=leases,
            sessions=sessions,
            job_feed=job_feed,
            dispatcher=dispatcher,
            attempts=attempts,
            polling=polling,
            job_commands=job_commands,
            completions=completions,
            reaper=reaper,
            replication=replication,
            credentials=credentials,
            provider_accounts=ProviderAccounts(db, clock, config, fleet, credentials, sessions, dispatcher, attempts),
            provider_supervision=ProviderSupervision(db, clock, fleet, credentials, sessions, attempts),
            renter_accounts=RenterAccounts(db, clock, config, credentials, job_commands),
            renter_supervision=RenterSupervision(db, clock, credentials),
            wallets=Wallets(db, clock),
            payouts=Payouts(db, clock, config.withdraw_min_halala),
            machine_reports=MachineReports(db, clock),
            catalog=Catalog(db, clock, job_commands),
        )

    async def start(self) -> None:
        """Read what was stored, then dispatch, keep time and follow the other replicas."""
        if self.replication is not None:
            self.attempts.share_tokens = self.replication.share_tokens
            self.replication.reload_catalog = self.job_commands.load
            self.attempts.confirm_lost = self.replication.confirm_lost
            await self.replication.start()
        others = () if self.replication is None else self.replication.others
        if not others:
            await self.completions.end_orphans()
        self.fleet.offered.load(await self.db.read(offered_models.load))
        await load_fleet(self.db, self.clock, self.fleet, others)
        await self.dispatcher.load()
        await self.job_commands.load()
        self._running = asyncio.create_task(self._run(), name="market")

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.dispatcher.run())
                group.create_task(self.reaper.run())
                if self.replication is not None:
                    group.create_task(self.replication.run())
        except Exception:
            log.exception("market_ended")

    async def ended(self) -> None:
        """Wait until the market's tasks end by themselves; jobs would be accepted then and nobody would run them."""
        assert self._running is not None
        await asyncio.wait({self._running})

    def drain(self) -> None:
        """Send daemons and the readers of jobs to the next server."""
        self.sessions.drain()
        self.job_feed.close()

    async def stop(self) -> None:
        """End every task and flush what daemons reported."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    async def catch_up(self) -> None:
        """Know what the other replicas committed before this call; for answers that would refuse on old news."""
        if self.replication is not None:
            await self.replication.catch_up()

    async def provider(self, provider_id: int) -> Provider:
        """Return a provider, also one that another replica registered just now; raises `Provider not found`."""
        if self.fleet.get(provider_id) is None:
            await self.catch_up()
        return self.fleet.known(provider_id)

    def open_stream(self, session: Session, provider: Provider) -> None:
        """Register a daemon's stream; an older one of the same provider is ended."""
        self.sessions.open(session)
        self.fleet.presence.stream_opened(provider)
        if self.replication is not None:
            self.replication.stream_opened(provider.id)

    def close_stream(self, session: Session, provider: Provider, silent_seconds: float) -> None:
        """Follow the end of a daemon's stream, unless a newer one has taken its place."""
        if not self.sessions.close(session):
            return
        self.fleet.presence.stream_closed(provider, silent_seconds=silent_seconds)
        if self.replication is not None:
            self.replication.stream_closed(provider.id, provider.presence.stream_lost_ms or self.clock.now_ms())


async def _nothing_to_follow() -> None:
    """There is no other replica."""

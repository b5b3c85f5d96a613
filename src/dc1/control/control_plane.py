"""Everything that is alive in one server, wired together."""

import asyncio
from dataclasses import dataclass
from typing import Self

import structlog

from dc1.control.background.alert_watch import AlertWatch
from dc1.control.background.fault_watch import FaultWatch
from dc1.control.background.reaper import Reaper
from dc1.control.background.report_flusher import ReportFlusher
from dc1.control.cluster.replication import Replication
from dc1.control.cluster.second_daemons import SecondDaemons
from dc1.control.cluster.stream_spread import StreamSpread
from dc1.control.config import ControlConfig
from dc1.control.delivery.notification_channels import NotificationChannels
from dc1.control.feeds.job_watch import JobWatch
from dc1.control.feeds.outboxes import Outboxes
from dc1.control.feeds.run_counts import RunCounts
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
from dc1.control.probing.prober import Prober
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.control.scheduling.job_feed import JobFeed
from dc1.control.scheduling.leases import Leases
from dc1.control.scheduling.replicas import NoReplicas, Replicas
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
    second_daemons: SecondDaemons
    job_feed: JobFeed
    job_watch: JobWatch
    dispatcher: Dispatcher
    attempts: Attempts
    polling: Polling
    job_commands: JobCommands
    completions: Completions
    reaper: Reaper
    prober: Prober
    fault_watch: FaultWatch
    alert_watch: AlertWatch
    report_flusher: ReportFlusher
    replicas: Replicas
    stream_spread: StreamSpread
    credentials: Credentials
    provider_accounts: ProviderAccounts
    provider_supervision: ProviderSupervision
    renter_accounts: RenterAccounts
    renter_supervision: RenterSupervision
    wallets: Wallets
    payouts: Payouts
    notification_channels: NotificationChannels
    outboxes: Outboxes
    machine_reports: MachineReports
    catalog: Catalog
    run_counts: RunCounts
    _running: asyncio.Task[None] | None = None

    @classmethod
    def build(cls, db: Database, clock: Clock, config: ControlConfig, credentials: Credentials) -> Self:
        """Wire the parts together; nothing runs and nothing is read yet."""
        core = Core.empty(db, clock, config)
        db.on_filled = core.outboxes.filled
        dispatcher = Dispatcher(core)
        catalog = Catalog(core)
        replicas = Replication(core, dispatcher, catalog, credentials) if db.is_shared else NoReplicas()
        attempts = Attempts(core, dispatcher, replicas)
        submission = Submission(core, dispatcher)
        prober = Prober(core)
        fault_watch = FaultWatch(db, clock, core.fleet, prober)
        job_commands = JobCommands(core, dispatcher, attempts, submission, catalog, replicas)
        return cls(
            db=db,
            clock=clock,
            config=config,
            fleet=core.fleet,
            leases=core.leases,
            sessions=core.sessions,
            second_daemons=SecondDaemons(core, replicas),
            job_feed=core.job_feed,
            job_watch=core.job_watch,
            dispatcher=dispatcher,
            attempts=attempts,
            polling=Polling(core, dispatcher, attempts, replicas),
            job_commands=job_commands,
            completions=Completions(core, dispatcher, submission, job_commands, attempts, replicas, catalog),
            reaper=Reaper(core, dispatcher, attempts),
            prober=prober,
            fault_watch=fault_watch,
            alert_watch=AlertWatch(core, fault_watch),
            report_flusher=ReportFlusher(core),
            replicas=replicas,
            stream_spread=StreamSpread(core.fleet.presence, core.sessions, core.leases, replicas),
            credentials=credentials,
            provider_accounts=ProviderAccounts(core, credentials, dispatcher, attempts),
            provider_supervision=ProviderSupervision(core, credentials, attempts),
            renter_accounts=RenterAccounts(core, credentials, job_commands),
            renter_supervision=RenterSupervision(db, clock, credentials, job_commands),
            wallets=Wallets(db, clock),
            notification_channels=NotificationChannels(db, clock),
            outboxes=core.outboxes,
            payouts=Payouts(db, clock, config.withdraw_min_halala),
            machine_reports=MachineReports(db, clock),
            catalog=catalog,
            run_counts=core.run_counts,
        )

    async def start(self) -> None:
        """Read what was stored, then dispatch, keep time and follow the other replicas."""
        # Joined before anything is read: what is committed from now on is in the feed, what was before is read below.
        await self.replicas.start()
        if not self.replicas.others:
            # Calls of a replica that lives are answered there; only those of a server that is gone have lost their
            # caller.
            await self.completions.end_orphans()
        self.fleet.offered.load(await self.db.read(offered_models.load))
        await load_fleet(self.db, self.clock, self.fleet, self.replicas.others)
        # The fleet first: a lease takes slots of its provider.
        await self.dispatcher.load()
        await self.catalog.load()
        self._running = asyncio.create_task(self._run(), name="control-plane")

    async def _run(self) -> None:
        # One that fails takes all with it: a server that dispatched but kept no time would look alive and lose jobs.
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.dispatcher.run())
                group.create_task(self.sessions.pace.run())
                group.create_task(self.reaper.run())
                group.create_task(self.prober.run())
                group.create_task(self.fault_watch.run())
                group.create_task(self.alert_watch.run())
                group.create_task(self.report_flusher.run())
                group.create_task(self.replicas.run())
                group.create_task(self.stream_spread.run())
        except Exception:
            log.exception("market_ended")

    async def ended(self) -> None:
        """Wait until the market's tasks end by themselves; jobs would be accepted then and nobody would run them."""
        assert self._running is not None
        await asyncio.wait({self._running})

    def drain(self) -> None:
        """Take no more daemons, and send the readers of jobs to the next server; calls in flight go on.

        Those that only wait for a provider do so there.
        """
        self.completions.drain()
        self.sessions.take_no_more()
        self.job_feed.close()

    async def stop_calls(self) -> None:
        """End the calls that are still answered here, and tell their callers."""
        await self.completions.stop()

    def release(self, next_seconds: float = 0.0) -> None:
        """Send the daemons to the next server; nobody here waits for an answer of theirs any more.

        Where no other server is there now, the next one is in so many seconds.
        """
        self.sessions.send_away(0.0 if self.replicas.others else next_seconds)

    async def stop(self) -> None:
        """End every task and flush what daemons reported."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    async def catch_up(self) -> None:
        """Know what the other replicas committed before this call; for answers that would refuse on old news."""
        await self.replicas.catch_up()

    async def find_provider(self, provider_id: int) -> Provider:
        """Return a provider, also one that another replica registered just now; raises `Provider not found`.

        It is for who shows what it says of itself: its jobs may be known to another server alone.
        """
        if self.fleet.get(provider_id) is None:
            await self.catch_up()
        return self.fleet.known(provider_id)

    async def provider(self, provider_id: int) -> Provider:
        """Do as `find_provider` for who shows its jobs or moves them, which are all known here from then on."""
        await self.find_provider(provider_id)
        await self.replicas.take_over(provider_id)
        return self.fleet.known(provider_id)

    def open_stream(self, session: Session, provider: Provider) -> None:
        """Register a daemon's stream; an older one of the same provider is ended."""
        self.sessions.open(session)
        self.fleet.presence.stream_opened(provider)
        self.replicas.stream_opened(provider.id, session.instance)

    def close_stream(self, session: Session, provider: Provider, silent_seconds: float) -> None:
        """Follow the end of a daemon's stream, unless a newer one has taken its place."""
        if not self.sessions.close(session):
            return
        self.fleet.presence.stream_closed(provider, silent_seconds=silent_seconds)
        self.replicas.stream_closed(provider.id, provider.presence.stream_lost_ms or self.clock.now_ms())

"""Follows what other servers on the same database do, and tells them what this one does.

Replicas speak through the database only. Each dispatches to the daemons whose streams it holds; a job it cannot place
is queued, and whoever can takes it. The database decides every move, so that two replicas that act on the same job
cannot both succeed; this module brings memory up to date afterwards.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import structlog

from dc1.control.cluster.asking import Asking
from dc1.control.cluster.concerns import Concerns
from dc1.control.cluster.heard_lines import HeardLines
from dc1.control.cluster.held_streams import HeldStreams
from dc1.control.cluster.living_replicas import LivingReplicas
from dc1.control.cluster.shared_texts import SharedTexts
from dc1.control.cluster.telling import Telling
from dc1.control.fleet.loading import provider_from_row
from dc1.control.fleet.provider import Provider
from dc1.control.operations.catalog import Catalog
from dc1.control.operations.credentials import Credentials
from dc1.control.periodic import every, whenever
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.control.scheduling.job_feed import Lagged, TokenChunk
from dc1.control.scheduling.sessions import EndReason
from dc1.domain.access.call_use import CallUse
from dc1.domain.access.roles import Role
from dc1.domain.inference.usage import RunSaid
from dc1.domain.providers.liveness import Approval
from dc1.storage.cluster import change_feed, replicas
from dc1.storage.cluster.change_feed import Changes, Heard, Notifications
from dc1.storage.cluster.held_jobs import held_jobs
from dc1.storage.cluster.machine_changes import MachineChanges
from dc1.storage.cluster.news import News
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.providers.providers import ProviderRow

log = structlog.get_logger(__name__)

_RENEW_SECONDS = 1.0
_STREAM_FLUSH_SECONDS = 0.1
_ROUND_SECONDS = 1.0
_SEEK_SECONDS = 0.1
"""How often a server with room to spare looks for what began to wait at another at most."""

_READ_AGAIN = 100_000
"""Transactions before the end of a database that went back: more than a standby is ever behind."""

_JOBS_AT_ONCE = 500
_SETTLE_SECONDS = 0.002
"""How long changes gather before they are told or read: a burst costs one round."""


class Replication:
    """One replica's word to the others and its ear for theirs."""

    def __init__(self, core: Core, dispatcher: Dispatcher, catalog: Catalog, credentials: Credentials) -> None:
        self.replica_id = secrets.token_hex(8)
        self._db = core.db
        self._fleet = core.fleet
        self._leases = core.leases
        self._sessions = core.sessions
        self._job_feed = core.job_feed
        self._job_watch = core.job_watch
        self._dispatcher = dispatcher
        self._catalog = catalog
        self._credentials = credentials
        self._notifications = Notifications(core.db.session_url, self.replica_id)
        self._horizon = 0
        self._machines = MachineChanges(self.replica_id)
        core.fleet.on_decided = self._machines.decided
        self._living = LivingReplicas(core, self.replica_id)
        self._held = HeldStreams(core.db, self.replica_id)
        self._committed = asyncio.Event()
        self._heard = asyncio.Event()
        self._reading = asyncio.Lock()
        self._reads_begun = 0
        self._read_at = time.monotonic()
        self._read_done = 0
        self._lines = HeardLines(core)
        self._telling = Telling(core, self.replica_id, lambda: self.others, self._committed.set)
        self._texts = SharedTexts(core, self._telling.readers)
        self._telling.has_text = self._texts.has_of
        self._telling.take_speeds = dispatcher.speeds.take_untold
        self._asking = Asking(core, self.replica_id, lambda: self.others, self._committed.set)
        self._concerns = Concerns(core, dispatcher.versions)
        self._told: set[int] = set()
        self._was_told = asyncio.Event()
        dispatcher.tell_others = self._moved
        dispatcher.leaves = self._concerns.leaves
        dispatcher.found_nothing = self._seek
        # Machines that are served here from now on, until their jobs are read.
        self._arriving: set[int] = set()
        self._heard_uses: list[Callable[[CallUse], None]] = []

    @property
    def others(self) -> frozenset[str]:
        """The other replicas that live."""
        return self._living.others

    @property
    def lag_seconds(self) -> float | None:
        """How old what this server knows of the others may be; about a second at most while all is well."""
        return time.monotonic() - self._read_at

    async def start(self) -> None:
        """Join the replicas; called before anything is loaded, so that nothing is missed after it."""
        # Before the others know of us, who from then on tell us what they read out: it is told once.
        await self._notifications.subscribe()
        self._horizon = await self._db.read(change_feed.horizon)
        await self._db.read(self._machines.load)
        await self._living.renew()
        # At once, and not with their next round, for until they know of us they tell us nothing.
        await self._notifications.send()
        await self._db.write(replicas.purge)
        self._db.on_commit = self._telling.look

    async def run(self) -> None:
        """Renew, tell and follow until cancelled."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._leave)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._notifications.listen(self._hear))
                group.create_task(every(_RENEW_SECONDS, self._living.renew, self._catalog.load, self._say_wants))
                group.create_task(every(_STREAM_FLUSH_SECONDS, self._held.store, self._tell_what_waits))
                group.create_task(whenever(self._committed, self._send, settle_seconds=_SETTLE_SECONDS))
                # Without a notification, too: one that was lost must cost a moment and never a change.
                following = whenever(
                    self._heard,
                    self.catch_up,
                    settle_seconds=_SETTLE_SECONDS,
                    at_least_every_seconds=_ROUND_SECONDS,
                )
                group.create_task(following)
                group.create_task(whenever(self._was_told, self._follow_told, settle_seconds=_SETTLE_SECONDS))
                group.create_task(whenever(self._asking.was_asked, self._asking.answer))

    async def _leave(self) -> None:
        await self._held.store()
        await self._db.write(lambda conn: replicas.remove(conn, self.replica_id))
        await self._notifications.send()
        await self._notifications.close()

    def stream_opened(self, provider_id: int, instance: str) -> None:
        """Note that this replica holds a provider's stream."""
        # By the database's clock: which of two replicas opened the later one must not hang on how their clocks go.
        self._held.opened(provider_id, self._living.database_ms(), instance)

    def stream_closed(self, provider_id: int, lost_ms: int) -> None:
        """Note that the stream ended."""
        self._held.closed(provider_id, lost_ms)

    # Telling

    def _moved(self, job: JobRow, held_by: int | None, waited: bool) -> None:
        self._concerns.moved(job)
        self._telling.moved(job, held_by, waited)

    async def _tell_what_waits(self) -> None:
        if self._telling.has_gone:
            self._committed.set()

    def share_tokens(self, row_id: int, tokens: TokenChunk) -> None:
        """Show generated text to readers on other replicas too."""
        if self.others and self._texts.share(row_id, tokens):
            self._committed.set()

    def hear_of_room(self, waits: Callable[[], bool]) -> None:
        """Be told of room at other servers while `waits` says that calls wait for it here."""
        self._telling.waits_for_room = waits

    def want_room(self) -> None:
        """Say that a call begins to wait for room."""
        self._telling.want_room()

    def share_use(self, use: CallUse) -> None:
        """Tell what a caller used of its limits under /v1."""
        if self.others:
            self._texts.share_use(replace(use, replica=self.replica_id))
            self._committed.set()

    def hear_uses(self, heard: Callable[[CallUse], None]) -> None:
        """Call `heard` with what callers used at other servers."""
        self._heard_uses.append(heard)

    async def _say_wants(self) -> None:
        self._committed.set()

    async def _send(self) -> None:
        # Before the news of its job, which may be that it has ended: who reads it elsewhere would hear no more of it.
        texts = self._texts.take(self.others)
        told = [*self._telling.take(), *self._asking.take()]
        if not self.others:
            return
        for name, shared in texts:
            await self._notifications.send([*shared, News(self.replica_id)], to=name)
        for name, news in told:
            await self._notifications.send([news], to=name)
        # What one notification does not carry goes with the next one.
        if self._texts or self._telling:
            self._committed.set()

    def _hear(self, shared: Sequence[Heard]) -> None:
        # Of a server of before, or of somebody who makes no sense: it may be anything.
        if not any(isinstance(item, News) for item in shared):
            self._heard.set()
        for item in shared:
            if isinstance(item, News):
                self._hear_news(item)
            elif isinstance(item, CallUse):
                for heard in self._heard_uses:
                    heard(item)
            else:
                self._texts.hear(item)

    def _hear_news(self, news: News) -> None:
        self._telling.heard(news)
        self._asking.heard(news)
        for told in news.speeds:
            self._dispatcher.speeds.hear(told)
        if news.look:
            self._heard.set()
        for row_id, event_sequence in news.gone:
            # Who reads it here, or watches jobs, has to be shown what became of it.
            if self._job_watch.audiences or self._job_feed.is_read(row_id):
                self._told.add(row_id)
            else:
                self._dispatcher.gone(row_id, event_sequence)
        self._told.update(news.jobs)
        if self._told:
            self._was_told.set()
        for row_id in news.lines:
            self._job_feed.publish(row_id, Lagged(), heard=True)

    # Following

    def _seek(self) -> None:
        """Look for jobs that wait elsewhere, as somebody here has room."""
        if self._telling.may_wait_elsewhere() and time.monotonic() - self._read_at > _SEEK_SECONDS:
            self._heard.set()

    async def take_over(self, provider_id: int) -> None:
        """Know every job of a machine that another server serves, or did until now."""
        if self._concerns.is_elsewhere(provider_id):
            self._concerns.follow(provider_id)
            self._arriving.add(provider_id)
        provider = self._fleet.get(provider_id)
        if provider_id in self._arriving:
            await self.catch_up()
        elif provider is None or provider.stream_replica is None:
            return
        await self._asking.resume(provider_id)

    def store_by(self, store: Callable[..., Awaitable[object]]) -> None:
        """Have the starts of runs that another server asks for stored by `store`."""
        self._asking.store = store

    async def said(self, *row_ids: int, of_all_calls: bool = False) -> Mapping[int, RunSaid]:
        """Return what runs have said at other servers, as `Asking.said` does."""
        return await self._asking.said(row_ids, of_all_calls=of_all_calls)

    def jobs_elsewhere(self, provider_id: int | None = None) -> tuple[int, int]:
        """Return how many jobs that are not known here are offered and run, on one machine or on all."""
        return self._concerns.counts(provider_id)

    def busy_elsewhere(self) -> int:
        """Return on how many machines such jobs run."""
        return self._concerns.busy()

    async def catch_up(self) -> bool:
        """Follow everything that was committed before this call; calls that come together share one reading."""
        # A reading that is under way may have begun before the caller's news was committed, so the caller needs the
        # next one; everybody who waits for that has it done by the first of them.
        wanted = self._reads_begun + 1
        async with self._reading:
            if self._read_done < wanted:
                self._reads_begun += 1
                begun = time.monotonic()
                await self._read()
                self._read_at, self._read_done = begun, self._reads_begun
        return True

    async def _read(self) -> None:
        # Both are noted before the read. What is decided here while it runs may be newer than what it brings; the fleet
        # refuses that, and the horizon stays, so that all of it is read again: following it twice changes nothing.
        start, decisions = self._horizon, self._fleet.decisions
        changes = await self._db.read(lambda conn: change_feed.since(conn, start, self._machines))
        if changes.horizon < start:
            # Its numbers are given out once more, so that news would be taken for old. How far back nobody knows.
            log.warning("database_went_back", transactions=start - changes.horizon)
            start = max(0, changes.horizon - _READ_AGAIN)
            changes = await self._db.read(lambda conn: change_feed.since(conn, start, self._machines))
        # A replica may have begun to live since the last renewal; who died is for the renewals to judge.
        self._living.seen(changes.alive)
        if changes.has_operators:
            await self._credentials.operators.load()
        followed = self._apply(changes, decisions)
        await self._follow([fact.row_id for fact in changes.jobs if self._concerns.concerns(fact)])
        await self._take_over()
        # Not before the jobs, which are looked for again where they could not be read.
        if followed:
            self._horizon = changes.horizon
        await self._count()
        await self._lines.follow()

    async def _take_over(self) -> None:
        """Know the jobs of the machines that are served here now."""
        if not self._arriving:
            return
        arriving = set(self._arriving)
        held = await self._db.read(lambda conn: change_feed.held(conn, arriving))
        self._arriving -= arriving
        for provider_id in arriving:
            self._concerns.followed(provider_id)
        for job, spec in held:
            self._dispatcher.take_over(job, spec)

    async def _count(self) -> None:
        """Know how much is taken of the machines that others serve, where something moved."""
        machines = self._concerns.to_count()
        if not machines:
            return
        known = self._concerns.known_jobs(machines)
        try:
            if self._concerns.counted(await self._db.read(lambda conn: held_jobs(conn, machines, known))):
                self._dispatcher.tell_of_room()
        except BaseException:
            self._concerns.count_again(machines)
            raise
        # Whatever came meanwhile may have been counted twice, and what went, not at all.
        if known != self._concerns.known_jobs(machines):
            self._concerns.count_again(machines)

    async def _follow_told(self) -> None:
        told, self._told = self._told, set()
        await self._follow(told)
        # What ended elsewhere has left room there, for which a call waits here.
        if self._telling.waits_for_room():
            async with self._reading:
                await self._count()

    async def _follow(self, row_ids: Collection[int]) -> None:
        """Follow jobs as they are by now, which may be later than what was heard of them."""
        ids = sorted(row_ids)
        for start in range(0, len(ids), _JOBS_AT_ONCE):
            part = ids[start : start + _JOBS_AT_ONCE]
            for job, spec in await self._db.read(partial(change_feed.followed, row_ids=part)):
                # One that another server registered since comes with the next look, and its job too.
                if job.provider_id is None or self._fleet.get(job.provider_id) is not None:
                    self._dispatcher.follow(job, spec, heard=True)
                    self._concerns.moved(job)
                else:
                    self._heard.set()
                if self._job_feed.is_read(job.id):
                    self._telling.reads(job.id)

    def _apply(self, changes: Changes, decisions: int) -> bool:
        """Follow the changes; False when something has to be read again."""
        followed = [row.id for row in changes.providers if self._apply_provider(row, decisions)]
        self._machines.followed(followed)
        self._apply_keys(changes.keys)
        for renter_id in changes.renter_ids:
            self._credentials.invalidate_account(Role.RENTER, renter_id)
        return len(followed) == len(changes.providers)

    def _apply_keys(self, changed: Mapping[str, bool]) -> None:
        for key_id in changed:
            self._credentials.invalidate(key_id)
        if any(changed.values()):
            for session in self._sessions:
                if session.key_id is not None and changed.get(session.key_id, False):
                    session.end(EndReason.ACCESS_REVOKED)

    def _apply_provider(self, row: ProviderRow, decisions: int) -> bool:
        here = self._sessions.get(row.id) is not None
        if not self._fleet.follow(provider_from_row(row, replicas=self.others), here=here, decisions=decisions):
            return False
        if row.deleted_at_ms is not None:
            self._credentials.invalidate_account(Role.PROVIDER, row.id)
        if here and row.stream_replica in self.others and (row.stream_opened_ms or 0) > self._held.opened_ms(row.id):
            self._sessions.end(row.id, EndReason.REPLACED)
        elif here and (row.deleted_at_ms is not None or row.approval_status != Approval.APPROVED):
            self._sessions.end(row.id, EndReason.ACCESS_REVOKED)
        known = self._fleet.get(row.id)
        if not here and known is not None and known.stream_replica is not None and row.id not in self._arriving:
            self._concerns.leave(row.id)
        self._dispatcher.wake(row.id)
        return True

    async def confirm_lost(self, providers: Collection[Provider]) -> None:
        """Wait on for whom another replica has heard, and who could not be heard without a database."""
        await self._living.confirm_lost(providers)

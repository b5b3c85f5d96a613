"""Follows what other servers on the same database do, and tells them what this one does.

Replicas speak through the database only. Each dispatches to the daemons whose streams it holds; a job it cannot place
is queued, and whoever can takes it. The database decides every move, so that two replicas that act on the same job
cannot both succeed; this module brings memory up to date afterwards.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import structlog

from dc1.control.cluster.heard_events import HeardEvents
from dc1.control.cluster.waiting_texts import WaitingTexts
from dc1.control.fleet.loading import provider_from_row
from dc1.control.fleet.provider import Provider
from dc1.control.operations.catalog import Catalog
from dc1.control.operations.credentials import Credentials
from dc1.control.periodic import every, whenever
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.control.scheduling.job_feed import Lagged, TokenChunk
from dc1.control.scheduling.leases import Lease
from dc1.control.scheduling.sessions import EndReason
from dc1.domain.access.call_use import CallUse
from dc1.domain.access.roles import Role
from dc1.domain.providers.liveness import Approval
from dc1.storage.cluster import change_feed, replicas
from dc1.storage.cluster.change_feed import Changes, Notifications, Shared, SharedEvent
from dc1.storage.cluster.replicas import ReplicaExpiries, StreamChange
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import job_logs
from dc1.storage.providers.providers import ProviderRow

log = structlog.get_logger(__name__)

_TTL_MS = 5_000
_RENEW_SECONDS = 1.0
_STEP_MS = 2_500
"""Half of the time to live: what is less ends nobody's word."""
_STREAM_FLUSH_SECONDS = 0.1
_ROUND_SECONDS = 1.0
_READ_AGAIN = 100_000
"""Transactions before the end of a database that went back: more than a standby is ever behind."""

_SETTLE_SECONDS = 0.002
"""How long changes gather before they are told or read: a burst costs one round."""


class Replication:
    """One replica's word to the others and its ear for theirs."""

    def __init__(self, core: Core, dispatcher: Dispatcher, catalog: Catalog, credentials: Credentials) -> None:
        self.replica_id = secrets.token_hex(8)
        self._db = core.db
        self._clock = core.clock
        self._fleet = core.fleet
        self._leases = core.leases
        self._sessions = core.sessions
        self._job_feed = core.job_feed
        self._dispatcher = dispatcher
        self._catalog = catalog
        self._credentials = credentials
        self._notifications = Notifications(core.db.session_url, self.replica_id)
        self._horizon = 0
        self._alive: frozenset[str] = frozenset()
        self._streams: dict[int, StreamChange] = {}
        self._opened_ms: dict[int, int] = {}
        self._committed = asyncio.Event()
        self._heard = asyncio.Event()
        self._reading = asyncio.Lock()
        self._reads_begun = 0
        self._read_at = time.monotonic()
        self._read_done = 0
        self._renewed_at = time.monotonic()
        self._judge_from = 0.0
        self._ahead_ms = 0
        self._database_ms: int | None = None
        self._lines: dict[int, int] = {}
        self._texts = WaitingTexts()
        self._events = HeardEvents()
        self._heard_uses: list[Callable[[CallUse], None]] = []

    @property
    def others(self) -> frozenset[str]:
        """The other replicas that live."""
        return self._alive - {self.replica_id}

    @property
    def lag_seconds(self) -> float | None:
        """How old what this server knows of the others may be; about a second at most while all is well."""
        return time.monotonic() - self._read_at

    async def start(self) -> None:
        """Join the replicas; called before anything is loaded, so that nothing is missed after it."""
        # Before the others know of us, who from then on tell us what they read out: it is told once.
        await self._notifications.subscribe()
        self._horizon = await self._db.read(change_feed.horizon)
        await self._renew_once()
        # At once, and not with their next round, for until they know of us they tell us nothing.
        await self._notifications.send()
        await self._db.write(replicas.purge)
        self._db.on_commit = self._committed.set

    async def run(self) -> None:
        """Renew, tell and follow until cancelled."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._leave)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._notifications.listen(self._hear))
                group.create_task(every(_RENEW_SECONDS, self._renew_once, self._catalog.load))
                group.create_task(every(_STREAM_FLUSH_SECONDS, self._store_streams))
                group.create_task(whenever(self._committed, self._send, settle_seconds=_SETTLE_SECONDS))
                # Without a notification, too: one that was lost must cost a moment and never a change.
                following = whenever(
                    self._heard,
                    self.catch_up,
                    settle_seconds=_SETTLE_SECONDS,
                    at_least_every_seconds=_ROUND_SECONDS,
                )
                group.create_task(following)

    async def _leave(self) -> None:
        await self._store_streams()
        await self._db.write(lambda conn: replicas.remove(conn, self.replica_id))
        await self._notifications.send()
        await self._notifications.close()

    # Streams that are held here

    def stream_opened(self, provider_id: int, instance: str) -> None:
        """Note that this replica holds a provider's stream."""
        # By the database's clock: which of two replicas opened the later one must not hang on how their clocks go.
        opened_ms = self._clock.now_ms() + self._ahead_ms
        self._opened_ms[provider_id] = opened_ms
        self._streams[provider_id] = StreamChange(provider_id, opened_ms, None, instance)

    def stream_closed(self, provider_id: int, lost_ms: int) -> None:
        """Note that the stream ended."""
        opened_ms = self._opened_ms.pop(provider_id, lost_ms)
        self._streams[provider_id] = StreamChange(provider_id, opened_ms, lost_ms)

    async def _store_streams(self) -> None:
        """Store every stream that opened or ended since the last time, at once."""
        batch, self._streams = list(self._streams.values()), {}
        if not batch:
            return
        try:
            await self._db.write(lambda conn: replicas.store_streams(conn, self.replica_id, batch))
        except BaseException:
            self._streams = {item.provider_id: item for item in batch} | self._streams
            raise

    # Telling

    def share_tokens(self, row_id: int, tokens: TokenChunk) -> None:
        """Show generated text to readers on other replicas too."""
        if self.others:
            self._texts.add(row_id, tokens)
            self._committed.set()

    def share_use(self, use: CallUse) -> None:
        """Tell what a caller used of its limits under /v1."""
        if self.others:
            self._texts.add_use(replace(use, replica=self.replica_id))
            self._committed.set()

    def hear_uses(self, heard: Callable[[CallUse], None]) -> None:
        """Call `heard` with what callers used at other servers."""
        self._heard_uses.append(heard)

    async def _send(self) -> None:
        if self.others:
            await self._notifications.send(self._texts.take())
            # What one notification does not carry goes with the next one.
            if self._texts:
                self._committed.set()

    def _hear(self, shared: Sequence[Shared]) -> None:
        for item in shared:
            if isinstance(item, CallUse):
                for heard in self._heard_uses:
                    heard(item)
                continue
            tokens = (
                self._events.take(item)
                if isinstance(item, SharedEvent)
                else TokenChunk(item.attempt, item.text, item.count, item.offset)
            )
            if tokens is None:
                continue
            # Whoever hangs up here, or ends the call by hand, pays what was said at the daemon's replica.
            lease = self._leases.of_job(item.row_id)
            show = partial(self._show, lease, item.row_id, tokens)
            if lease is None:
                show()
            elif not lease.pass_on(show):
                self._job_feed.publish(item.row_id, Lagged())
        self._heard.set()

    def _show(self, lease: Lease | None, row_id: int, tokens: TokenChunk) -> None:
        if lease is not None and lease.attempt == tokens.attempt:
            lease.relay_chunk(tokens, self._clock.now_ms())
        self._job_feed.publish(row_id, tokens)

    # Following

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
        changes = await self._db.read(lambda conn: change_feed.since(conn, start))
        if changes.horizon < start:
            # Its numbers are given out once more, so that news would be taken for old. How far back nobody knows.
            log.warning("database_went_back", transactions=start - changes.horizon)
            start = max(0, changes.horizon - _READ_AGAIN)
            changes = await self._db.read(lambda conn: change_feed.since(conn, start))
        # A replica may have begun to live since the last renewal; who died is for the renewals to judge.
        self._alive |= changes.alive
        if changes.has_operators:
            await self._credentials.operators.load()
        if self._apply(changes, decisions):
            self._horizon = changes.horizon
        await self._follow_logs()

    async def _follow_logs(self) -> None:
        """Make the readers here of jobs that run elsewhere look for new lines."""
        # Lines are not told: a flood of them would crowd out everything else that is. One query says for all jobs with
        # readers here how many lines there are.
        elsewhere = [row_id for row_id in self._job_feed.subscribed_rows() if not self._runs_here(row_id)]
        if not elsewhere:
            self._lines.clear()
            return
        totals = await self._db.read(lambda conn: job_logs.totals_of(conn, elsewhere))
        for row_id, total in totals.items():
            if self._lines.get(row_id) != total:
                self._job_feed.publish(row_id, Lagged())
        self._lines = totals

    def _runs_here(self, row_id: int) -> bool:
        lease = self._leases.of_job(row_id)
        return lease is not None and self._sessions.get(lease.provider_id) is not None

    def _apply(self, changes: Changes, decisions: int) -> bool:
        """Follow the changes; False when something has to be read again."""
        followed = [self._apply_provider(row, decisions) for row in changes.providers]
        for job in changes.jobs:
            self._dispatcher.follow(job, changes.specs.get(job.id))
        self._apply_keys(changes.keys)
        for renter_id in changes.renter_ids:
            self._credentials.invalidate_account(Role.RENTER, renter_id)
        return all(followed)

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
        if here and row.stream_replica in self.others and (row.stream_opened_ms or 0) > self._opened_ms.get(row.id, 0):
            self._sessions.end(row.id, EndReason.REPLACED)
        elif here and (row.deleted_at_ms is not None or row.approval_status != Approval.APPROVED):
            self._sessions.end(row.id, EndReason.ACCESS_REVOKED)
        self._dispatcher.wake(row.id)
        return True

    # Living

    async def confirm_lost(self, provider: Provider) -> None:
        """Wait on for a provider that another replica has heard, or that could not be heard without a database."""
        thresholds = self._fleet.thresholds
        gone = await self._db.read(
            partial(
                replicas.gone,
                provider_ids=[provider.id],
                grace_ms=thresholds.stream_grace_seconds * 1000,
                silence_ms=thresholds.offline_seconds * 1000,
                now_ms=self._clock.now_ms(),
            )
        )
        if not gone:
            self._fleet.presence.not_lost(provider)
        elif time.monotonic() < self._judge_from or self._is_out_of_touch():
            self._fleet.presence.await_return(provider)

    def _is_out_of_touch(self) -> bool:
        return time.monotonic() - self._renewed_at > _TTL_MS / 2000

    async def _renew_once(self) -> None:
        found, here_ms = await self._db.write(self._renewal)
        stepped = self._note_difference(found.now_ms - here_ms)
        alive = found.alive()
        # After an outage of the database, or a step of its clock, everybody's word has expired: let them all speak
        # before judging.
        if stepped or self._is_out_of_touch():
            self._judge_from = time.monotonic() + 2 * _TTL_MS / 1000
        self._renewed_at = time.monotonic()
        if self._renewed_at < self._judge_from:
            self._alive |= alive
            return
        dead = self._alive - alive - {self.replica_id}
        self._alive = alive
        if dead:
            log.info("replicas_died", count=len(dead))
            self._fleet.presence.replica_died(dead, self._clock.now_ms())

    def _note_difference(self, ahead_ms: int) -> bool:
        """Note how the database's clock differs from this server's, and tell whether it stepped since the last look.

        A step is not followed: streams that open after one that went back would seem older than those before.
        """
        known, self._database_ms = self._database_ms, ahead_ms
        stepped = known is not None and abs(ahead_ms - known) > _STEP_MS
        if known is None:
            self._ahead_ms = ahead_ms
        elif not stepped:
            self._ahead_ms += ahead_ms - known
        return stepped

    def _renewal(self, conn: Connection) -> tuple[ReplicaExpiries, int]:
        return replicas.renew(conn, self.replica_id, _TTL_MS), self._clock.now_ms()

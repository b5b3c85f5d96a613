"""A feed of what other replicas changed misses nothing; notifications make it fast.

Rows are stamped with their transaction. A reader remembers the oldest transaction that was still open when it last
read; everything stamped since is new to it. A notification only says "read now": a lost one costs a moment, never a
change.
"""

import asyncio
import json
import logging
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from sqlalchemy import URL, BigInteger, ColumnElement, Connection, Table, Text, bindparam, cast, func, select

from dc1.containment import contained
from dc1.domain.access.call_use import CallUse
from dc1.domain.base.json_types import MAX_EXACT_INTEGER
from dc1.domain.jobs.states import OPEN, JobStatus
from dc1.storage.cluster import replicas
from dc1.storage.cluster.arrays import is_any_of
from dc1.storage.cluster.machine_changes import MachineChanges
from dc1.storage.cluster.news import News
from dc1.storage.engine.postgres import patience
from dc1.storage.engine.postgres_address import connect_arguments
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.jobs import jobs as job_reads
from dc1.storage.jobs.job_records import JobRow, JobSpec, job_shape, spec_shape
from dc1.storage.providers.providers import ProviderRow
from dc1.storage.schema.tables import api_keys, job_specs, jobs, operators, renters

log = logging.getLogger(__name__)

_CHANNEL = "dc1_changes"
_LONGEST_PAUSE_SECONDS = 2.0
_TRIES = 2
_LOOK_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
# On a node that takes no writes any more nobody else will say anything, and nothing ends the connection.
_IS_READ_ONLY = "SELECT current_setting('transaction_read_only')::boolean"


@dataclass(frozen=True, slots=True)
class JobFact:
    """A job that moved: its version, whose it is, its state, how many runs of it began, and who has it, or lost it."""

    row_id: int
    renter_id: int
    event_sequence: int
    status: str
    source: str
    attempt_number: int
    provider_id: int | None
    last_provider_id: int | None


_FACTS = PreparedStatement(
    select(*(jobs.c["id" if field.name == "row_id" else field.name] for field in fields(JobFact))).where(
        jobs.c.changed_xid >= bindparam("start", type_=BigInteger),
        # That its documents are gone is no news of a job: thousands at a time would push out what is.
        jobs.c.documents_erased_at_ms.is_(None),
    )
)


_FOLLOWED = PreparedStatement(select(*job_shape.columns).where(is_any_of(jobs.c.id, "wanted")))
_HORIZON = PreparedStatement(
    select(cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger).label("oldest"))
)


def _stamped(table: Table, *columns: ColumnElement[Any]) -> PreparedStatement:
    return PreparedStatement(
        select(*columns).where(table.c.changed_xid >= bindparam("start", type_=BigInteger)),
    )


_KEYS = _stamped(api_keys, api_keys.c.key_id, api_keys.c.revoked_at_ms)
_RENTERS = _stamped(renters, renters.c.id)
_OPERATORS = _stamped(operators, operators.c.id)


@dataclass(frozen=True, slots=True)
class Changes:
    """What was committed since a horizon, the horizon to ask from next time, and the replicas that live.

    `keys` tells of each key that changed, by its id, whether it was stopped, `has_operators` whether any operator did.
    Of jobs there is just enough to tell whom they concern: most are served elsewhere, and a row of theirs would cost
    every server a third of what the job costs its own.
    """

    horizon: int
    alive: frozenset[str]
    jobs: list[JobFact]
    providers: list[ProviderRow]
    keys: dict[str, bool]
    renter_ids: list[int]
    has_operators: bool


def horizon(conn: Connection) -> int:
    """Return the point from which a reader that starts now has to follow."""
    oldest: int = _HORIZON.rows(conn, {})[0][0]
    return oldest


def since(conn: Connection, start: int, machines: MachineChanges | None = None) -> Changes:
    """Return everything that was stamped at or after `start` and is committed.

    Of the server whose `machines` are given, what it did not store itself of those that it serves.

    The horizon is before `start` when the database went back, as it does when a standby that lacked the newest
    transactions was promoted: what was stamped between the two is not among the changes then.
    """
    # In one round trip: every server looks every second, and once more for whatever another one changes.
    questions = (_HORIZON, _FACTS, _KEYS, _RENTERS, _OPERATORS)
    oldest, facts, keys, accounts, staff = (each.ask(conn, {"start": start}) for each in questions)
    changed = (machines or MachineChanges()).ask(conn, start)
    living = replicas.ask(conn)
    return Changes(
        # Of the same snapshot as the rows: whatever commits later is stamped at or after it.
        horizon=oldest()[0][0],
        alive=living().alive(),
        jobs=[JobFact(*row) for row in facts()],
        providers=changed(),
        keys={key_id: revoked_at_ms is not None for key_id, revoked_at_ms in keys()},
        renter_ids=[renter_id for (renter_id,) in accounts()],
        has_operators=bool(staff()),
    )


def followed(conn: Connection, row_ids: Collection[int]) -> list[tuple[JobRow, JobSpec | None]]:
    """Return jobs as they are now, and the documents of those that are offered or run."""
    found = job_shape.all(_FOLLOWED.rows(conn, {"wanted": [*row_ids]}))
    # Nobody hands out a job that has ended, and whoever gives out one that waits reads its documents then.
    given = [job.id for job in found if job.status in OPEN and job.status != JobStatus.QUEUED]
    specs = job_reads.specs(conn, given) if given else {}
    return [(job, specs.get(job.id)) for job in found]


def held(conn: Connection, provider_ids: Collection[int]) -> list[tuple[JobRow, JobSpec]]:
    """Return what these machines hold, with its documents."""
    query = (
        select(*job_shape.columns, *spec_shape.columns)
        .join(job_specs, job_specs.c.job_id == jobs.c.id)
        .where(is_any_of(jobs.c.provider_id, provider_ids), job_reads.LEASED)
    )
    of_job = len(job_shape.columns)
    return [(JobRow(*row[:of_job]), JobSpec(*row[of_job:])) for row in conn.execute(query)]


@dataclass(frozen=True, slots=True)
class SharedTokens:
    """Text that a run on another replica generated, and how many characters came before it, where that is known."""

    row_id: int
    attempt: int
    text: str
    count: int
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class SharedEvent:
    """A part of what an engine said of a call on another replica.

    `offset` is how many events of the answer came before its event, `start` how many characters of that; `is_end` is
    set for its last part, and `is_last` where the answer is over with it.
    """

    row_id: int
    attempt: int
    offset: int
    start: int
    text: str
    is_end: bool
    is_last: bool


Shared: TypeAlias = SharedTokens | SharedEvent | CallUse
Heard: TypeAlias = Shared | News


def read_payload(payload: str) -> tuple[str, list[Heard]]:
    """Return who sent a notification and what it shares; of what cannot be read nothing.

    Anybody who may use the database may notify. An odd notification is a call to read anew, as every other; were it
    the end of the listening, it would take the text of all others with it.
    """
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError):
        return "", []
    if not isinstance(told, dict) or not isinstance(told.get("tokens"), list):
        return "", []
    # An older server tells of none.
    events = told["events"] if isinstance(told.get("events"), list) else []
    uses = told["uses"] if isinstance(told.get("uses"), list) else []
    found: list[Heard] = [SharedEvent(*item) for item in events if _is_event(item)]
    found += (CallUse(*item) for item in uses if _is_use(item))
    sender = str(told.get("from"))
    # Before what is said of a job that it tells of.
    if (news := News.read(sender, told.get("news"))) is not None:
        found.insert(0, news)
    return sender, [*found, *(SharedTokens(*item) for item in told["tokens"] if _is_tokens(item))]


def _is_tokens(item: object) -> bool:
    if not isinstance(item, list) or len(item) != len(fields(SharedTokens)):
        return False
    row_id, attempt, text, count, offset = item
    return isinstance(text, str) and _are_counts(row_id, attempt, count, 0 if offset is None else offset)


def _is_event(item: object) -> bool:
    if not isinstance(item, list) or len(item) != len(fields(SharedEvent)):
        return False
    *counts, text, is_end, is_last = item
    return isinstance(text, str) and isinstance(is_end, bool) and isinstance(is_last, bool) and _are_counts(*counts)


def _is_use(item: object) -> bool:
    if not isinstance(item, list) or len(item) != len(fields(CallUse)):
        return False
    replica, subject, requests, tokens, *counts = item
    # A call takes fewer tokens than it might have: what is told at its end is less than nothing.
    changes = (abs(each) if type(each) is int else each for each in (requests, tokens))
    return isinstance(replica, str) and isinstance(subject, str) and _are_counts(*changes, *counts)


def _are_counts(*numbers: object) -> bool:
    # No row id, attempt, count or offset is beyond what JSON holds exactly.
    return all(isinstance(each, int) and type(each) is int and 0 <= each < MAX_EXACT_INTEGER for each in numbers)


def _channel_of(replica_id: str) -> str:
    """Return where one server alone is told something."""
    return f"dc1_{replica_id}"


class Notifications:
    """Tells the other replicas that something changed, and what text runs generate, and hears it from them."""

    def __init__(self, url: URL, replica_id: str) -> None:
        # Not as a text: SQLAlchemy writes several hosts in a form of its own, which libpq cannot read.
        self._arguments: dict[str, Any] = {**connect_arguments(url), **patience(url)}
        self._replica_id = replica_id
        self._sender: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        self._ear: psycopg.AsyncConnection[tuple[object, ...]] | None = None

    async def send(self, shared: Sequence[Heard] = (), *, to: str | None = None) -> None:
        """Notify the others, or the one that is named.

        A failure is left to the followers' own rounds to heal, and tokens are shown or lost.
        """
        tokens = [astuple(item) for item in shared if isinstance(item, SharedTokens)]
        events = [astuple(item) for item in shared if isinstance(item, SharedEvent)]
        uses = [astuple(item) for item in shared if isinstance(item, CallUse)]
        more: dict[str, Any] = {name: items for name, items in (("events", events), ("uses", uses)) if items}
        news = next((item for item in shared if isinstance(item, News)), None)
        more |= {} if news is None else {"news": news.to_tell()}
        payload = json.dumps({"from": self._replica_id, "tokens": tokens, **more})
        channel = _CHANNEL if to is None else _channel_of(to)
        # Twice, for a connection that was ended while nothing was said is found out by the first thing that is.
        for _ in range(_TRIES):
            try:
                if self._sender is None or self._sender.closed:
                    self._sender = await self._connect()
                async with asyncio.timeout(_ANSWER_SECONDS):
                    told = await self._sender.execute(f"{_IS_READ_ONLY}, pg_notify(%s, %s)", (channel, payload))
                    row = await told.fetchone()
                if row is not None and not row[0]:
                    return
                await self._close_sender()
            except (psycopg.Error, TimeoutError) as error:
                log.warning("a notification was not sent: %s", type(error).__name__)
                await self._close_sender()

    async def subscribe(self) -> None:
        """Begin to hear, as far as the database lets us: what is notified from now on waits for `listen` to read it."""
        try:
            self._ear = await self._listening()
        except psycopg.Error as error:
            log.warning("not listening yet: %s", type(error).__name__)

    async def listen(self, heard: Callable[[Sequence[Heard]], None]) -> None:
        """Call `heard` for each notification of another replica, and after each reconnection, until cancelled."""
        pause = 0.05
        while True:
            try:
                with contained():
                    async with await self._heard_by() as connection:
                        # Whatever was notified while nobody listened is made good by reading once.
                        heard(())
                        while await self._leads_to_the_others(connection):
                            pause = 0.05
                            async for notification in connection.notifies(timeout=_LOOK_SECONDS):
                                sender, tokens = read_payload(notification.payload)
                                if sender != self._replica_id:
                                    heard(tokens)
            except Exception as error:
                # An outage is told at its beginning.
                if pause < _LONGEST_PAUSE_SECONDS:
                    log.warning("listening again after %s", type(error).__name__)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        """Release the connections."""
        await self._close_sender()
        ear, self._ear = self._ear, None
        if ear is not None:
            await ear.close()

    async def _leads_to_the_others(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> bool:
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await connection.execute(_IS_READ_ONLY)
            return await answer.fetchone() == (False,)

    async def _heard_by(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        ear, self._ear = self._ear, None
        return ear or await self._listening()

    async def _listening(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        connection = await self._connect()
        for channel in (_CHANNEL, _channel_of(self._replica_id)):
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        return connection

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        # Without a transaction around it, a notification leaves at once.
        return await psycopg.AsyncConnection.connect(autocommit=True, **self._arguments)

    async def _close_sender(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            await sender.close()

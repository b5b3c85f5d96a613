"""A call is offered while its hold is on the way to the disk, and is nobody's before it is there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from threading import Event

import pytest
from google.protobuf.struct_pb2 import Value
from sqlalchemy.exc import DBAPIError

from dc1.control.scheduling import early_offers
from dc1.control.scheduling.job_feed import TokenChunk
from dc1.control.scheduling.leases import Assignment
from dc1.control.scheduling.sessions import StopReason
from dc1.domain.inference.kinds import read_call
from dc1.domain.jobs.states import JobStatus
from dc1.services.daemons.approved_images import ToldImages
from dc1.services.daemons.daemon_messages import DaemonMessages
from dc1.services.daemons.message_budget import MessageBudget
from dc1.services.daemons.message_follower import MessageFollower
from dc1.services.daemons.outbox import Outbox
from dc1.storage.accounts import renters
from dc1.storage.engine.database import Connection
from dc1.storage.engine.statements import driver_of
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow
from dcp.v1 import daemon_stream_pb2 as pb
from tests.control.small_market import Daemon, SmallMarket

MODEL = "acme/Chat-7B"
SAID = b'{"model": "acme/Chat-7B", "messages": [{"role": "user", "content": "Why?"}], "stream": true}'


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(5_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen in 5 s")


@pytest.fixture(autouse=True)
def _nothing_is_taken_back_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take a second from an offer to its commit, after which a call is offered again."""
    monkeypatch.setattr(early_offers, "_MOST_EARLY_SECONDS", 60.0)


@pytest.fixture
async def daemon(market: SmallMarket) -> Daemon:
    daemon = await market.daemon(cached_models=[MODEL])
    daemon.begins_calls = True
    daemon.beat(cached_models=[MODEL])
    return daemon


@dataclass(frozen=True, slots=True)
class Begun:
    """A call whose hold is stored and not committed: what is offered of it, and how its commit goes on.

    `before` is what was written ahead of it.
    """

    started: asyncio.Task[JobRow]
    before: asyncio.Task[None]
    offer: Assignment
    commit: Event


@asynccontextmanager
async def begun(
    market: SmallMarket,
    daemon: Daemon,
    renter: int,
    last: Callable[[Connection], None] = lambda conn: None,
    ahead: Callable[[Connection], None] = lambda conn: None,
) -> AsyncIterator[Begun]:
    """Begin a call, and hold its commit up until the test says so.

    `ahead` is done before the hold and `last` before the commit, in the same one.
    """
    entered, go_on, commit = Event(), Event(), Event()

    def hold(_: Connection) -> None:
        entered.set()
        go_on.wait(10)

    def hold_commit(conn: Connection) -> None:
        commit.wait(10)
        last(conn)

    asked = read_call("/v1/chat/completions", SAID, 1_000_000)
    # Whatever waits while one is written shares the next commit.
    first = asyncio.ensure_future(market.db.write(hold))
    await asyncio.to_thread(entered.wait)
    reserved = await market.control.completions.reserve(renter, asked)
    before = asyncio.ensure_future(market.db.write(ahead))
    await asyncio.sleep(0)
    started = asyncio.ensure_future(market.control.completions.start(renter, asked, reserved))
    await asyncio.sleep(0)
    beside = asyncio.ensure_future(market.db.write(hold_commit))
    await asyncio.sleep(0)
    go_on.set()
    try:
        await until(lambda: bool(daemon.offers))
        assert not started.done()
        yield Begun(started, before, daemon.offers[0], commit)
    finally:
        commit.set()
        await asyncio.gather(first, before, started, beside, return_exceptions=True)


def undo(conn: Connection) -> None:
    """Take the whole transaction along, as a full disk does: the others run again."""
    driver_of(conn).rollback()
    raise RuntimeError("gone")


def refuse_commit(conn: Connection) -> None:
    """Leave something that SQLite finds wrong once it is asked to commit."""
    conn.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    conn.exec_driver_sql("UPDATE job_specs SET job_id = -1 WHERE job_id = (SELECT max(job_id) FROM job_specs)")


async def test_its_daemon_begins_while_the_disk_writes(market: SmallMarket, daemon: Daemon, renter: int) -> None:
    async with begun(market, daemon, renter) as call:
        accepting = asyncio.ensure_future(_told(market, daemon).take(_accept(call)))
        await asyncio.sleep(0)
        assert await market.see(jobs.load_active) == []
        assert not accepting.done(), "nobody is answered before the hold is durable"
        assert list(market.control.leases) == []
        call.commit.set()
        job = await call.started
        await accepting
    lease = market.control.leases.of_job(job.id)
    assert lease is not None
    assert lease.running
    assert (await market.job(job.id)).status == JobStatus.PENDING, "its start is written with its end"
    assert len(daemon.offers) == 1, "it is offered once"
    await daemon.finish(lease)
    assert (await market.job(job.id)).status == JobStatus.COMPLETED


async def test_what_was_said_before_is_told_after(market: SmallMarket, daemon: Daemon, renter: int) -> None:
    async with begun(market, daemon, renter) as call:
        follower, outbox = _follower(market, daemon)
        await _answer(follower, call)
        call.commit.set()
        job = await call.started
        with market.control.job_feed.subscribe(job.id, (TokenChunk,), from_start=True) as reader:
            (chunk,) = [each for each in await reader.next(5) if isinstance(each, TokenChunk)]
            await until(lambda: market.control.leases.of_job(job.id) is None)
    assert chunk.text == "Because."
    after = await market.job(job.id)
    assert (after.status, after.attempt_number, after.completion_tokens) == (JobStatus.COMPLETED, 1, 2)
    assert _verdicts(outbox) == [pb.OUTCOME_VERDICT_SETTLED]


async def test_a_hold_that_is_refused_at_the_commit_leaves_nothing(
    market: SmallMarket, daemon: Daemon, renter: int
) -> None:
    before = await market.see(renters.get, renter)
    async with begun(market, daemon, renter, refuse_commit) as call:
        follower, outbox = _follower(market, daemon)
        await _answer(follower, call)
        call.commit.set()
        with pytest.raises(DBAPIError):
            await call.started
        await until(lambda: _verdicts(outbox) != [])
    assert _verdicts(outbox) == [pb.OUTCOME_VERDICT_SUPERSEDED]
    assert daemon.stopped[0] == (call.offer.job.job_id, 1, StopReason.WITHDRAWN)
    assert await market.see(renters.get, renter) == before
    assert (await market.see(jobs.load_active), list(market.control.leases)) == ([], [])
    assert daemon.provider.calls == 0, "its room is free"


async def test_a_server_that_is_gone_before_the_commit_has_its_daemon_stop(
    market: SmallMarket, daemon: Daemon, renter: int
) -> None:
    async with begun(market, daemon, renter, refuse_commit) as call:
        pass
    await market.restart(killed=True)
    told, outbox = Daemon(market.control, market.control.fleet.known(daemon.provider_id)), Outbox()
    held = pb.HeldLease(lease=_ref(call), phase=pb.LEASE_PHASE_RUNNING)
    messages = _messages(market, told, outbox)
    await messages.hello(pb.Hello(state=pb.DaemonState(leases=[held])))
    (welcome,) = _said(outbox)
    assert [stop.lease for stop in welcome.welcome.desired.stops] == [_ref(call)]
    await messages.take(_outcome(call))
    assert _verdicts(outbox) == [pb.OUTCOME_VERDICT_SUPERSEDED]


async def test_one_that_is_stored_again_is_offered_once(market: SmallMarket, daemon: Daemon, renter: int) -> None:
    async with begun(market, daemon, renter, undo) as call:
        call.commit.set()
        job = await call.started
    lease = market.control.leases.of_job(job.id)
    assert lease is not None
    assert lease.assignment == call.offer
    assert (len(daemon.offers), daemon.stopped) == (1, [])


async def test_one_that_is_stored_again_with_other_credit_is_settled_by_that(
    market: SmallMarket, daemon: Daemon, renter: int
) -> None:
    """Its end is written by the row that memory knows, which must be none that was undone."""

    def take_credit(conn: Connection) -> None:
        conn.exec_driver_sql("UPDATE renters SET promo_halala = 0")

    async with begun(market, daemon, renter, undo, take_credit) as call:
        assert call.offer.job.promo_held_halala == 0
        # Who leaves before the transaction runs again wants none of it.
        call.before.cancel()
        await asyncio.sleep(0)
        call.commit.set()
        job = await call.started
    lease = market.control.leases.of_job(job.id)
    assert lease is not None
    assert (job.promo_held_halala, len(daemon.offers)) == (job.cost_halala, 1)
    assert lease.assignment.job == await market.job(job.id)


async def test_one_that_is_stored_as_another_row_is_offered_again(
    market: SmallMarket, daemon: Daemon, renter: int
) -> None:
    """What its daemon was told names a row that is not there."""
    async with begun(market, daemon, renter) as call:
        early = market.control.dispatcher.early
        again = replace(call.offer, job=replace(call.offer.job, id=call.offer.job.id + 1))
        early.send(daemon.provider_id, again, 5, market.clock.now_ms())
        assert daemon.stopped == [(call.offer.job.job_id, 1, StopReason.WITHDRAWN)]
        early.send(daemon.provider_id, again, 5, market.clock.now_ms())
        call.commit.set()
        job = await call.started
    assert daemon.offered == [job.id, job.id]


async def test_one_that_waits_for_its_start_hears_of_what_is_durable(
    market: SmallMarket, daemon: Daemon, renter: int
) -> None:
    daemon.begins_calls = False
    asked = read_call("/v1/chat/completions", SAID, 1_000_000)
    job = await market.control.completions.start(renter, asked, await market.control.completions.reserve(renter, asked))
    (offer,) = daemon.offers
    lease = market.control.leases.of_job(job.id)
    assert lease is not None
    assert lease.assignment is offer
    assert not lease.has_caller


async def test_a_disk_that_hangs_keeps_no_beat_waiting(
    market: SmallMarket, daemon: Daemon, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken back, and offered again when the disk has it."""
    monkeypatch.setattr(early_offers, "_MOST_EARLY_SECONDS", 0.01)
    async with begun(market, daemon, renter) as call:
        follower, outbox = _follower(market, daemon)
        await _answer(follower, call)
        async with asyncio.timeout(5):
            await follower.take(pb.ConnectRequest(beat=pb.Beat(state=pb.DaemonState(begins_with_offers=True))))
        assert daemon.stopped == [(call.offer.job.job_id, 1, StopReason.WITHDRAWN)]
        assert _said(outbox) == [], "a daemon would take it for an answer to the next offer of the same attempt"
        call.commit.set()
        job = await call.started
    assert [offer.job.id for offer in daemon.offers] == [job.id, job.id]
    await _told(market, daemon).take(_accept(call))
    lease = market.control.leases.of_job(job.id)
    assert lease is not None
    assert lease.running


async def test_a_stream_that_came_meanwhile_is_offered_the_call(
    market: SmallMarket, daemon: Daemon, renter: int
) -> None:
    async with begun(market, daemon, renter) as call:
        newer = market.reconnect(daemon)
        newer.beat(cached_models=[MODEL])
        call.commit.set()
        job = await call.started
    assert newer.offered == [job.id]


def _ref(call: Begun) -> pb.LeaseRef:
    return pb.LeaseRef(job_id=call.offer.job.job_id, attempt_number=call.offer.attempt)


def _accept(call: Begun) -> pb.ConnectRequest:
    return pb.ConnectRequest(accept=pb.Accept(lease=_ref(call)))


def _outcome(call: Begun) -> pb.ConnectRequest:
    result = Value(string_value="Because.")
    return pb.ConnectRequest(outcome=pb.Outcome(lease=_ref(call), result=result, prompt_tokens=1, completion_tokens=2))


def _messages(market: SmallMarket, daemon: Daemon, outbox: Outbox) -> DaemonMessages:
    plane = market.control
    return DaemonMessages(plane, daemon.provider, outbox, ToldImages(plane.catalog, outbox), MessageBudget())


def _told(market: SmallMarket, daemon: Daemon) -> DaemonMessages:
    return _messages(market, daemon, Outbox())


def _follower(market: SmallMarket, daemon: Daemon) -> tuple[MessageFollower, Outbox]:
    outbox = Outbox()
    return MessageFollower(_messages(market, daemon, outbox), daemon.provider_id, outbox.close), outbox


async def _answer(follower: MessageFollower, call: Begun) -> None:
    """Say all of an answer."""
    await follower.take(_accept(call))
    await follower.take(pb.ConnectRequest(tokens=pb.TokenBatch(lease=_ref(call), text="Because.", count=2, offset=0)))
    await follower.take(_outcome(call))


def _said(outbox: Outbox) -> list[pb.ConnectResponse]:
    return [each for each in outbox._waiting if each is not None]


def _verdicts(outbox: Outbox) -> list[pb.OutcomeVerdict.ValueType]:
    return [each.outcome_receipt.verdict for each in _said(outbox) if each.HasField("outcome_receipt")]

"""A call under /v1 runs before its start is stored; whatever becomes of it, the database and the books are right."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any

import pytest

from dc1.control.scheduling.job_feed import TokenChunk
from dc1.control.scheduling.leases import Lease
from dc1.defaults import QUEUE_DEADLINE_SECONDS
from dc1.domain.inference.kinds import read_call
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.states import Actor, ErrorCategory, JobStatus, Phase
from dc1.storage.accounts import renters
from dc1.storage.engine.database import Connection
from dc1.storage.engine.statements import driver_of
from dc1.storage.jobs import job_events, jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.money import counters
from tests.control.small_market import DONE, Daemon, SmallMarket

MODEL = "acme/Chat-7B"
SAID = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x" * 4000}], "stream": True}).encode()

ENGINE_DIED = AttemptReport(completed=False, error="engine died", error_category=ErrorCategory.ENGINE)


@pytest.fixture
async def daemon(market: SmallMarket) -> Daemon:
    daemon = await market.daemon(cached_models=[MODEL])
    daemon.beat(cached_models=[MODEL])
    return daemon


@pytest.fixture
async def call(market: SmallMarket, daemon: Daemon, renter: int) -> JobRow:
    """A call that is offered."""
    asked = read_call("/v1/chat/completions", SAID, 1_000_000)
    reserved = await market.control.completions.reserve(renter, asked)
    return await market.control.completions.start(renter, asked, reserved)


@pytest.fixture
async def caller(market: SmallMarket, call: JobRow) -> AsyncIterator[None]:
    with market.control.job_feed.subscribe(call.id, (TokenChunk,), from_start=True):
        yield


@pytest.fixture
async def lease(market: SmallMarket, daemon: Daemon, caller: None) -> Lease:
    return await daemon.accept()


def speak(market: SmallMarket, lease: Lease, tokens: int = 400) -> None:
    chunk = TokenChunk(lease.attempt, "word " * tokens, tokens, 0)
    assert market.control.attempts.tokens(lease.provider_id, lease.job_id, chunk)


async def test_a_call_that_ends_soon_is_written_at_its_hold_and_at_its_end(
    market: SmallMarket, daemon: Daemon, lease: Lease, call: JobRow
) -> None:
    await market.control.attempts.progress(lease.provider_id, lease.job_id, lease.attempt, Phase.GENERATING)
    speak(market, lease)
    assert await market.job(call.id) == call, "nothing was written since the hold"
    market.clock.advance(0.5)
    await daemon.finish(lease)
    job = await market.job(call.id)
    assert (job.status, job.attempt_number, job.progress_phase) == (JobStatus.COMPLETED, 1, Phase.GENERATING)
    assert (job.started_at_ms, job.working_since_ms) == (call.submitted_at_ms, call.submitted_at_ms)
    (attempt,) = await market.see(jobs.attempts, call.id)
    assert (attempt.started_at_ms, attempt.outcome) == (call.submitted_at_ms, "completed")


async def test_it_is_two_transactions_of_few_statements(market: SmallMarket, daemon: Daemon, renter: int) -> None:
    """What a call costs its server beside its tokens: whoever adds a statement raises a figure."""
    control, seen = market.control, list[str]()
    asked = read_call("/v1/chat/completions", SAID, 1_000_000)
    await market.do(lambda conn: driver_of(conn).set_trace_callback(seen.append))
    seen.clear()
    call = await control.completions.start(renter, asked, await control.completions.reserve(renter, asked))
    with control.job_feed.subscribe(call.id, (TokenChunk,), from_start=True):
        lease = await daemon.accept()
        await control.attempts.progress(lease.provider_id, lease.job_id, lease.attempt, Phase.GENERATING)
        speak(market, lease)
        await daemon.finish(lease, replace(DONE, prompt_tokens=1000, completion_tokens=400))
    words = Counter(sql.split(None, 1)[0] for sql in seen)
    await market.do(lambda conn: driver_of(conn).set_trace_callback(None))
    assert words["COMMIT"] == 2
    assert words["SELECT"] + words["INSERT"] + words["UPDATE"] <= 29, "\n".join(seen)
    changed = Counter(sql.removeprefix("INSERT INTO ").removeprefix("UPDATE ").split(None, 1)[0] for sql in seen)
    # At the hold and at the end, and of the totals those of the day as well.
    assert [changed[table] for table in ("jobs", "job_events", "job_attempts", "totals")] == [2, 2, 1, 3]


async def test_many_at_once_share_what_they_write(market: SmallMarket, daemon: Daemon, renter: int) -> None:
    """It was 29 statements for each, and two for its savepoint in each group."""
    control, seen, calls = market.control, list[str](), 8
    daemon.beat(cached_models=[MODEL], calls=calls)
    asked = read_call("/v1/chat/completions", SAID, 1_000_000)
    await market.do(lambda conn: driver_of(conn).set_trace_callback(seen.append))
    seen.clear()

    async def one() -> None:
        call = await control.completions.start(renter, asked, await control.completions.reserve(renter, asked))
        with control.job_feed.subscribe(call.id, (TokenChunk,), from_start=True):
            lease = await control.attempts.accept(daemon.provider_id, call.job_id, 1)
            assert isinstance(lease, Lease)
            speak(market, lease)
            await daemon.finish(lease, replace(DONE, prompt_tokens=1000, completion_tokens=400))

    await asyncio.gather(*(one() for _ in range(calls)))
    words = Counter(sql.split(None, 1)[0] for sql in seen)
    await market.do(lambda conn: driver_of(conn).set_trace_callback(None))
    assert "SAVEPOINT" not in words
    assert words["COMMIT"] < 2 * calls
    assert words["SELECT"] + words["INSERT"] + words["UPDATE"] <= 25 * calls, "\n".join(seen)
    changed = Counter(sql.removeprefix("INSERT INTO ").split(None, 1)[0] for sql in seen)
    shared = ("totals", "usage_days", "renter_days", "provider_days", "promo_earnings")
    assert sum(changed[table] for table in shared) < 3 * calls


async def test_a_start_that_is_written_with_the_end_leaves_what_two_writes_do(
    market: SmallMarket, daemon: Daemon, renter: int
) -> None:
    await market.do(renters.set_webhook, renter, "https://example.sa/hook", "sealed")
    left = []
    for is_stored_before in (False, True):
        asked = read_call("/v1/chat/completions", SAID, 1_000_000)
        before = await market.see(counters.read)
        call = await market.control.completions.start(
            renter, asked, await market.control.completions.reserve(renter, asked)
        )
        with market.control.job_feed.subscribe(call.id, (TokenChunk,), from_start=True):
            lease = await daemon.accept()
            await market.control.attempts.progress(lease.provider_id, lease.job_id, lease.attempt, Phase.GENERATING)
            if is_stored_before:
                await market.control.attempts.starts.store(call.id)
            speak(market, lease)
            await daemon.finish(lease, replace(DONE, prompt_tokens=1000, completion_tokens=400))
        row = without_money(asdict(await market.job(call.id))) | {"id": 0, "job_id": ""}
        told = (await market.see(job_events.page, call.id)).rows
        (attempt,) = await market.see(jobs.attempts, call.id)
        after = await market.see(counters.read)
        hooks = await market.see(webhook_deliveries, call.id)
        counted = without_money({name: value - asdict(before)[name] for name, value in asdict(after).items()})
        events = [replace(each, job_id=0, payload=without_money(each.payload)) for each in told]
        left.append((row, events, replace(attempt, job_id=0), counted, hooks))
    assert left[0] == left[1]
    assert [name for name, _ in left[0][-1]] == ["job.started", "job.completed"]


def without_money(values: dict[str, Any]) -> dict[str, Any]:
    """What of it hangs on no remainder of a call before."""
    hanging = ("_halala", "refunded_at_ms", "charged_jobs")
    return {name: value for name, value in values.items() if not name.endswith(hanging)}


def webhook_deliveries(conn: Connection, row_id: int) -> list[tuple[str, str]]:
    """What is to be sent of a job, in its order, and the status that it tells."""
    found = conn.exec_driver_sql(
        "SELECT event, json_extract(body, '$.job.status') FROM webhook_deliveries WHERE job_id = ? ORDER BY id",
        (row_id,),
    )
    return [(event, status) for event, status in found]


async def test_one_that_goes_on_is_stored_as_running(market: SmallMarket, lease: Lease, call: JobRow) -> None:
    await market.advance(1)
    assert (await market.job(call.id)).status == JobStatus.PENDING
    await market.advance(1)
    assert (await market.job(call.id)).status == JobStatus.RUNNING


async def test_a_caller_who_leaves_at_once_pays_what_was_said(market: SmallMarket, lease: Lease, call: JobRow) -> None:
    speak(market, lease)
    job = await market.control.job_commands.cancel(call.id, Actor.RENTER)
    assert (job.status, job.completion_tokens) == (JobStatus.CANCELLED, 400)


async def test_a_daemon_that_is_gone_at_once_lost_a_run(
    market: SmallMarket, daemon: Daemon, lease: Lease, call: JobRow
) -> None:
    speak(market, lease)
    await market.control.attempts.lose(lease, "The provider disconnected")
    job = await market.job(call.id)
    assert (job.status, job.attempt_number, job.completion_tokens) == (JobStatus.FAILED, 1, 400)
    assert daemon.provider.failed_jobs == 1


async def test_a_failure_at_once_is_its_providers(
    market: SmallMarket, daemon: Daemon, lease: Lease, call: JobRow
) -> None:
    log = await market.control.attempts.append_logs(lease.provider_id, lease.job_id, lease.attempt, [], 1)
    assert log.job.status == JobStatus.RUNNING, "what is told of a run is stored after its start"
    await daemon.finish(lease, ENGINE_DIED)
    assert (await market.job(call.id)).status == JobStatus.FAILED
    assert daemon.provider.failed_jobs == 1


@pytest.mark.parametrize("category", [ErrorCategory.EXECUTION, ErrorCategory.OOM, ErrorCategory.INVALID_RESULT])
async def test_what_programs_do_wrong_is_of_a_call_its_providers(
    market: SmallMarket, daemon: Daemon, lease: Lease, call: JobRow, category: ErrorCategory
) -> None:
    """4.7: its caller brought none, and was charged for the tokens of an answer that came to nothing."""
    speak(market, lease)
    await daemon.finish(lease, replace(ENGINE_DIED, error_category=category, exit_code=1))
    job = await market.job(call.id)
    assert (job.status, job.fault, job.actual_cost_halala) == (JobStatus.FAILED, Fault.PROVIDER, 0)
    assert daemon.provider.failed_jobs == 1


async def test_a_server_that_is_killed_meanwhile_holds_nothing(market: SmallMarket, lease: Lease, call: JobRow) -> None:
    speak(market, lease)
    await market.restart(killed=True)
    job = await market.control.job_commands.cancel(call.id, Actor.RENTER)
    assert (job.attempt_number, job.actual_cost_halala, job.refunded_halala) == (0, 0, call.cost_halala)


async def test_a_phase_that_comes_while_the_start_is_stored_is_stored_after_it(
    market: SmallMarket, lease: Lease, call: JobRow
) -> None:
    storing = asyncio.ensure_future(market.control.attempts.starts.store(call.id))
    await asyncio.sleep(0)
    await market.control.attempts.progress(lease.provider_id, lease.job_id, lease.attempt, Phase.GENERATING)
    await storing
    job = await market.job(call.id)
    assert (job.status, job.progress_phase) == (JobStatus.RUNNING, Phase.GENERATING)
    assert job.working_since_ms is not None


async def test_a_daemon_may_name_the_call_by_its_other_id(market: SmallMarket, lease: Lease, call: JobRow) -> None:
    attempts, reference = market.control.attempts, str(call.id)
    await attempts.progress(lease.provider_id, reference, None, Phase.GENERATING)
    await attempts.finish(lease.provider_id, reference, lease.attempt, DONE)
    job = await market.job(call.id)
    assert (job.status, job.progress_phase) == (JobStatus.COMPLETED, Phase.GENERATING)


async def test_older_news_of_the_offer_leave_a_run_its_deadline(
    market: SmallMarket, lease: Lease, call: JobRow
) -> None:
    deadline_ms = lease.timeout_at_ms
    market.control.dispatcher.follow(replace(call, event_sequence=call.event_sequence + 1), lease.assignment.spec)
    assert lease.running
    assert lease.timeout_at_ms == deadline_ms is not None
    await market.control.attempts.starts.store(call.id)


@pytest.fixture
async def there(market: SmallMarket, lease: Lease) -> Lease:
    """The call as another server has it that hears what is said: as an offer, for its start is not stored."""
    await market.restart(killed=True)
    known = market.control.leases.of_job(lease.row_id)
    assert known is not None
    known.relay_chunk(TokenChunk(known.attempt, "word " * 400, 400, 0), market.clock.now_ms())
    return known


async def test_a_machine_that_is_paused_elsewhere_keeps_its_calls(
    market: SmallMarket, there: Lease, call: JobRow
) -> None:
    provider = market.control.fleet.known(there.provider_id)
    await market.control.provider_accounts.pause(provider)
    assert market.control.leases.is_current(there)
    assert (await market.job(call.id)).status == JobStatus.PENDING


async def test_a_call_that_is_taken_from_a_machine_elsewhere_is_paid(
    market: SmallMarket, there: Lease, call: JobRow
) -> None:
    provider = market.control.fleet.known(there.provider_id)
    await market.control.attempts.evict(provider, "The provider was suspended", by_operator=True)
    job = await market.job(call.id)
    assert (job.status, job.attempt_number, job.completion_tokens) == (JobStatus.FAILED, 1, 400)


async def test_a_start_that_cannot_be_stored_keeps_no_deadline_waiting(
    market: SmallMarket, lease: Lease, call: JobRow, renter: int
) -> None:
    waiting = await market.submit(renter, model="acme/Nobodys-7B")
    await _execute(market, "CREATE TRIGGER odd BEFORE INSERT ON job_attempts BEGIN SELECT RAISE(ABORT, 'odd'); END")
    await market.advance(1)
    await market.advance(QUEUE_DEADLINE_SECONDS)
    assert (await market.job(waiting.id)).status == JobStatus.FAILED
    await _execute(market, "DROP TRIGGER odd")
    await market.control.attempts.starts.store(call.id)


async def _execute(market: SmallMarket, statement: str) -> None:
    await market.db.write(lambda conn: conn.exec_driver_sql(statement))

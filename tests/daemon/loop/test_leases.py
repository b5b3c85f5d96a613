import time

import pytest

from dc1.daemon.leases.leases import (
    DRAIN_SECONDS,
    AttemptEnd,
    HeldLease,
    LeaseOutput,
    LeaseState,
    LeaseTable,
    PhaseEntered,
)
from dc1.daemon.leases.log_buffer import MAX_BATCH_LINES, MAX_UNRECEIPTED, LogBatch, LogBuffer
from dc1.daemon.leases.running_jobs import LeaseSink
from dc1.daemon.leases.token_buffer import TokenBatch, TokenBuffer
from dc1.daemon.leases.token_pace import GATHERED_SECONDS, MANY_RUNS
from dc1.daemon.runners.base import Result, Work
from dc1.domain.jobs.states import JobType, Phase


def make_lease(job_id: str = "job-1", attempt: int = 1, state: LeaseState = LeaseState.RUNNING) -> HeldLease:
    lease = HeldLease(Work(job_id, attempt, JobType.LLM_INFERENCE, deadline=60.0))
    lease.state = state
    return lease


def outputs(lease: HeldLease, now: float) -> list[LeaseOutput]:
    found = []
    while (output := lease.take(now)) is not None:
        found.append(output)
    return found


ENDED = AttemptEnd(Result("done"), seconds=1.0)


def test_accepted_lease_has_nothing_to_tell() -> None:
    lease = make_lease(state=LeaseState.ACCEPTED)
    lease.log("info", "too early", 1.0)
    lease.say("", "too early", 1.0)
    lease.enter(Phase.GENERATING, 1.0)
    assert lease.due_at() is None


def test_tokens_are_sent_at_once_and_together_what_waited() -> None:
    lease = make_lease()
    lease.say("", "a", 1.0)
    assert lease.due_at() == 1.0
    assert lease.take(1.0) == TokenBatch("a", 1)
    lease.say("", "b", 1.001)
    lease.say("", "c", 1.002)
    assert lease.due_at() == 1.001
    assert lease.take(1.003) == TokenBatch("bc", 2, offset=1)


def test_under_load_tokens_are_gathered_until_it_is_over() -> None:
    table, leases = LeaseTable(), [make_lease(f"job-{number}") for number in range(MANY_RUNS)]
    for lease in leases:
        table.hold(lease)
    sent = 0
    for turn in range(10):
        now = 1.0 + turn / 1000
        for lease in leases:
            lease.say("", "a", now)
        while table.take(now) is not None:
            sent += 1
    assert sent == 200, "as many as are sent at once in 0.1 s"
    held = next(lease for lease in leases if lease.tokens)
    assert held.due_at() == pytest.approx(1.006 + GATHERED_SECONDS)
    while table.take(1.05) is not None:
        sent += 1
    assert sent == 200 + MANY_RUNS, "what was held back goes, a batch a run"
    assert table.take(1.2) is None
    leases[0].say("", "b", 1.2)
    assert table.take(1.2) is not None
    leases[0].say("", "c", 1.201)
    assert table.take(1.201) is not None


def test_of_many_runs_each_says_its_first_token_at_once_and_gathers_the_others() -> None:
    table, leases = LeaseTable(), [make_lease(f"job-{number}") for number in range(MANY_RUNS + 1)]
    for lease in leases:
        table.hold(lease)
    leases[0].say("", "a", 1.0)
    assert table.take(1.0) == (leases[0], TokenBatch("a", 1))
    leases[0].say("", "b", 1.01)
    leases[0].say("", "c", 1.02)
    assert table.take(1.02) is None
    assert leases[0].due_at() == 1.0 + GATHERED_SECONDS
    table.forget(leases[1])
    assert table.take(1.02) == (leases[0], TokenBatch("bc", 2, offset=1)), "as soon as they are no longer many"


def test_what_a_server_asks_for_is_waited_from_the_first_word_on() -> None:
    table, lease = LeaseTable(), make_lease()
    table.hold(lease)
    table.pace.ask(0.1)
    assert table.pace.is_of_many
    # An engine's first event is mostly of who speaks, and no caller waits for that.
    lease.say('{"role"}', "", 1.0)
    assert table.take(1.0) == (lease, TokenBatch("", 0, events=('{"role"}',)))
    lease.say("a", "a", 1.01)
    assert table.take(1.01) == (lease, TokenBatch("a", 1, events=("a",), event_offset=1))
    for number in range(5):
        lease.say(str(number), "b", 1.02 + number / 100)
    assert lease.due_at() == pytest.approx(1.11)
    assert table.take(1.1) is None
    assert table.take(1.12) == (lease, TokenBatch("bbbbb", 5, offset=1, events=(*"01234",), event_offset=2))
    lease.say("c", "c", 1.13)
    lease.finish(ENDED, 1.14)
    assert outputs(lease, 1.14) == [TokenBatch("c", 1, offset=6, events=("c",), event_offset=7), ENDED]


def test_parts_of_a_tool_call_are_gathered_as_words_are() -> None:
    table, lease = LeaseTable(), make_lease()
    table.hold(lease)
    table.pace.ask(0.1)
    for number in range(2):
        lease.say(str(number), "", 1.0 + number / 100)
        assert table.take(1.0 + number / 100) is not None
    lease.say("2", "", 1.02)
    assert lease.due_at() == pytest.approx(1.11)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1.5, float("nan"), float("inf")])
def test_a_server_that_asks_for_nothing_or_too_much_hears_each_token_at_once(seconds: float) -> None:
    table, lease = LeaseTable(), make_lease()
    table.hold(lease)
    table.pace.ask(0.1)
    table.pace.ask(seconds)
    for number in range(3):
        lease.say(str(number), "a", 1.0 + number / 1000)
        assert lease.due_at() == 1.0 + number / 1000
        assert table.take(1.0 + number / 1000) is not None


def test_tokens_nobody_fetches_are_bounded() -> None:
    tokens = TokenBuffer(max_chars=10)
    for number in range(100):
        tokens.append(f"{number:02d}", 1.0)
    assert tokens.take(1.0) == TokenBatch("9596979899", 5, offset=190)


def test_end_comes_after_everything_else_and_waits_for_nothing() -> None:
    lease = make_lease()
    lease.enter(Phase.GENERATING, 1.0)
    lease.log("info", "first", 1.0)
    lease.say("", "a", 1.0)
    outputs(lease, 1.0)
    lease.enter(Phase.FORMATTING, 1.001)
    lease.log("info", "second", 1.001)
    lease.say("", "b", 1.001)
    lease.finish(ENDED, 1.002)
    assert lease.due_at() == 1.002
    phase, logs, tokens, end = outputs(lease, 1.002)
    assert phase == PhaseEntered(Phase.FORMATTING)
    assert isinstance(logs, LogBatch)
    assert [line.message for line in logs.lines] == ["second"]
    assert (tokens, end) == (TokenBatch("b", 1, offset=1), ENDED)
    assert lease.due_at() is None


def test_same_phase_again_is_no_news() -> None:
    lease = make_lease()
    lease.enter(Phase.GENERATING, 1.0)
    outputs(lease, 1.0)
    lease.enter(Phase.GENERATING, 2.0)
    assert lease.due_at() is None


def test_reattached_lease_tells_phase_unreceipted_logs_and_end_again() -> None:
    lease = make_lease()
    lease.enter(Phase.GENERATING, 1.0)
    lease.log("info", "line", 1.0)
    lease.finish(ENDED, 1.0)
    before = outputs(lease, 1.0)
    lease.reattach(2.0)
    assert outputs(lease, 2.0) == before


def test_end_is_resent_only_when_it_was_sent_long_ago() -> None:
    lease = make_lease()
    lease.finish(ENDED, 1.0)
    outputs(lease, 1.0)
    lease.resend(before=1.0)
    assert lease.due_at() is None
    lease.resend(before=1.1)
    assert outputs(lease, 2.0) == [ENDED]


def flooded(deadline: float = float("inf")) -> HeldLease:
    """One that has ended with more lines than may be under way at once, which are sent."""
    lease = make_lease()
    for number in range(MAX_UNRECEIPTED * MAX_BATCH_LINES + 3):
        lease.log("info", str(number), 1.0)
    lease.finish(ENDED, 1.0, deadline)
    assert len(outputs(lease, 1.0)) == MAX_UNRECEIPTED
    return lease


def test_the_end_waits_until_the_log_was_taken() -> None:
    lease = flooded()
    assert lease.due_at() == 1.0 + DRAIN_SECONDS
    lease.logs.receipt(1, 2.0)
    rest, end = outputs(lease, 2.0)
    assert isinstance(rest, LogBatch)
    assert len(rest.lines) == 3
    assert end == ENDED


@pytest.mark.parametrize(
    ("deadline", "most"), [(1_000.0, DRAIN_SECONDS), (11.0, 8.0), (4.0, 1.0), (0.5, DRAIN_SECONDS)]
)
def test_the_end_waits_for_the_log_so_long_and_not_beyond_the_deadline(deadline: float, most: float) -> None:
    lease = flooded(deadline)
    # Where the deadline is past, the job is settled and the log may take its time.
    assert lease.due_at() == 1.0 + most
    notice, end = outputs(lease, 1.0 + most)
    assert isinstance(notice, LogBatch)
    assert [line.message for line in notice.lines] == ["3 log lines were lost on the provider's side"]
    assert end == ENDED
    assert lease.due_at() is None


def test_time_without_a_connection_is_no_time_to_drain() -> None:
    lease = flooded()
    lease.reattach(1_000.0)
    again = outputs(lease, 1_000.0)
    assert len(again) == MAX_UNRECEIPTED
    assert lease.due_at() == 1_000.0 + DRAIN_SECONDS


def test_the_end_of_the_daemon_hastens_the_end() -> None:
    lease = flooded()
    lease.hasten(3.0)
    assert outputs(lease, 4.9) == []
    assert outputs(lease, 5.0)[-1] == ENDED


async def test_what_is_beyond_the_budget_is_thrown_away_at_a_modest_pace() -> None:
    lease = make_lease()
    lease.logs = LogBuffer(max_lines=10)
    sink = LeaseSink(lease, changed=lambda: None)
    used, begun = time.process_time(), time.monotonic()
    for _ in range(10_000):
        await sink.log("info", "y")
    assert time.monotonic() - begun >= 0.4
    assert time.process_time() - used < 0.2
    batch = lease.take(time.monotonic() + 1)
    assert isinstance(batch, LogBatch)
    assert len(batch.lines) == 11


def test_ended_lease_takes_no_more_output() -> None:
    lease = make_lease()
    lease.finish(ENDED, 1.0)
    lease.log("info", "late", 1.0)
    lease.say("", "late", 1.0)
    assert outputs(lease, 1.0) == [ENDED]


def test_table_finds_by_attempt_and_holds_one_attempt_a_job() -> None:
    table = LeaseTable()
    first, second = make_lease(attempt=1), make_lease(attempt=2)
    table.hold(first)
    table.hold(second)
    assert list(table) == [second]
    assert table.find("job-1", 1) is None
    assert table.find("job-1", 2) is second
    assert table.of_job("job-1") is second
    table.forget(first)
    assert len(table) == 1
    table.forget(second)
    assert len(table) == 0


def test_slots_are_free_when_the_work_has_ended() -> None:
    table = LeaseTable()
    table.hold(HeldLease(Work("job-1", 1, JobType.TRAINING, deadline=60.0), slots=2))
    table.hold(make_lease("job-2"))
    assert table.slots_used == 3
    for lease in table:
        lease.finish(ENDED, 1.0)
    assert table.slots_used == 0


def test_table_tells_first_what_waits_longest() -> None:
    table = LeaseTable()
    early, late = make_lease("job-1"), make_lease("job-2")
    for lease in (early, late):
        table.hold(lease)
    late.say("", "late", 2.0)
    early.say("", "early", 1.0)
    assert table.due_at() == 1.0
    assert table.take(0.5) is None
    assert table.take(3.0) == (early, TokenBatch("early", 1))
    assert table.take(3.0) == (late, TokenBatch("late", 1))
    assert table.take(3.0) is None
    assert table.due_at() is None

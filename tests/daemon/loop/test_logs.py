from hypothesis import given
from hypothesis import strategies as st

from dc1.daemon.leases.log_buffer import (
    EARLY_LINES,
    MAX_BATCH_LINES,
    MAX_UNRECEIPTED,
    SPACING_SECONDS,
    LogBatch,
    LogBuffer,
)
from dc1.daemon.runners.base import Level


def filled(lines: int, **bounds: int) -> LogBuffer:
    buffer = LogBuffer(**bounds)
    for number in range(lines):
        buffer.append("info", str(number), now=1.0)
    return buffer


def take_all(buffer: LogBuffer, now: float) -> list[LogBatch]:
    batches = []
    while (due := buffer.due_at()) is not None and due <= now:
        batches.append(buffer.take(now))
    return batches


def messages(batches: list[LogBatch]) -> list[str]:
    return [line.message for batch in batches for line in batch.lines]


def test_first_line_is_due_at_once_and_the_next_ones_together_a_moment_later() -> None:
    buffer = filled(1)
    assert buffer.due_at() == 1.0
    assert messages([buffer.take(1.0)]) == ["0"]
    buffer.append("info", "a", 1.01)
    buffer.append("info", "b", 1.02)
    assert buffer.due_at() == 1.0 + SPACING_SECONDS
    assert messages([buffer.take(1.1)]) == ["a", "b"]
    assert buffer.due_at() is None


def test_many_lines_do_not_wait() -> None:
    buffer = filled(1)
    buffer.take(1.0)
    for _ in range(EARLY_LINES):
        buffer.append("info", "x", 1.01)
    assert buffer.due_at() == 1.01


def test_batches_are_numbered_from_one_and_bounded() -> None:
    batches = take_all(filled(1200), now=1.0)
    assert [batch.sequence for batch in batches] == [1, 2, 3]
    assert [len(batch.lines) for batch in batches] == [MAX_BATCH_LINES, MAX_BATCH_LINES, 200]


def test_long_lines_are_cut() -> None:
    buffer = LogBuffer()
    buffer.append("error", "é" * 3000, 1.0)
    assert messages([buffer.take(1.0)]) == ["é" * 2000]


def test_unreceipted_batches_are_resent_as_they_were_and_before_newer_ones() -> None:
    buffer = filled(600)
    first = take_all(buffer, now=1.0)
    buffer.receipt(1, now=1.5)
    buffer.append("warn", "later", 1.6)
    buffer.resend()
    again = take_all(buffer, now=2.0) + take_all(buffer, now=3.0)
    assert again[0] == first[1]
    assert messages(again[1:]) == ["later"]


def test_receipt_of_all_leaves_nothing_to_resend() -> None:
    buffer = filled(600)
    take_all(buffer, now=1.0)
    buffer.receipt(2, now=1.5)
    buffer.resend()
    assert not buffer.unsent


def test_resend_leaves_alone_what_was_sent_lately() -> None:
    buffer = filled(1)
    buffer.take(5.0)
    buffer.resend(before=5.0)
    assert not buffer.unsent
    buffer.resend(before=5.1)
    assert buffer.unsent


def test_window_holds_lines_back_until_a_receipt_or_the_end() -> None:
    buffer = filled(MAX_UNRECEIPTED * MAX_BATCH_LINES + 1)
    assert len(take_all(buffer, now=1.0)) == MAX_UNRECEIPTED
    assert buffer.due_at() is None
    buffer.receipt(1, now=1.1)
    assert len(take_all(buffer, now=2.0)) == 1
    buffer.append("info", "last", 2.0)
    assert buffer.due_at() is None
    buffer.close()
    assert messages(take_all(buffer, now=2.0)) == ["last"]


def test_flood_drops_the_oldest_debug_and_info_lines_and_says_how_many() -> None:
    buffer = LogBuffer(max_lines=100)
    buffer.append("error", "kept", 1.0)
    for number in range(500):
        buffer.append("info", str(number), 1.0)
    [batch] = take_all(buffer, now=1.0)
    notice, kept, *rest = batch.lines
    assert (notice.level, notice.message) == (
        "warn",
        f"{500 - len(rest)} log lines were dropped: they came faster than they could be sent",
    )
    assert kept.message == "kept"
    assert [line.message for line in rest] == [str(number) for number in range(500 - len(rest), 500)]
    assert 85 <= len(rest) <= 100


def test_what_was_sent_is_never_dropped() -> None:
    buffer = filled(10, max_lines=20)
    sent = take_all(buffer, now=1.0)
    for number in range(100):
        buffer.append("debug", f"new {number}", 1.0)
    buffer.resend()
    assert take_all(buffer, now=2.0)[0] == sent[0]


@given(
    st.lists(st.tuples(st.sampled_from(["debug", "info", "warn", "error"]), st.text(max_size=30)), max_size=200),
    st.integers(min_value=1, max_value=40),
    st.integers(min_value=50, max_value=400),
)
def test_bounds_hold_and_order_is_kept_whatever_comes(
    lines: list[tuple[Level, str]], max_lines: int, max_chars: int
) -> None:
    buffer = LogBuffer(max_lines, max_chars)
    for index, (level, text) in enumerate(lines):
        buffer.append(level, f"{index}:{text}", 1.0)
    buffer.close()
    batches = take_all(buffer, now=1.0)
    assert sum(len(batch.lines) for batch in batches) <= max_lines + 1
    notices = [text for text in messages(batches) if "were dropped" in text and ":" not in text.split(" ")[0]]
    kept = [text for text in messages(batches) if text not in notices]
    assert sum(map(len, kept)) <= max_chars
    indices = [int(text.split(":")[0]) for text in kept]
    assert indices == sorted(indices)
    dropped = int(notices[0].split(" ")[0]) if notices else 0
    assert dropped + len(kept) == len(lines)


def test_a_burst_below_the_budget_of_a_job_is_kept_whole() -> None:
    buffer = filled(100_000)
    buffer.close()
    assert messages(take_all(buffer, now=1.0)) == [str(number) for number in range(100_000)]

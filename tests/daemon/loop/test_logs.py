import errno
import os
from io import FileIO

from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import Buffer as ReadableBuffer

from dc1.daemon.leases.log_buffer import (
    EARLY_LINES,
    MAX_BATCH_LINES,
    MAX_UNRECEIPTED,
    SPACING_SECONDS,
    LogBatch,
    LogBuffer,
)
from dc1.daemon.leases.log_spool import MOST_UNWRITTEN_BYTES, LogSpool, OutputLine, nameless_file
from dc1.daemon.runners.base import Level
from dc1.domain.jobs.log_budget import CUT_NOTICE, MOST_LINES


def filled(lines: int, max_lines: int = MOST_LINES) -> LogBuffer:
    buffer = LogBuffer(max_lines)
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


def test_window_holds_lines_back_until_a_receipt() -> None:
    buffer = filled(MAX_UNRECEIPTED * MAX_BATCH_LINES + 1)
    assert len(take_all(buffer, now=1.0)) == MAX_UNRECEIPTED
    assert buffer.due_at() is None
    buffer.receipt(1, now=1.1)
    assert len(take_all(buffer, now=2.0)) == 1
    buffer.append("info", "last", 2.0)
    buffer.close()
    assert buffer.due_at() is None
    buffer.receipt(2, now=2.0)
    assert messages(take_all(buffer, now=2.0)) == ["last"]


def test_what_does_not_drain_in_time_is_counted_in_one_line() -> None:
    buffer = filled(MAX_UNRECEIPTED * MAX_BATCH_LINES + 7)
    take_all(buffer, now=1.0)
    buffer.close()
    buffer.cut_short()
    assert messages(take_all(buffer, now=1.0)) == ["7 log lines were lost on the provider's side"]
    assert not buffer.unsent


def test_beyond_the_budget_one_line_says_so_and_nothing_more_is_kept() -> None:
    buffer = filled(500, max_lines=100)
    buffer.append("error", "too late", 1.0)
    assert buffer.is_cut
    assert messages(drained(buffer)) == [*map(str, range(100)), CUT_NOTICE]
    bytes_left = LogBuffer(max_bytes=10)
    for text in ("12345", "é12", "12", "1"):
        bytes_left.append("info", text, 1.0)
    assert messages(drained(bytes_left)) == ["12345", "é12", CUT_NOTICE]


def drained(buffer: LogBuffer) -> list[LogBatch]:
    """Every batch, each receipted at once."""
    batches = []
    buffer.close()
    while buffer.due_at() is not None:
        batches.append(buffer.take(1.0))
        buffer.receipt(batches[-1].sequence, 1.0)
    return batches


lines_of_any_kind = st.tuples(st.sampled_from(["debug", "info", "warn", "error"]), st.text(max_size=30))


@given(st.lists(lines_of_any_kind, max_size=200), st.integers(1, 40), st.integers(50, 400))
def test_all_lines_are_kept_in_order_up_to_the_budget_whatever_comes(
    lines: list[tuple[Level, str]], max_lines: int, max_bytes: int
) -> None:
    buffer = LogBuffer(max_lines, max_bytes)
    for level, text in lines:
        buffer.append(level, text, 1.0)
    got = [(line.level, line.message) for batch in drained(buffer) for line in batch.lines]
    kept = got[:-1] if buffer.is_cut else got
    assert kept == lines[: len(kept)]
    assert len(kept) <= max_lines
    assert sum(len(text.encode()) for _, text in kept) <= max_bytes
    if buffer.is_cut:
        size = sum(len(text.encode()) for _, text in lines[: len(kept) + 1])
        assert len(kept) == max_lines or size > max_bytes
        assert got[-1] == ("warn", CUT_NOTICE)
    else:
        assert len(kept) == len(lines)


def test_a_burst_below_the_budget_of_a_job_is_kept_whole() -> None:
    assert messages(drained(filled(100_000))) == [str(number) for number in range(100_000)]


# The spool


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 3000), st.integers(-3000, -1)), max_size=12))
def test_the_spool_gives_back_what_it_took_in_order(steps: list[int]) -> None:
    """Positive steps append so many lines, negative ones take so many out."""
    spool, added, taken = LogSpool(), 0, 0
    for step in steps:
        for _ in range(step):
            spool.append(OutputLine("debug", f"{added} {'é' * (added % 50)}"))
            added += 1
        for _ in range(-step):
            line = spool.popleft()
            if line is None:
                assert taken == added
                break
            assert line == OutputLine("debug", f"{taken} {'é' * (taken % 50)}")
            taken += 1
        assert len(spool) == added - taken
    spool.clear()
    assert len(spool) == 0


class Disk:
    """Takes so many bytes and no more; what is written last is written in part."""

    def __init__(self, room: int = 1_000_000_000) -> None:
        self.room = room
        self.files: list[FileIO] = []

    def open(self) -> FileIO:
        with nameless_file() as file:
            self.files.append(_FileOnDisk(self, os.dup(file.fileno())))
        return self.files[-1]


class _FileOnDisk(FileIO):
    def __init__(self, disk: Disk, descriptor: int) -> None:
        super().__init__(descriptor, "w+b")
        self._disk = disk

    def write(self, data: ReadableBuffer) -> int:
        left = self._disk.room - self.tell()
        if left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(data)[:left])


def test_a_full_disk_loses_nothing_while_somebody_takes_the_lines() -> None:
    disk = Disk(room=200_000)
    buffer = LogBuffer(spool=LogSpool(disk.open))
    added, got = 0, []
    while added < 50_000:
        if buffer.has_room.is_set():
            buffer.append("info", f"{added} ".ljust(100, "="), 1.0)
            added += 1
        else:
            got.append(buffer.take(1.0))
            buffer.receipt(got[-1].sequence, 1.0)
    got += drained(buffer)
    assert [int(text.split(" ")[0]) for text in messages(got)] == list(range(50_000))


def test_a_full_disk_and_nobody_there_lose_lines_and_say_so() -> None:
    disk = Disk(room=200_000)
    spool = LogSpool(disk.open)
    buffer = LogBuffer(spool=spool)
    for number in range(50_000):
        buffer.append("info", f"{number} ".ljust(100, "="), 1.0)
    assert not buffer.has_room.is_set()
    kept = len(spool)
    # What memory and disk had room for.
    assert kept * 100 <= 200_000 + 2 * MOST_UNWRITTEN_BYTES
    disk.room = 1_000_000_000
    for number in range(50_000, 52_000):
        buffer.append("info", f"{number} ".ljust(100, "="), 1.0)
    said = messages(drained(buffer))
    assert [int(text.split(" ")[0]) for text in said[:kept]] == list(range(kept))
    notice, *rest = said[kept:]
    assert notice == f"{50_000 + 2_000 - kept - len(rest)} log lines were lost on the provider's side"
    assert rest
    assert rest[-1].startswith("51999 ")


def test_a_disk_that_reads_nothing_back_loses_what_it_had_and_no_more() -> None:
    disk = Disk()
    buffer = LogBuffer(spool=LogSpool(disk.open))
    for number in range(5_000):
        buffer.append("info", f"{number} ".ljust(100, "="), 1.0)
    disk.files[0].truncate(0)
    said = messages(drained(buffer))
    numbers = [int(text.split(" ")[0]) for text in said if "lost" not in text]
    lost = [int(text.split(" ")[0]) for text in said if "lost" in text]
    assert numbers == sorted(numbers)
    assert len(numbers) + sum(lost) == 5_000
    assert lost


def test_the_file_of_a_spool_is_private_and_goes_with_the_lease() -> None:
    disk = Disk()
    buffer = LogBuffer(spool=LogSpool(disk.open))
    for number in range(20_000):
        buffer.append("info", str(number), 1.0)
    [file] = disk.files
    found = os.fstat(file.fileno())
    assert (found.st_nlink, found.st_mode & 0o777) == (0, 0o600)
    buffer.release()
    assert file.closed
    buffer.append("info", "later", 2.0)
    assert not buffer.unsent

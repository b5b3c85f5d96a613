"""How much of a job's log is kept: all of it up to a budget, over all attempts."""

from collections.abc import Sequence

LARGEST_BATCH_LINES = 500

MOST_LINES = 200_000
MOST_BYTES = 32 * 1024 * 1024

GRACE_AFTER_END_MS = 60_000
"""How long after a job's end its last lines are taken: a report may overtake them."""

CUT_NOTICE = f"The log is cut here: {MOST_LINES:,} lines or {MOST_BYTES // 1024**2} MiB of a job are kept"


def size_of(message: str) -> int:
    """Return the bytes that a line takes: those of UTF-8, as it is stored."""
    return len(message.encode("utf-8", "replace"))


def fitting(messages: Sequence[str], lines_kept: int, bytes_kept: int) -> tuple[int, int]:
    """Return how many of the lines that come fit behind those that are kept, and how many bytes these are."""
    fit = size = 0
    for message in messages[: max(0, MOST_LINES - lines_kept)]:
        length = size_of(message)
        if bytes_kept + size + length > MOST_BYTES:
            break
        fit += 1
        size += length
    return fit, size

"""What a container prints: lines for the log, and the result among them."""

import json
import time
from collections import deque
from collections.abc import Callable

from dc1.daemon.runners.base import MAX_RESULT_BYTES, Level, RunFailed
from dc1.daemon.runners.container.printed_lines import LineReader, PrintedLine, plain
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import ErrorCategory

RESULT_MARKER = "DC1_RESULT_JSON:"
MESSAGE_LIMIT = 2000
"""The longest log message the control plane takes, in characters."""

PROGRESS_SECONDS = 5.0
"""A line that is written over and over is shown as it stands once in so long: an hour of it is 720 lines."""

CUT_MARK = " … [line cut]"
_TAIL_CHARACTERS = 64 * 1024


class ContainerOutput:
    """Turns the two byte streams of a container into log messages, and keeps what becomes the result."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._readers: dict[Level, LineReader] = {"info": LineReader(), "warn": LineReader()}
        self._shown_at: dict[Level, float] = {}
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._result_json: str | None = None
        self.last_words = ""

    def feed(self, stdout: bytes | None, stderr: bytes | None) -> list[tuple[Level, str]]:
        """Take in a chunk of either stream and return the messages it completes."""
        return [*self._take("info", stdout or b""), *self._take("warn", stderr or b""), *self.progress()]

    def progress(self) -> list[tuple[Level, str]]:
        """Return how lines stand that are written over, such as progress bars, where that is due."""
        now = self._monotonic()
        due = [
            level for level in self._readers if now - self._shown_at.get(level, -PROGRESS_SECONDS) >= PROGRESS_SECONDS
        ]
        shown: list[tuple[Level, str]] = []
        for level in due:
            state = self._readers[level].take_state()
            if state is not None:
                self._shown_at[level] = now
                shown.append((level, _message(PrintedLine(state))))
        return shown

    def finish(self) -> list[tuple[Level, str]]:
        """Return what was printed without a final line break."""
        return [
            message
            for level, reader in self._readers.items()
            for line in reader.finish()
            for message in self._line(level, line)
        ]

    def break_off(self, notice: str) -> list[tuple[Level, str]]:
        """Return what was printed of a line so far, and a notice that something is missing, here and in the result."""
        messages = [*self.finish(), ("warn", notice)]
        self._remember(f"[{notice}]")
        return messages

    def result(self) -> JsonObject | str:
        """Return the marked JSON object, else the end of standard output as text.

        Raises:
            RunFailed: what is marked is too large or no JSON object.
        """
        if self._result_json is None:
            return "\n".join(self._tail)
        if len(self._result_json.encode()) > MAX_RESULT_BYTES:
            raise RunFailed(ErrorCategory.INVALID_RESULT, f"the result is larger than {MAX_RESULT_BYTES} bytes")
        try:
            parsed = json.loads(self._result_json)
        # Too deep for the parser is the program's doing as well: as the daemon's own failure it would be free.
        except (ValueError, RecursionError):
            raise RunFailed(ErrorCategory.INVALID_RESULT, f"what follows {RESULT_MARKER} is not JSON") from None
        if not isinstance(parsed, dict):
            raise RunFailed(ErrorCategory.INVALID_RESULT, f"what follows {RESULT_MARKER} is not a JSON object")
        return parsed

    def _take(self, level: Level, chunk: bytes) -> list[tuple[Level, str]]:
        return [message for line in self._readers[level].feed(chunk) for message in self._line(level, line)]

    def _line(self, level: Level, line: PrintedLine) -> list[tuple[Level, str]]:
        if line.text.startswith(RESULT_MARKER):
            # The last one counts: a program may report as it goes.
            self._result_json = line.text.removeprefix(RESULT_MARKER).strip()
            return []
        message = _message(line)
        if message.strip():
            self.last_words = message
        # Standard output only: what a program complains of is no result.
        if level == "info":
            self._remember(line.text + line.end)
        return [] if line.was_shown else [(level, message)]

    def _remember(self, line: str) -> None:
        # With its line break, or empty lines would be kept without a bound.
        self._tail.append(line[1 - _TAIL_CHARACTERS :])
        self._tail_size += len(self._tail[-1]) + 1
        while self._tail_size > _TAIL_CHARACTERS:
            self._tail_size -= len(self._tail.popleft()) + 1


def _message(line: PrintedLine) -> str:
    """Return a line as the log shows it: without what only a terminal understands, and cut with a mark."""
    # Enough of it for a message, also of a line that is colours for the most part.
    begin = line.text[: 8 * MESSAGE_LIMIT]
    text = plain(begin)
    if len(text) <= MESSAGE_LIMIT and begin == line.text and not line.is_cut:
        return text
    return text[: MESSAGE_LIMIT - len(CUT_MARK)] + CUT_MARK

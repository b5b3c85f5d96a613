"""What a container prints: lines for the log, and the result among them."""

import json
from collections import deque

from dc1.daemon.runners.base import MAX_RESULT_BYTES, Level, RunFailed
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import ErrorCategory

RESULT_MARKER = "DC1_RESULT_JSON:"
MESSAGE_LIMIT = 2000
"""The longest log message the control plane takes, in characters."""

# A result is one line with its marker, so a line may be as long; a longer one without a break must not fill the memory.
_LONGEST_LINE = MAX_RESULT_BYTES + 1024
_TAIL_CHARACTERS = 64 * 1024


class ContainerOutput:
    """Turns the two byte streams of a container into log messages, and keeps what becomes the result."""

    def __init__(self) -> None:
        self._unfinished = {"info": bytearray(), "warn": bytearray()}
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._result_json: str | None = None
        self.last_words = ""

    def feed(self, stdout: bytes | None, stderr: bytes | None) -> list[tuple[Level, str]]:
        """Take in a chunk of either stream and return the messages it completes."""
        return [*self._take("info", stdout or b""), *self._take("warn", stderr or b"")]

    def finish(self) -> list[tuple[Level, str]]:
        """Return what was printed without a final line break."""
        return [*self._take("info", b"", at_end=True), *self._take("warn", b"", at_end=True)]

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

    def _take(self, level: Level, chunk: bytes, *, at_end: bool = False) -> list[tuple[Level, str]]:
        buffer = self._unfinished[level]
        buffer += chunk
        # A program may write byte by byte: to look through the whole line for each would take a core for minutes.
        if not at_end and b"\n" not in chunk and len(buffer) <= _LONGEST_LINE:
            return []
        *lines, rest = bytes(buffer).split(b"\n")
        if rest and (at_end or len(rest) > _LONGEST_LINE):
            lines, rest = [*lines, rest], b""
        buffer[:] = rest
        return [message for line in lines for message in self._line(level, line.decode(errors="replace").rstrip("\r"))]

    def _line(self, level: Level, line: str) -> list[tuple[Level, str]]:
        if line.startswith(RESULT_MARKER):
            # The last one counts: a program may report as it goes.
            self._result_json = line.removeprefix(RESULT_MARKER).strip()
            return []
        if line.strip():
            self.last_words = line[:MESSAGE_LIMIT]
        # Standard output only: what a program complains of is no result.
        if level == "info":
            self._remember(line)
        return [(level, line[start : start + MESSAGE_LIMIT]) for start in range(0, max(len(line), 1), MESSAGE_LIMIT)]

    def _remember(self, line: str) -> None:
        # With its line break, or empty lines would be kept without a bound.
        self._tail.append(line[1 - _TAIL_CHARACTERS :])
        self._tail_size += len(self._tail[-1]) + 1
        while self._tail_size > _TAIL_CHARACTERS:
            self._tail_size -= len(self._tail.popleft()) + 1

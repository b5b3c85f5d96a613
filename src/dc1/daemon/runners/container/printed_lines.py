"""Lines in a stream of bytes, as a terminal would show them: written over, of any length, in any encoding."""

import re
from dataclasses import dataclass

from dc1.daemon.runners.base import MAX_RESULT_BYTES

# A result is one line with its marker, so a line may be as long; a longer one without a break must not fill the memory.
_LONGEST_LINE = MAX_RESULT_BYTES + 1024
_LONGEST_STATE = 16 * 1024
"""What is written over is no longer; each return would else take a look through a result."""

_KEPT_END = 256 * 1024
"""Of a longer line its end is kept, of which results are made, beside its beginning."""

# Colours and movements, titles and links, and what else is no text; a tab is.
_FOR_TERMINALS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
)


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """A line. Of one that `is_cut`, as it is too long to be kept, something may be missing between `text` and `end`.

    `was_shown` is set for the last state of a line that was written over, if that was shown before.
    """

    text: str
    is_cut: bool = False
    end: str = ""
    was_shown: bool = False


class LineReader:
    """Reads one stream. Of a line that is written over, with carriage returns, only the last state is kept."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._begin: bytes | None = None
        self._state: str | None = None
        self._shown: str | None = None

    def feed(self, chunk: bytes) -> list[PrintedLine]:
        """Take in a chunk and return the lines it completes."""
        # A program may write byte by byte: to look through the whole line for each would take a core for minutes.
        *completed, rest = chunk.split(b"\n")
        lines = []
        for part in completed:
            self._extend(part)
            lines.append(self._complete())
        self._extend(rest)
        return lines

    def finish(self) -> list[PrintedLine]:
        """Return what was printed without a final line break."""
        return [self._complete()] if self._line or self._begin is not None else []

    def take_state(self) -> str | None:
        """Return how a line stands that is written over, unless it was shown like that before."""
        if self._state is None or self._state == self._shown:
            return None
        self._shown = self._state
        return self._state

    def _extend(self, part: bytes) -> None:
        self._line += part
        if b"\r" in part:
            self._write_over()
        if len(self._line) > _LONGEST_LINE:
            if self._begin is None:
                self._begin = bytes(self._line[:_LONGEST_LINE])
                del self._line[:_LONGEST_LINE]
            # Some at a time: to keep exactly the end would move it with every byte.
            del self._line[: max(0, len(self._line) - _KEPT_END)]

    def _write_over(self) -> None:
        window = bytes(self._line[-_LONGEST_STATE:])
        # The last return may be half of a line break, so what stands before it is replaced only by what follows.
        body = window.rstrip(b"\r")
        is_returned = len(body) < len(window)
        *over, last = body.split(b"\r")
        if over or not body:
            self._line[:] = last + b"\r" * is_returned
            self._begin = None
        if is_returned:
            over.append(last)
        shown = next((text for part in reversed(over) if plain(text := _text(part)).strip()), None)
        if shown is not None:
            self._state = shown

    def _complete(self) -> PrintedLine:
        line = _text(bytes(self._line)).rstrip("\r").rpartition("\r")[2]
        begin, state, shown = self._begin, self._state, self._shown
        self._line.clear()
        self._begin, self._state, self._shown = None, None, None
        if begin is not None:
            return PrintedLine(_text(begin), is_cut=True, end=line)
        # A bar that was wiped out in the end: what stood there is what it came to.
        if state is not None and not plain(line).strip():
            line = state
        return PrintedLine(line, was_shown=line == shown)


def plain(text: str) -> str:
    """Return a text without what only a terminal understands."""
    return _FOR_TERMINALS.sub("", text)


def _text(line: bytes) -> str:
    return line.decode(errors="replace")

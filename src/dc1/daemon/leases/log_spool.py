"""Log lines that wait to be sent: the oldest in memory, the rest in a file."""

import os
import struct
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final, get_args

import structlog

from dc1.containment import contained, in_words
from dc1.daemon.runners.base import Level

_IN_MEMORY_LINES = 1_000
_CHUNK_BYTES = 64 * 1024
MOST_UNWRITTEN_BYTES = 1024 * 1024
"""Kept in memory while the disk takes nothing; beyond it whoever prints has to wait."""

_HEAD: Final = struct.Struct("<BI")
_LEVELS: Final[tuple[Level, ...]] = get_args(Level)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OutputLine:
    """One line."""

    level: Level
    message: str


def nameless_file() -> FileIO:
    """Open a file that nobody else can open and that is gone with this process, however that ends."""
    # Not /tmp, which may be memory; who wants another place says so the usual way.
    roomy = "/var/tmp"  # noqa: S108 - the file has no name there
    elsewhere = "TMPDIR" in os.environ or not (Path(roomy).is_dir() and os.access(roomy, os.W_OK))
    opened = tempfile.TemporaryFile("w+b", buffering=0, prefix="dc1-log-", dir=None if elsewhere else roomy)  # noqa: SIM115
    # Unbuffered, it is the raw file itself.
    assert isinstance(opened, FileIO)
    return opened


class LogSpool:
    """Lines, first in first out. Writing is to the kernel's cache, 64 KiB at a time, so it is done where one stands."""

    def __init__(self, open_file: Callable[[], FileIO] = nameless_file) -> None:
        """Make an empty one; its file is opened when memory does not suffice."""
        self.lost = 0
        """Lines that could not be read back; whoever has told of them sets it to 0."""
        self._open_file = open_file
        self._file: FileIO | None = None
        # In this order: the oldest lines, then what the file has of them, then those not written yet.
        self._oldest: deque[OutputLine] = deque()
        self._chunks: deque[tuple[int, int]] = deque()
        self._newest = bytearray()
        self._newest_lines = 0
        self._write_when = _CHUNK_BYTES
        self._read_at = self._written_to = 0
        self._lines = 0

    def __len__(self) -> int:
        return self._lines

    @property
    def is_full(self) -> bool:
        """Whether no more is to be appended: the disk takes nothing, and memory has its share."""
        return len(self._newest) >= MOST_UNWRITTEN_BYTES

    def append(self, line: OutputLine) -> None:
        """Add a line."""
        self._lines += 1
        if not self._chunks and not self._newest and len(self._oldest) < _IN_MEMORY_LINES:
            self._oldest.append(line)
            return
        # A program may print halves of surrogate pairs, which UTF-8 cannot write.
        text = line.message.encode("utf-8", "replace")
        self._newest += _HEAD.pack(_LEVELS.index(line.level), len(text)) + text
        self._newest_lines += 1
        if len(self._newest) >= self._write_when:
            self._write()

    def make_room(self) -> None:
        """Try once more to write what the disk did not take."""
        if self._newest:
            self._write()

    def popleft(self) -> OutputLine | None:
        """Take out the oldest line; None when there is none."""
        while not self._oldest and self._lines:
            self._read()
        if not self._oldest:
            return None
        self._lines -= 1
        return self._oldest.popleft()

    def clear(self) -> None:
        """Forget every line, and give the disk back."""
        self._oldest.clear()
        self._chunks.clear()
        self._newest.clear()
        self._lines = self._newest_lines = 0
        self._close()

    def _write(self) -> None:
        size = len(self._newest)
        try:
            with contained():
                if self._file is None:
                    self._file = self._open_file()
                self._file.seek(self._written_to)
                # Less than all is what a disk does that is full just here; the next try writes over it.
                whole = self._file.write(self._newest) == size
        except Exception as error:
            # Of whatever kind: a line that is not kept must not end the run that printed it.
            log.warning("log_not_spooled", error=in_words(error))
            whole = False
        if not whole:
            # Tried again a chunk later, not with every line.
            self._write_when = size + _CHUNK_BYTES
            return
        self._chunks.append((size, self._newest_lines))
        self._written_to += size
        self._newest.clear()
        self._newest_lines, self._write_when = 0, _CHUNK_BYTES

    def _read(self) -> None:
        """Bring the next lines to memory; what the disk does not give back is counted as lost."""
        if not self._chunks:
            data, count = bytes(self._newest), self._newest_lines
            self._newest.clear()
            self._newest_lines, self._write_when = 0, _CHUNK_BYTES
        else:
            data, count = self._read_chunk()
        lines = _lines(data)
        self._oldest.extend(lines)
        self.lost += count - len(lines)
        self._lines -= count - len(lines)

    def _close(self) -> None:
        self._read_at = self._written_to = 0
        file, self._file = self._file, None
        try:
            with contained():
                if file is not None:
                    file.close()
        except Exception as error:
            # It has no name, so that whatever is left of it goes with this process.
            log.warning("log_not_closed", error=in_words(error))

    def _read_chunk(self) -> tuple[bytes, int]:
        assert self._file is not None
        size, count = self._chunks.popleft()
        try:
            with contained():
                self._file.seek(self._read_at)
                data = self._file.read(size)
        except Exception as error:
            log.warning("log_not_read_back", error=in_words(error))
            data = b""
        self._read_at += size
        if not self._chunks:
            # All is read, so its room on the disk is free for others.
            self._close()
        return (data, count) if len(data) == size else (b"", count)


def _lines(data: bytes) -> list[OutputLine]:
    lines: list[OutputLine] = []
    at = 0
    while at < len(data):
        level, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size + size
        lines.append(OutputLine(_LEVELS[level], data[at - size : at].decode()))
    return lines

"""A stream for log lines that never fails whoever writes to it, and tells how many lines it could not write."""

import os
import select
import threading
from collections.abc import Callable
from typing import TextIO

_PATIENCE_MS = 500
"""How long a line waits for a reader that does not keep up, before it is given up."""

# What a pipe that is said to be writable takes at least, without making its writer wait (PIPE_BUF of Linux).
_PIECE_BYTES = 4096


class SteadyStream:
    """Writes to a text stream for as long as that works; what cannot be written is counted, and told once it can.

    The call that logs has had its effect already, so an error of the log must not become one of the call.
    """

    def __init__(self, stream: TextIO | None, notice: Callable[[int, str], str]) -> None:
        """`notice` makes a line of how many were lost, and why; there is no stream where it was closed at the start."""
        self._stream = stream
        self._notice = notice
        self._descriptor = _descriptor(stream)
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        # Threads of libraries log too.
        self._lock = threading.Lock()
        self._lost = 0
        self._reason = ""
        self._is_cut = False

    def write(self, text: str) -> int:
        """Write a line whole, or count it as lost."""
        with self._lock:
            try:
                if self._lost:
                    self._put(("\n" if self._is_cut else "") + self._notice(self._lost, self._reason) + "\n")
                    self._lost = 0
                self._put(text)
            except (OSError, ValueError) as error:
                self._lost += 1
                self._reason = getattr(error, "strerror", None) or str(error)
        return len(text)

    def flush(self) -> None:
        """Do nothing: each line was written when it came."""

    def _put(self, text: str) -> None:
        data = text.encode(self._encoding, "backslashreplace")
        if self._descriptor is None:
            if self._stream is not None:
                self._stream.write(data.decode(self._encoding))
                self._stream.flush()
            return
        # Past Python's buffer, which would keep what a full disk refused, and be full of it itself in the end.
        while data:
            self._await_room(self._descriptor)
            written = os.write(self._descriptor, data[:_PIECE_BYTES])
            self._is_cut = data[:written][-1:] != b"\n"
            data = data[written:]

    def _await_room(self, descriptor: int) -> None:
        """Wait a moment for a slow reader; for none that was waited for before in vain.

        Raises:
            TimeoutError: It reads nothing. A terminal that is stopped (Ctrl-S) would stop the market with it.
        """
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        # What is wrong with the descriptor is told by the writing itself.
        if not poll.poll(0 if self._lost else _PATIENCE_MS):
            raise TimeoutError("nobody reads it")


def _descriptor(stream: TextIO | None) -> int | None:
    # Windows has no such look at a stream before the write.
    if stream is None or not hasattr(select, "poll"):
        return None
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None

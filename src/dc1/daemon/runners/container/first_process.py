"""A container's first process, and how it ended by the kernel's record, where an engine does not tell it."""

import os
import select
import signal
import struct
from pathlib import Path
from typing import Any

_FORM = struct.Struct("=QQ11Ii")
"""The first form of the kernel's `pidfd_info`: what is asked for and was told comes first, the exit status last."""

_EXIT = 1 << 3
_SIZE_SHIFT, _WRITE_AND_READ, _PIDFD, _GET_INFO = 16, 3 << 30, 0xFF << 8, 11
_ASK = _WRITE_AND_READ | _FORM.size << _SIZE_SHIFT | _PIDFD | _GET_INFO
_SIGNAL = 0x7F


class FirstProcess:
    """The process that a container's namespace of processes began with.

    Nothing inside that namespace can send it SIGKILL, and the profile of system calls withholds what has the kernel do
    so: who killed it stood outside. That an engine was asked to is written down late or never, and of a signal that
    was sent past the engine there is no other trace: a program that exits with 137 looks the same.
    """

    def __init__(self) -> None:
        """Know no process yet."""
        self._handle: int | None = None

    def meet(self, pid: Any, container_id: str) -> None:
        """Take hold of the process, if it is one of this machine's: an engine may be on another."""
        if self._handle is not None or not isinstance(pid, int) or pid <= 0:
            return
        try:
            handle = os.pidfd_open(pid)
        except (OSError, OverflowError, AttributeError):
            return  # it has ended, or this system is none with such handles
        # Only now, when the number cannot be given to another any more.
        if _is_in(pid, container_id):
            self._handle = handle
        else:
            os.close(handle)

    def has_ended(self) -> bool:
        """Tell whether it is known to have ended, whatever its engine says."""
        if self._handle is None:
            return False
        # Not select(), which takes no numbers over 1,023.
        poller = select.poll()
        poller.register(self._handle, select.POLLIN)
        return bool(poller.poll(0))

    def was_killed(self) -> bool:
        """Tell whether SIGKILL ended it; False where the kernel, as those before 6.15, does not say."""
        if self._handle is None:
            return False
        # Here, where there is a handle: a daemon without containers also starts on systems that have no such module.
        import fcntl

        asked = bytearray(_FORM.pack(_EXIT, *[0] * 13))
        try:
            fcntl.ioctl(self._handle, _ASK, asked)
        except OSError:
            return False
        told, *_, status = _FORM.unpack(asked)
        return bool(told & _EXIT) and status & _SIGNAL == signal.SIGKILL

    def close(self) -> None:
        """Let go of it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _is_in(pid: int, container_id: str) -> bool:
    try:
        return container_id in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False

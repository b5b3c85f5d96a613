"""A wall clock that steps under a running process, by Debian's libfaketime. Its monotonic clocks go on as they are.

`python -m tests.support.fake_time MODULE ARGUMENTS` runs a Python program that sleeps: libfaketime 0.9.10 reckons the
end of a sleep by the wrong clock, and `time.sleep` is an OSError under it, wherever the wall stands.
"""

import runpy
import sys
import threading
import time
from pathlib import Path
from typing import SupportsIndex

import pytest

_LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def may_step() -> bool:
    """Tell whether walls can be had here."""
    return _LIBRARY.exists()


class SteppedWall:
    """The wall clock of the processes that are started with `env`; it is the machine's own until `step`."""

    def __init__(self, directory: Path) -> None:
        if not may_step():
            pytest.skip("libfaketime is not installed (Debian: faketime)")
        self._offset = directory / "wall-clock"
        self.step("+0")
        self.env = {
            "LD_PRELOAD": str(_LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            # Read at every look at the time, it makes those twenty times as dear: storms on two cores came to no rest.
            "FAKETIME_CACHE_DURATION": "1",
            "NO_FAKE_STAT": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def step(self, offset: str) -> None:
        """Set the clock to so much from the machine's, as `+2d` or `-2d`."""
        # Replaced whole: a process that read half of it would be at another time yet.
        written = self._offset.with_suffix(".new")
        written.write_text(offset)
        written.rename(self._offset)


def _sleep(seconds: float | SupportsIndex) -> None:
    threading.Event().wait(float(seconds))


if __name__ == "__main__":
    time.sleep = _sleep
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

"""A wall clock that steps under a running process. Its monotonic clocks, and all that waits, go on as they are."""

import atexit
import functools
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("wall.c")
_NUMBER = struct.Struct("=q")


def may_step() -> bool:
    """Tell whether walls can be had here."""
    return shutil.which("cc") is not None


class SteppedWall:
    """The wall clock of the processes that are started with `env`; it is the machine's own until `step`."""

    def __init__(self, directory: Path) -> None:
        if not may_step():
            pytest.skip("There is no C compiler to make a wall clock with (Debian: gcc libc6-dev).")
        self._ahead = directory / "wall-clock"
        self._ahead.write_bytes(_NUMBER.pack(0))
        self.env = {"LD_PRELOAD": str(_library()), "WALL": str(self._ahead)}

    def step(self, seconds: int) -> None:
        """Set the clock to so much ahead of the machine's, or behind it."""
        # In place, for it is mapped, and at once, for it is one word.
        with self._ahead.open("r+b", buffering=0) as file:
            file.write(_NUMBER.pack(seconds))


@functools.cache
def _library() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="dc1-wall-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    library = directory / "wall.so"
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, _SOURCE], check=True)
    return library

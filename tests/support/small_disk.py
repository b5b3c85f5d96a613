"""A disk of its own that can be filled: a real file system in memory, if whoever runs the tests may mount one."""

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BLOCK = 4096


class SmallDisk:
    """A directory that is a file system, and how much of it is left to others."""

    BALLAST = "ballast"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ballast = directory / self.BALLAST

    def fill(self) -> None:
        """Leave no room at all."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (256 * _BLOCK, _BLOCK, 1):
                _write_until_full(ballast.fileno(), size)

    def make_room(self) -> None:
        """Give back what `fill` took."""
        self._ballast.unlink(missing_ok=True)


def _write_until_full(file: int, size: int) -> None:
    block = bytes(size)
    try:
        while True:
            os.write(file, block)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


@contextmanager
def small_disk(mebibytes: int) -> Iterator[SmallDisk]:
    """Mount one for the block."""
    with mounted_if_allowed(mebibytes) as disk:
        if disk is None:
            pytest.skip("Nothing may be mounted here (as root, or in a namespace of its own: unshare -rm).")
        yield disk


@contextmanager
def mounted_if_allowed(mebibytes: int) -> Iterator[SmallDisk | None]:
    """Mount one for the block, if that is allowed here."""
    with tempfile.TemporaryDirectory(prefix="dc1-disk-", ignore_cleanup_errors=True) as name:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0777", "tmpfs", name],
            capture_output=True,
            check=False,
        )
        if mounted.returncode != 0:
            yield None
            return
        try:
            yield SmallDisk(Path(name))
        finally:
            # At once for whoever looks, and for good when the last file of it is closed.
            subprocess.run(["umount", "--lazy", name], check=True)

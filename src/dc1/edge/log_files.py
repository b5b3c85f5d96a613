"""The files that Envoy logs to: none grows without bound, whatever those outside make it write."""

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path

import httpx
import structlog

from dc1.edge.admin import EnvoyAdmin

KEPT = 4
"""Older files of one log, `.1` the youngest."""
_LOOK_SECONDS = 5.0
"""A busy edge writes some MiB in that time, which a file may be larger than it should."""
_log = structlog.get_logger(__name__)


class LogFiles:
    """Puts files aside that have reached a size, and drops the oldest of them."""

    def __init__(self, paths: Iterable[Path], admin_socket: Path, most_bytes: int) -> None:
        self._paths = tuple(paths)
        self._admin_socket = admin_socket
        self._most_bytes = most_bytes
        self._reopening_due = False

    async def keep_bounded(self) -> None:
        """Look at the files every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            # A full disk, or an Envoy that does not answer just now: the next look may find it better.
            with contextlib.suppress(OSError, httpx.HTTPError):
                await self.look()

    async def look(self) -> None:
        """Put aside what is too large, and let Envoy begin anew."""
        full = [path for path in self._paths if _is_file(path) and path.stat().st_size >= self._most_bytes]
        # Until it hears of it, Envoy goes on writing to the file that was renamed, where no later look finds it.
        self._reopening_due |= bool(full)
        for path in full:
            _put_aside(path)
            _log.info("log_put_aside", path=str(path))
        if self._reopening_due:
            async with EnvoyAdmin(self._admin_socket) as admin:
                await admin.reopen_logs()
            self._reopening_due = False


def _is_file(path: Path) -> bool:
    # The access log may be a terminal or a pipe.
    return path.is_file() and not path.is_symlink()


def _put_aside(path: Path) -> None:
    for number in range(KEPT - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            _older(path, number).replace(_older(path, number + 1))
    path.replace(_older(path, 1))


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")

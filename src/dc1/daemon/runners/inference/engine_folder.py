"""The folder of the built-in engine's socket, and those that daemons left which were killed."""

import contextlib
import os
import tempfile
from pathlib import Path

_PREFIX = "dc1-llamacpp-"
_SOCKET = "engine.sock"
# Elsewhere than on Unix there is no such lock, and no such socket either.
_HAS_LOCKS = hasattr(os, "O_DIRECTORY")


class EngineFolder:
    """A folder that only this user may enter, so that nobody else on the machine can speak to the engine.

    It is locked as long as its daemon lives: a number of a process may be another's by now, or in another container.
    """

    def __init__(self) -> None:
        """Make one, and remove those that nobody holds any more."""
        if _HAS_LOCKS:
            _sweep(Path(tempfile.gettempdir()))
        self._make()
        # A daemon that starts at the same moment may have taken it for one that was left.
        while _HAS_LOCKS and (self._lock is None or not self.socket.parent.exists()):
            self.remove()
            self._make()

    def _make(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
        self.socket = Path(self._folder.name, _SOCKET)
        self._lock = _locked(self.socket.parent) if _HAS_LOCKS else None

    def remove(self) -> None:
        """Remove it with what is in it."""
        self._folder.cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _sweep(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        lock = _locked(folder)
        if lock is None:
            continue
        # Another user's cannot be removed, and what is no socket of ours is not.
        with contextlib.suppress(OSError):
            (folder / _SOCKET).unlink(missing_ok=True)
            folder.rmdir()
        os.close(lock)


def _locked(folder: Path) -> int | None:
    """Return the descriptor by which a folder is locked, None where another holds it or it is gone."""
    # Here, where there are locks: a daemon also starts on systems that have no such module.
    import fcntl

    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened

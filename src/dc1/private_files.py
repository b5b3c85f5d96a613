"""Files that nobody but their owner may open, whatever the umask was when they were made."""

import os
from pathlib import Path

_OTHERS = 0o077
_OWNER_ONLY = 0o600


def make_private_file(path: Path) -> None:
    """Make an empty file for its owner alone, or take the others' rights to one that is there and ours.

    Raises OSError when it cannot be made or changed.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
    except FileExistsError:
        # By its name and not opened: to close any descriptor of a file lets go of this process's locks on it.
        found = path.stat()
        if found.st_uid == os.geteuid() and found.st_mode & _OTHERS:
            path.chmod(found.st_mode & ~_OTHERS & 0o7777)


def write_private_file(path: Path, text: str) -> None:
    """Write a file that only its owner can read at any moment, in place of one that is there.

    Raises OSError when it cannot be written.
    """
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w", encoding="utf-8") as file:
        file.write(text)


def belongs_to_others(path: Path) -> bool:
    """Tell whether somebody else than this user and root owns a file, and may have put it there."""
    return path.stat().st_uid not in (os.geteuid(), 0)

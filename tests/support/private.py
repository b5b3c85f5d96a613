"""What other users of this machine could open of what processes hold, as the kernel tells."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_OTHERS = 0o077
_OTHERS_WRITE = 0o022


def open_to_others(directory: Path) -> list[str]:
    """Return what is below a directory and somebody else may read or write, were the directory itself open to all."""
    found = []
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            # One that nobody else can enter keeps what is in it, and the names in another are no secret.
            if stat.S_ISDIR(mode) and mode & _OTHERS:
                found += open_to_others(path)
            if not stat.S_ISLNK(mode) and mode & (_OTHERS_WRITE if stat.S_ISDIR(mode) else _OTHERS):
                found.append(f"{path} {stat.filemode(mode)}")
    return found


def opened_for_others(pids: Iterable[int], but: Iterable[Path]) -> list[str]:
    """Return files that processes write, wherever they are, and somebody else may open by their names."""
    left_out = {str(path) for path in but}
    found = []
    for pid in pids:
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                state, name = fd.stat(), str(fd.readlink())
                writes = os.access(fd, os.W_OK) and fd.lstat().st_mode & stat.S_IWUSR
                if stat.S_ISREG(state.st_mode) and state.st_nlink and writes and state.st_mode & _OTHERS:
                    found.append(f"{name} {stat.filemode(state.st_mode)}")
    return [line for line in found if line.rpartition(" ")[0] not in left_out]


def unix_listeners(pids: Iterable[int]) -> Iterator[str]:
    """Yield the paths of Unix sockets on which processes listen; abstract ones begin with `@`."""
    held = set()
    for pid in pids:
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                held.add(str(fd.readlink()))
    for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()[1:]:
        fields = line.split()
        # The flag says that it accepts connections.
        if int(fields[3], 16) & 0x10000 and f"socket:[{fields[6]}]" in held:
            yield fields[7] if len(fields) > 7 else "@"

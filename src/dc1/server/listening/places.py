"""The Unix socket behind Envoy, which only its owner and the group of an edge can open, or a port in its place."""

import contextlib
import fcntl
import grp
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from dc1.os_errors import reason_of
from dc1.ports import joined, port_obstacle
from dc1.private_files import make_private_file
from dc1.socket_paths import length_obstacle

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OWNER_ONLY = 0o600
_OWNER_AND_GROUP = 0o660


class ListenError(Exception):
    """The server's address cannot be listened on; the text says which and why it may be."""


def listen_on_port(host: str, port: int, bind: Callable[[str], int]) -> str:
    """Bind a TCP port, 0 for a free one, and return its address.

    Raises:
        ListenError: It cannot be had.
    """
    try:
        return joined(host, bind(joined(host, port)))
    except RuntimeError as error:
        # gRPC says only that it could not; what keeps others off keeps it off too.
        reason = port_obstacle(host, port, "DC1_GRPC_PORT") or f"{error}."
        raise ListenError(f"Cannot listen on {joined(host, port)} (DC1_GRPC_HOST, DC1_GRPC_PORT): {reason}") from None


@contextlib.contextmanager
def sole_socket(path: Path, group: str | None, bind: Callable[[str], int]) -> Iterator[str]:
    """Hold a socket at `path` while the block runs.

    Only the owner may open it, or the members of `group` too. One that a killed server left behind is replaced.

    Yields:
        gRPC's name of it, with which `bind` was called.

    Raises:
        ListenError: The path is too long, belongs to another server, or lies where other users may put files.
    """
    if obstacle := length_obstacle(path, "DC1_GRPC_SOCKET"):
        raise ListenError(obstacle)
    name = f"unix:{path}"
    with contextlib.ExitStack() as held:
        try:
            _make_directory(path.parent)
            _lock(path, held)
            _bind_unseen(name, bind)
            if group is not None:
                _give(path, grp.getgrnam(group).gr_gid)
            path.chmod(_OWNER_ONLY if group is None else _OWNER_AND_GROUP)
        except (OSError, LookupError, RuntimeError) as error:
            raise ListenError(
                f"Cannot listen on {path} (DC1_GRPC_SOCKET, DC1_GRPC_SOCKET_GROUP): {reason_of(error)}."
            ) from None
        yield name


def _give(path: Path, group_id: int) -> None:
    # Not done again where the process has that group as its own: a sandbox may forbid what is then needless.
    if path.stat().st_gid != group_id:
        os.chown(path, -1, group_id)


def _make_directory(directory: Path) -> None:
    """Make the directory for its owner alone, or look at the one that is there.

    Raises:
        ListenError: Somebody else may put a socket of his own into it, and be told every key.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid not in (os.geteuid(), 0) or found.st_mode & _OTHERS_WRITE:
        raise ListenError(
            f"The directory {directory} is not this user's alone to write into: whoever puts a socket there is told every key. "
            "Set DC1_GRPC_SOCKET to one that is."
        )


def _lock(path: Path, held: contextlib.ExitStack) -> None:
    """Take the path for this process; the kernel frees it when the process dies.

    Raises:
        ListenError: Another server has it. gRPC would take its socket away in silence.
    """
    try:
        # Never deleted: a second server could then lock a new file while the first holds the old.
        file = path.with_name(f"{path.name}.lock")
        # Whoever can open it could hold it, and no server would start.
        make_private_file(file)
        lock = held.enter_context(file.open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ListenError(
            f"Another server listens on {path}; give this one a DC1_GRPC_SOCKET or a DC1_GRPC_PORT of its own."
        ) from None


def _bind_unseen(name: str, bind: Callable[[str], int]) -> None:
    """Bind with no rights for others, which they would have until the file's mode is set."""
    # Of the whole process, so for as short a time as can be; what other threads make meanwhile is the more private.
    before = os.umask(0o177)
    try:
        bind(name)
    finally:
        os.umask(before)

"""The TCP ports that a process listens on, as the kernel tells."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LISTENING = "0A"


def listening_ports(pid: int | str = "self") -> set[int]:
    """Ports of IPv4 and IPv6 sockets."""
    sockets = set(_links(Path(f"/proc/{pid}/fd")))
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {
        int(line[1].rpartition(":")[2], 16)
        for line in lines
        if line[3] == _LISTENING and f"socket:[{line[9]}]" in sockets
    }


def _links(directory: Path) -> Iterator[str]:
    for link in directory.iterdir():
        # Closed since the directory was read.
        with suppress(FileNotFoundError):
            yield str(link.readlink())

"""Where metrics are read, as people write it: a port of this machine, an address of another, or a Unix socket."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from dc1.loopback import is_loopback

_HOST = "127.0.0.1"
_UNIX = "unix:"
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """A Unix socket at `path`, or a port; `token` is what whoever reads has to bring, None for nothing."""

    host: str = _HOST
    port: int = 0
    path: Path | None = None
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, text: str, token: str | None = None) -> Self:
        """Read `9464`, `host:9464`, `[::1]:9464` or `unix:/path`.

        Raises:
            ValueError: it is none of these, or others may reach it and no token is set.
        """
        if text.startswith(_UNIX):
            path = Path(text.removeprefix(_UNIX))
            if not path.is_absolute():
                raise ValueError("a Unix socket has an absolute path, as in unix:/run/dc1/metrics.sock")
            return cls(path=path, token=token)
        host, _, port = text.rpartition(":")
        host = host.strip("[]") or _HOST
        if not (port.isascii() and port.isdigit() and int(port) <= _LAST_PORT):
            raise ValueError("must be a port, host:port or unix:/path")
        if token is None and not is_loopback(host):
            raise ValueError("others reach this address: it needs a token, or be of this machine alone")
        return cls(host=host, port=int(port), token=token)


def of_server(text: str, number: int) -> str:
    """Return where the server with this number, from 1, is read, of several that were given one address.

    The first one at it, the others at the ports after it, or at sockets with their numbers; of port 0 each has its own.
    """
    if number == 1:
        return text
    if text.startswith(_UNIX):
        path = Path(text.removeprefix(_UNIX))
        return f"{_UNIX}{path.with_stem(f'{path.stem}-{number}')}"
    host, colon, port = text.rpartition(":")
    return text if int(port) == 0 else f"{host}{colon}{int(port) + number - 1}"

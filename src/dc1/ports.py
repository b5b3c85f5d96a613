"""Ports that a server is to listen on, and addresses as people write them."""

import errno
import socket

_OBSTACLES = {
    errno.EADDRINUSE: "is taken by another program, perhaps by another `dc1 up`; stop it or set {setting} to a free port",
    errno.EACCES: "may not be opened by this user; set {setting} to a port above 1023, or give the right to bind low ports",
    errno.EADDRNOTAVAIL: "cannot be opened, as this machine has no such address",
}


def port_obstacle(host: str, port: int, setting: str) -> str | None:
    """Return in a sentence why a port cannot be listened on; None when it can, tried for a moment."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers listen: connections of one that just ended must not count as a program that holds the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    # A name that cannot be one is a UnicodeError.
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        reason = error.strerror if isinstance(error, OSError) else "it is no address"
        obstacle = _OBSTACLES.get(number or 0, f"cannot be opened: {reason}")
        return f"Port {port} on {host} {obstacle.format(setting=setting)}."
    return None


def joined(host: str, port: int) -> str:
    """Return `host:port`, an IPv6 address in the brackets without which its end and the port would be one."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

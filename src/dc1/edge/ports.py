"""A look at ports before Envoy gets them."""

import socket


def is_free(host: str, port: int) -> bool:
    """Tell whether a listener may be opened; port 0 always is.

    Envoy shares its port with other processes that ask for it (SO_REUSEPORT), so a second edge would start without complaint
    and take half of the first one's connections.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True

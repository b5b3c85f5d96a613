"""Proxies that the environment names, read in one way for every connection that leaves this machine.

The libraries underneath disagree: gRPC sends even loopback through a proxy and knows no `NO_PROXY`, and each has its
own idea of a list of exceptions. So they are told what to do, and look at no variable themselves.
"""

import os
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from dc1.loopback import is_loopback

# The stream of a daemon is a tunnel of its own in any case, so that what is there for https does for it too.
_OF_GRPC = ("grpc", "https", "http")
_PORTS = {"http": 80, "https": 443}


def grpc_proxy(address: str) -> str | None:
    """Return the proxy through which gRPC reaches `host:port`, None where it connects by itself."""
    host, _, port = address.rpartition(":")
    exceptions = _variable("no_grpc") or _variable("no")
    return _proxy(_OF_GRPC, host, int(port), exceptions)


def http_proxy(scheme: str, host: str, port: int | None) -> str | None:
    """Return the proxy through which a URL of these parts is reached, None where it is asked directly."""
    return _proxy((scheme, "all"), host, port or _PORTS.get(scheme, 0), _variable("no"))


def speaks(proxy: str, *schemes: str) -> bool:
    """Tell whether a proxy's address can be used, and is one of a scheme that is spoken here: of socks none is."""
    try:
        parts = urlsplit(proxy)
        # Asking for the port refuses what is none.
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _proxy(kinds: tuple[str, ...], host: str, port: int, exceptions: str) -> str | None:
    # No proxy reaches this machine's loopback; its own would be another machine's.
    if is_loopback(host) or host.strip("[]") in ("0.0.0.0", "::") or _is_excepted(host, port, exceptions):  # noqa: S104
        return None
    proxy = next(filter(None, map(_variable, kinds)), "")
    return (proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def _variable(kind: str) -> str:
    lower = f"{kind}_proxy"
    # As everywhere: in small letters it wins, even where it is set to nothing.
    return os.environ.get(lower, os.environ.get(lower.upper(), "")).strip()


def _is_excepted(host: str, port: int, exceptions: str) -> bool:
    name = host.strip("[]").rstrip(".").lower()
    for entry in exceptions.lower().split(","):
        pattern = entry.strip()
        if pattern == "*" or _matches(name, pattern) or _matches(name, pattern.removesuffix(f":{port}")):
            return True
    return False


def _matches(name: str, pattern: str) -> bool:
    pattern = pattern.strip("[]").removeprefix("*").lstrip(".")
    try:
        # One address is a network too.
        return ip_address(name) in ip_network(pattern, strict=False)
    except ValueError:
        return bool(pattern) and (name == pattern or name.endswith(f".{pattern}"))

"""Where a call comes from."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import unquote

Network: TypeAlias = IPv4Network | IPv6Network
_CLIENT_ADDRESS = "x-client-address"


def client_address(peer: str, heard: Mapping[str, str]) -> str:
    """Return the client's address: what an edge says of it in what is `heard` of the gRPC `peer`, else the peer's own.

    `local` stands for whoever speaks through the Unix socket for himself.
    """
    own = peer_address(peer)
    return str(_parse(heard.get(_CLIENT_ADDRESS, "")) or own or "local")


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Tell whether `address` lies in one of `networks`."""
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in networks)


def counted_as(address: str) -> str:
    """Return what a rate limit counts an address by: itself, or its /64, of which one IPv6 client has every address."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address


def site_of(address: str) -> str:
    """Return the /48 of an IPv6 address, the most that one customer is given; nothing for an IPv4 address."""
    parsed = _parse(address)
    return str(ip_network((parsed, 48), strict=False)) if isinstance(parsed, IPv6Address) else ""


@lru_cache(4096)
def peer_address(peer: str) -> IPv4Address | IPv6Address | None:
    """Read `ipv4:127.0.0.1:50051` and `ipv6:[::1]:50051`; None for peers without an address, such as Unix sockets."""
    # gRPC escapes the brackets of IPv6 addresses.
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    return _parse(rest.rpartition(":")[0].strip("[]"))


@lru_cache(16_384)
def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    # A dual-stack socket has IPv4 clients as ::ffff:192.0.2.1, which no network of IPv4 addresses would contain.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address

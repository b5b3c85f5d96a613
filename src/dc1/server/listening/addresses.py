"""Where a call comes from."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeAlias
from urllib.parse import unquote

from dc1.domain.base.addresses import Address, of_one_client, parse_address

Network: TypeAlias = IPv4Network | IPv6Network
_CLIENT_ADDRESS = "x-client-address"


def client_address(peer: str, heard: Mapping[str, str]) -> str:
    """Return the client's address: what an edge says of it in what is `heard` of the gRPC `peer`, else the peer's own.

    `local` stands for whoever speaks through the Unix socket for himself.
    """
    own = peer_address(peer)
    return str(parse_address(heard.get(_CLIENT_ADDRESS, "")) or own or "local")


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Tell whether `address` lies in one of `networks`."""
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in networks)


def counted_as(address: str) -> str:
    """Return what a rate limit counts an address by: itself, or its /64, of which one IPv6 client has every address."""
    parsed = parse_address(address)
    return address if parsed is None else of_one_client(parsed)


def site_of(address: str) -> str:
    """Return the /48 of an IPv6 address, the most that one customer is given; nothing for an IPv4 address."""
    parsed = parse_address(address)
    return str(ip_network((parsed, 48), strict=False)) if isinstance(parsed, IPv6Address) else ""


@lru_cache(4096)
def peer_address(peer: str) -> Address | None:
    """Read `ipv4:127.0.0.1:50051` and `ipv6:[::1]:50051`; None for peers without an address, such as Unix sockets."""
    # gRPC escapes the brackets of IPv6 addresses.
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    return parse_address(rest.rpartition(":")[0].strip("[]"))

"""Addresses of the internet: how they are read, and which of them are one client's."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
_OF_ONE_CLIENT = 64


@lru_cache(16_384)
def parse_address(text: str) -> Address | None:
    """Return the address that a text is, None where it is none."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    # A dual-stack socket has IPv4 clients as ::ffff:192.0.2.1, which no network of IPv4 addresses would contain.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def of_one_client(address: Address) -> str:
    """Return what tells one client's addresses from another's: an IPv4 address, or the /64 of an IPv6 one."""
    return (
        str(address) if isinstance(address, IPv4Address) else str(ip_network((address, _OF_ONE_CLIENT), strict=False))
    )

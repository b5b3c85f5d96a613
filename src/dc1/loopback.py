"""Addresses that never leave this machine, where what is not encrypted travels no network."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether a host, as a person wrote it, is this machine and nothing else.

    A name is judged by what it says and not by what it resolves to: whoever answers for it may answer otherwise the
    next time. `0.0.0.0` is every address of a machine, and which one is reached depends on the system.
    """
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback

"""A program of its own: fences in the network namespace that it runs in, proves it, says so, and waits to be ended.

It runs in a container of the daemon's, as root with `NET_ADMIN` and nothing else, whose network a job's container then
shares; the job has no capability to change what is set here. It knows the standard library only, as there is nothing
else in its image. Arguments are the networks to refuse, such as `10.0.0.0/8`.
"""

import errno
import signal
import socket
import struct
import sys
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

READY = "fenced"
"""What is printed once the rules hold."""

_SECONDS = 30
_TABLE, _CHAINS = "dc1", {"input": 1, "forward": 2, "output": 3}  # with the numbers of their hooks
_INET, _IPV4 = 1, 2
_DROP, _ACCEPT = 0, 1
_NETLINK_NETFILTER = 12
_REQUEST, _ACKNOWLEDGE, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_BATCH_BEGIN, _BATCH_END, _NFTABLES = 0x10, 0x11, 10
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = 0, 3, 6
_IIF, _OIF, _NFPROTO, _L4PROTO = 4, 5, 15, 16
# The loopback device is the first in every network namespace.
_LOOPBACK = struct.pack("=I", 1)
_SOURCE, _DESTINATION = 12, 16  # where an IPv4 header has them
_ICMP = 1


def _attribute(kind: int, value: bytes) -> bytes:
    # Lengths are without the padding, offsets with it.
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _nested(kind: int, *attributes: bytes) -> bytes:
    return _attribute(kind | 0x8000, b"".join(attributes))


def _number(kind: int, value: int) -> bytes:
    # What nf_tables is told is in network byte order.
    return _attribute(kind, struct.pack("!I", value))


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _expression(name: str, *attributes: bytes) -> bytes:
    return _nested(1, _text(1, name), _nested(2, *attributes))


def _meta_is(key: int, value: bytes) -> bytes:
    return _expression("meta", _number(1, 1), _number(2, key)) + _register_is(value)


def _register_is(value: bytes) -> bytes:
    return _expression("cmp", _number(1, 1), _number(2, 0), _nested(3, _attribute(1, value)))


def _address_in(offset: int, network: IPv4Network) -> bytes:
    masked = (
        _expression("payload", _number(1, 1), _number(2, 1), _number(3, offset), _number(4, 4)),
        _expression(
            "bitwise",
            *(_number(1, 1), _number(2, 1), _number(3, 4)),
            _nested(4, _attribute(1, network.netmask.packed)),
            _nested(5, _attribute(1, bytes(4))),
        ),
    )
    return b"".join(masked) + _register_is(network.network_address.packed)


def _verdict(code: int) -> bytes:
    return _expression("immediate", _number(1, 0), _nested(2, _nested(2, _number(1, code))))


def _rules(refused: Iterable[IPv4Network]) -> list[tuple[str, bytes]]:
    """Return the rules in their order; what none of them accepts is dropped, IPv6 as a whole with it."""
    ipv4 = _meta_is(_NFPROTO, bytes([_IPV4]))
    networks = list(refused)
    return [
        ("input", _meta_is(_IIF, _LOOPBACK) + _verdict(_ACCEPT)),
        # Routers on the way say with it how large a packet may be, also those with private addresses.
        ("input", ipv4 + _meta_is(_L4PROTO, bytes([_ICMP])) + _verdict(_ACCEPT)),
        *(("input", ipv4 + _address_in(_SOURCE, network) + _verdict(_DROP)) for network in networks),
        ("input", ipv4 + _verdict(_ACCEPT)),
        ("output", _meta_is(_OIF, _LOOPBACK) + _verdict(_ACCEPT)),
        *(("output", ipv4 + _address_in(_DESTINATION, network) + _verdict(_DROP)) for network in networks),
        ("output", ipv4 + _verdict(_ACCEPT)),
    ]


def _messages(refused: Iterable[IPv4Network]) -> list[bytes]:
    bodies = [(_NEW_TABLE, _CREATE, _text(1, _TABLE))]
    for name, hook in _CHAINS.items():
        place = _nested(4, _number(1, hook), _number(2, 0))
        chain = _text(1, _TABLE) + _text(3, name) + place + _number(5, _DROP) + _text(7, "filter")
        bodies.append((_NEW_CHAIN, _CREATE, chain))
    for name, expressions in _rules(refused):
        rule = _text(1, _TABLE) + _text(2, name) + _nested(4, expressions)
        bodies.append((_NEW_RULE, _CREATE | _APPEND, rule))
    inner = [
        _message(_NFTABLES << 8 | kind, flags | _ACKNOWLEDGE, number, _INET, 0, body)
        for number, (kind, flags, body) in enumerate(bodies, 1)
    ]
    # All or nothing: the kernel takes what stands between the two as one change.
    begin, end = (_message(kind, 0, 0, 0, _NFTABLES, b"") for kind in (_BATCH_BEGIN, _BATCH_END))
    return [begin, *inner, end]


def _message(kind: int, flags: int, number: int, family: int, resource: int, body: bytes) -> bytes:
    head = struct.pack("=BB", family, 0) + struct.pack("!H", resource)
    return struct.pack("=IHHII", 20 + len(body), kind, flags | _REQUEST, number, 0) + head + body


def fence(refused: Iterable[IPv4Network]) -> None:
    """Put the rules in force.

    Raises:
        OSError: the kernel refuses one of them.
    """
    messages = _messages(refused)
    waiting = len(messages) - 2
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.bind((0, 0))
        netlink.settimeout(10)
        netlink.send(b"".join(messages))
        while waiting > 0:
            answer = netlink.recv(65536)
            while len(answer) >= 20:
                length, _, _, _, _, code = struct.unpack_from("=IHHIIi", answer)
                if code:
                    raise OSError(-code, "the kernel refuses the rules")
                waiting -= 1
                answer = answer[(length + 3) & ~3 :]


def own_networks(table: str) -> list[IPv4Network]:
    """Return the networks that are reached directly, and all gateways, in the text of /proc/net/route."""
    found = set()
    for line in table.splitlines()[1:]:
        _, destination, gateway, _, _, _, _, mask, *_ = line.split()
        network, through, netmask = (struct.pack("=I", int(number, 16)) for number in (destination, gateway, mask))
        if any(through):
            found.add(IPv4Network((through, 32)))
        # A mask of nothing is everywhere: a default route without a gateway.
        elif any(netmask):
            found.add(IPv4Network((network, str(IPv4Address(netmask))), strict=False))
    return sorted(found)


def leaks(refused: Iterable[IPv4Network]) -> list[str]:
    """Return where a packet still leaves to, of one address in each network; an empty list proves the fence."""
    return [
        str(address)
        for address in (network[min(1, network.num_addresses - 1)] for network in refused)
        if _leaves(socket.AF_INET, str(address))
    ] + [
        address
        for address in ("ff02::1%2", "fe80::1%2", "fd00::1", "64:ff9b::a00:1")
        if _leaves(socket.AF_INET6, address)
    ]


def _leaves(family: socket.AddressFamily, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Without it broadcasts are refused before any rule is asked.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            # As bytes, for text would be encoded by a codec that is not in the image.
            probe.sendto(b"", socket.getaddrinfo(address.encode(), 9, family, socket.SOCK_DGRAM)[0][4])
    except OSError:
        return False
    return True


def _is_refused_by_rules(address: IPv4Address) -> bool:
    """Tell whether it is the rules, and no missing route, that keep a packet in."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.sendto(b"", (str(address), 9))
    except OSError as error:
        return error.errno == errno.EPERM
    return False


def main() -> None:
    """Fence, prove, say so and wait; what fails ends the program, and with it the container."""
    # The first process of a container ignores signals that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("the rules took too long"))
    signal.alarm(_SECONDS)
    with open("/proc/net/route", encoding="utf-8") as routes:  # noqa: PTH123 -- pathlib is not in the image
        own = own_networks(routes.read())
    refused = [*(IPv4Network(text) for text in sys.argv[1:]), *own]
    # Never over the loopback device, where nothing is refused.
    refused = [network for network in refused if not network.is_loopback]
    fence(refused)
    if not own:
        sys.exit("there is no network here")
    if escaped := leaks(refused):
        sys.exit(f"packets leave to {escaped}")
    # One is certain to have a route: the container's own network.
    if not _is_refused_by_rules(own[0][min(1, own[0].num_addresses - 1)]):
        sys.exit("the rules are not asked")
    signal.alarm(0)
    print(READY, flush=True)  # noqa: T201 -- its one word to the daemon
    while True:
        signal.pause()


if __name__ == "__main__":
    main()

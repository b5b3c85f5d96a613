"""A network for containers of jobs that leads to the internet only, not to this machine or what stands beside it."""

import contextlib
import subprocess
import threading
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from docker.errors import NotFound
from docker.types import LogConfig

from dc1.daemon.runners.container.engine import ENGINE_ERRORS
from dc1.daemon.runners.container.guard_image import PROGRAM, ensure_guard_image, interpreter
from dc1.daemon.runners.container.guard_program import READY, own_networks
from dc1.daemon.runners.container.options import FEWEST_PIDS

# Every address that is not the public internet's, with those that clouds answer at for the machine alone.
REFUSED_NETWORKS = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)

LABEL_GUARD = "dc1.guard"
"""On guards only; they are removed after the containers that share their network."""

# Resolvers of the public internet: those of the owner's house are inside it.
_RESOLVERS = ["1.1.1.1", "9.9.9.9"]
_NETWORK = "dc1-jobs"
_MIB = 1024 * 1024
_ROUTES, _ADDRESSES = Path("/proc/net/route"), Path("/proc/net/fib_trie")
# Two daemons at once would make two networks of one name, which Docker allows.
_making = threading.Lock()


class UnguardedError(Exception):
    """A network cannot be fenced in here; the text says why."""


def start_guard(client: Any, labels: Mapping[str, str], seccomp: str) -> Any:
    """Return a running container whose network a job's container may share: its rules are proved to hold. Blocks.

    The container that shares it has no capability to change the rules, which lie in its own network namespace: so it
    is the same with every engine, also for a daemon that is not root. Who starts a guard removes it.

    Raises:
        UnguardedError: the rules could not be put in force.
    """
    try:
        image = ensure_guard_image(client)
    except subprocess.SubprocessError as error:
        raise UnguardedError(f"the guard's image could not be made: {error}") from error
    guard = client.containers.create(image, **_options(client, labels, seccomp))
    try:
        output = guard.attach(stream=True, stdout=True, stderr=True)
        guard.start()
        said = _first_line(output)
        output._response.close()
        if said != READY:
            raise UnguardedError(said or "the guard ended without a word")
    except BaseException:
        remove_guard(guard)
        raise
    return guard


def remove_guard(guard: Any) -> None:
    """End a guard; the network that was shared ends with it. Blocks."""
    with contextlib.suppress(NotFound):
        guard.remove(force=True, v=True)


def network_obstacle(client: Any, labels: Mapping[str, str], seccomp: str) -> str:
    """Return why this engine's networks cannot be fenced in; nothing when a guard says that they can. Blocks."""
    try:
        remove_guard(start_guard(client, labels, seccomp))
    except (UnguardedError, *ENGINE_ERRORS) as error:
        return str(error)[:500] or type(error).__name__
    return ""


def refused_networks() -> list[IPv4Network]:
    """Return what a container may not reach, with this machine's own addresses and the networks that it is part of."""
    own: set[IPv4Network] = set()
    with contextlib.suppress(OSError):
        own |= set(own_networks(_ROUTES.read_text(encoding="ascii")))
    with contextlib.suppress(OSError):
        own |= {IPv4Network(address) for address in own_addresses(_ADDRESSES.read_text(encoding="ascii"))}
    # A public address of the machine is in none of the fixed ranges, and leads to all of its services.
    return [*REFUSED_NETWORKS, *sorted(net for net in own if not any(map(net.subnet_of, REFUSED_NETWORKS)))]


def own_addresses(trie: str) -> set[IPv4Address]:
    """Return the machine's addresses in the text of /proc/net/fib_trie."""
    found, address = set(), ""
    for line in trie.splitlines():
        _, leaf, name = line.partition("|-- ")
        if leaf:
            address = name.strip()
        elif "/32 host LOCAL" in line:
            found.add(IPv4Address(address))
    return found


def _options(client: Any, labels: Mapping[str, str], seccomp: str) -> dict[str, Any]:
    return {
        "command": [*interpreter(), PROGRAM, *map(str, refused_networks())],
        "labels": {**labels, LABEL_GUARD: "yes"},
        "network": _network(client),
        "dns": _RESOLVERS,
        "user": "0:0",
        "cap_drop": ["ALL"],
        "cap_add": ["NET_ADMIN"],
        "security_opt": ["no-new-privileges", f"seccomp={seccomp}"],
        "ipc_mode": "private",
        "cgroupns": "private",
        "read_only": True,
        "mem_limit": 64 * _MIB,
        "memswap_limit": 64 * _MIB,
        "pids_limit": FEWEST_PIDS,
        "shm_size": _MIB,
        "log_config": LogConfig(type="none"),
    }


def _network(client: Any) -> str:
    """Return the name of the network that containers of jobs have to themselves, made if it is not there."""
    with _making:
        if not any(network.name == _NETWORK for network in client.networks.list(names=[_NETWORK])):
            # Its containers need not know each other, and no rule of theirs lets IPv6 through.
            isolated = {"com.docker.network.bridge.enable_icc": "false"}
            client.networks.create(_NETWORK, driver="bridge", enable_ipv6=False, options=isolated)
    return _NETWORK


def _first_line(output: Any) -> str:
    """Return what the guard says first: its one word, or why it ended."""
    said = b""
    for chunk in output:
        said += chunk
        # A traceback is many lines, of which the last one says the reason.
        if said.strip() == READY.encode():
            return READY
    return said.decode(errors="replace").strip().rpartition("\n")[2][:500]

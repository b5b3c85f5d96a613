"""Where a container with a network can get to: the internet, and neither its owner's house nor the machine."""

import asyncio
import contextlib
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from dc1.daemon.runners.base import RunFailed, Work
from dc1.daemon.runners.container import guard
from dc1.daemon.runners.container.engine import connect_engine
from dc1.daemon.runners.container.guard import own_addresses, refused_networks
from dc1.daemon.runners.container.guard_program import own_networks
from dc1.daemon.runners.container.options import ContainerLimits
from dc1.daemon.runners.container.runner import ContainerRunner
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.jobs.states import JobType
from tests.daemon.runners.podman import Engine, python_command
from tests.daemon.runners.sinks import RecordingSink

LIMITS = ContainerLimits(memory_mib=128, cpus=1, pids=64, tmp_mib=16, open_files=256)
METADATA = "169.254.169.254"
INTERNET = "11.99.0.1"
"""Stands for any public address: the host has a route to it and is not part of its network."""

# Also by the device itself, past the routes, and in the clothes of IPv6.
_PROGRAM = """
import json, socket

def reaches(family, address, device=None):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        try:
            if device:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            client.connect(socket.getaddrinfo(address.encode(), PORT, family, socket.SOCK_STREAM)[0][4])
        except OSError:
            return False
    return True

reached = [address for address in ADDRESSES if reaches(socket.AF_INET, address)]
reached += ["device " + address for address in ADDRESSES if reaches(socket.AF_INET, address, b"eth0")]
reached += ["::ffff:" + address for address in ADDRESSES if reaches(socket.AF_INET6, "::ffff:" + address)]
for address in ("ff02::1%eth0", "fe80::1%eth0", "fd00::1"):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        try:
            client.sendto(b"x", socket.getaddrinfo(address.encode(), 9, socket.AF_INET6, socket.SOCK_DGRAM)[0][4])
            reached.append(address)
        except OSError:
            pass
print("DC1_RESULT_JSON:" + json.dumps({"reached": reached}))
"""


@pytest.fixture
async def runner(container_engine: Engine, python_image: str) -> AsyncIterator[ContainerRunner]:
    runner = ContainerRunner(
        "market.example.sa:443", base_url=container_engine.base_url, limits=LIMITS, allow_network=True
    )
    runner.serve(7, [container_engine.image, python_image])
    yield runner
    await runner.aclose()


@pytest.fixture
def client(container_engine: Engine) -> Iterator[Any]:
    with contextlib.closing(connect_engine(container_engine.base_url)) as client:
        yield client
        assert client.containers.list(all=True) == []


@pytest.fixture
def service() -> Iterator[int]:
    """A service of the host's own, on every address that it has, that of cloud metadata among them."""
    subprocess.run(["ip", "address", "add", f"{METADATA}/32", "dev", "lo"], check=True)
    try:
        with socket.create_server(("0.0.0.0", 0)) as server:
            # To close a socket does not wake who waits at it.
            thread = threading.Thread(target=_serve, args=[server])
            thread.start()
            port = server.getsockname()[1]
            yield port
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
    finally:
        subprocess.run(["ip", "address", "del", f"{METADATA}/32", "dev", "lo"], check=True)


def _serve(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()


@pytest.fixture
def internet(service: int) -> Iterator[None]:
    """A machine with a public address, behind a router: it listens on the port of the host's own service."""
    inside = ["ip", "netns", "exec", "dc1-far"]
    setup = [
        ["ip", "netns", "add", "dc1-far"],
        ["ip", "link", "add", "dc1-near", "type", "veth", "peer", "name", "dc1-end", "netns", "dc1-far"],
        ["ip", "address", "add", "10.213.7.1/30", "dev", "dc1-near"],
        ["ip", "link", "set", "dc1-near", "up"],
        [*inside, "ip", "link", "set", "lo", "up"],
        [*inside, "ip", "address", "add", f"{INTERNET}/32", "dev", "lo"],
        [*inside, "ip", "address", "add", "10.213.7.2/30", "dev", "dc1-end"],
        [*inside, "ip", "link", "set", "dc1-end", "up"],
        ["ip", "route", "add", INTERNET, "via", "10.213.7.2"],
    ]
    try:
        for step in setup:
            subprocess.run(step, check=True)
        listen = ["busybox", "nc", "-ll", "-p", str(service), "-e", "true"]
        with subprocess.Popen([*inside, *listen]) as server:
            yield
            server.terminate()
    finally:
        # The devices and the route go with it.
        subprocess.run(["ip", "netns", "del", "dc1-far"], check=True)


@contextlib.contextmanager
def neighbour(client: Any, engine: Engine, port: int) -> Iterator[str]:
    """Another container of the network that jobs have, and listens; its address."""
    script = f"while true; do busybox nc -l -p {port} -e true; done"
    other = client.containers.create(engine.image, ["/bin/sh", "-c", script], network="dc1-jobs")
    try:
        other.start()
        other.reload()
        yield str(other.attrs["NetworkSettings"]["Networks"]["dc1-jobs"]["IPAddress"])
    finally:
        other.remove(force=True)


def network_job(image: str, command: JsonValue) -> Work:
    spec: JsonObject = {"image": image, "job_cmd": command, "network": "bridge"}
    return Work("job-1", 1, JobType.CUSTOM_CONTAINER, 60, container_spec=spec)


def own_address() -> str:
    """An address of this machine's that is no loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as looking:
        looking.connect(("11.0.0.1", 9))
        return str(looking.getsockname()[0])


@pytest.mark.container
async def test_a_job_gets_to_the_internet_and_nowhere_near(
    runner: ContainerRunner, client: Any, container_engine: Engine, python_image: str, service: int, internet: None
) -> None:
    assert (await runner.probe()).available
    (jobs_network,) = client.networks.list(names=["dc1-jobs"])
    gateway = jobs_network.attrs["IPAM"]["Config"][0]["Gateway"]
    with neighbour(client, container_engine, service) as beside:
        near = [gateway, own_address(), METADATA, beside]
        program = python_command(f"PORT = {service}\nADDRESSES = {[*near, INTERNET]!r}\n{_PROGRAM}")
        assert runner.refusal(network_job(python_image, program)) is None
        guarded = await runner.run(network_job(python_image, program), RecordingSink())
        # The same in the engine's own network: what is missing above is the guard's doing.
        unguarded = client.containers.run(python_image, program, network="dc1-jobs", cap_drop=["ALL"], remove=True)

    assert guarded.payload == {"reached": [INTERNET, f"device {INTERNET}", f"::ffff:{INTERNET}"]}
    for address in near:
        assert f'"{address}"' in unguarded.decode()


@pytest.mark.container
async def test_a_job_cannot_take_its_fence_down(runner: ContainerRunner, client: Any, container_engine: Engine) -> None:
    script = "id -u; ip addr add 10.1.2.3/32 dev lo 2>&1 || echo refused; cat /proc/self/status"
    result = await runner.run(network_job(container_engine.image, script), RecordingSink())
    lines = str(result.payload).splitlines()
    assert lines[0] == "65534"
    assert "refused" in lines
    assert "CapBnd:\t0000000000000000" in lines


@pytest.mark.container
async def test_where_no_fence_holds_no_job_has_a_network(
    runner: ContainerRunner, client: Any, container_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = guard._options
    monkeypatch.setattr(guard, "_options", lambda *args: {**options(*args), "cap_add": []})
    work = network_job(container_engine.image, "echo out")
    assert (await runner.probe()).available
    assert runner.refusal(work) == "the job asks for a network, and none can be fenced in here"
    with pytest.raises(RunFailed, match="could not be fenced in") as failure:
        await runner.run(work, RecordingSink())
    assert failure.value.transient
    # One without a network is as welcome as ever.
    without = Work("job-2", 1, JobType.CUSTOM_CONTAINER, 60, container_spec={**work.container_spec, "network": "none"})
    assert runner.refusal(without) is None
    assert (await runner.run(without, RecordingSink())).payload == "out"


@pytest.mark.container
async def test_a_cancelled_job_leaves_no_guard(runner: ContainerRunner, client: Any, container_engine: Engine) -> None:
    sink = RecordingSink()
    running = asyncio.create_task(runner.run(network_job(container_engine.image, "echo up; sleep 60"), sink))
    await sink.wait_for_line("up")
    assert len(client.containers.list()) == 2
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    early = asyncio.create_task(runner.run(network_job(container_engine.image, "sleep 60"), sink))
    await asyncio.sleep(0.2)
    early.cancel()
    with pytest.raises(asyncio.CancelledError):
        await early
    await runner.aclose()
    assert client.containers.list(all=True) == []


def test_the_machines_own_addresses_and_networks_are_refused() -> None:
    routes = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "eth1\t00710782\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "eth1\t01006311\t02710782\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n"
    )
    assert own_networks(routes) == [
        IPv4Network("130.7.113.0/24"),
        IPv4Network("130.7.113.2/32"),
        IPv4Network("192.168.2.0/24"),
        IPv4Network("192.168.2.1/32"),
    ]
    trie = (
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n"
        "     |-- 130.7.113.9\n        /32 host LOCAL\n     |-- 130.7.113.255\n        /32 link BROADCAST\n"
    )
    assert own_addresses(trie) == {IPv4Address("130.7.113.9")}
    mine = own_address()
    assert any(IPv4Address(mine) in network for network in refused_networks())


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "172.31.0.1", "192.168.0.1", METADATA, "100.100.100.200", "168.63.129.16", "224.0.0.251", "0.0.0.1"],
)
def test_what_is_not_the_internet_is_refused_everywhere(address: str) -> None:
    assert any(IPv4Address(address) in network for network in guard.REFUSED_NETWORKS)

"""How long the edge takes a caller for one whose key a server took, and what is left of bodies that were cut."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from dc1.edge import EdgeConfig, Envoy, config
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2, provider_service_pb2_grpc
from tests.edge.floods.test_floods import NEIGHBOURS, STRANGERS, behind, limited, statuses, url
from tests.edge.floods.test_made_up_keys import is_refused, strict
from tests.edge.upstream import Upstream

__all__ = ["behind", "limited", "strict"]

GOOD = {"x-renter-key": "dc1-renter-good"}
KEPT = "KEPT_SECONDS = 300"
# Longer than it takes to find out whether a key is known.
KEPT_HERE = 10
FORGOTTEN_WITHIN = 60


@pytest.fixture
def forgetful(behind: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Envoy]:
    """An edge of one worker that forgets keys after 10 to 20 s instead of 5 to 10 minutes."""
    written = config._script

    def hastier(path: str, edge_secret: str | None) -> str:
        script = written(path, edge_secret)
        assert path != "envoy/callers.lua" or KEPT in script
        return script.replace(KEPT, f"KEPT_SECONDS = {KEPT_HERE}")

    monkeypatch.setattr(config, "_script", hastier)
    edge = EdgeConfig(tmp_path, http_port=0, upstreams=(f"127.0.0.1:{behind.port}",), trusted_proxies=1, concurrency=1)
    with asyncio.Runner() as runner:
        envoy = Envoy(edge)
        runner.run(envoy.start())
        eventually(lambda: httpx.get(f"{url(envoy)}/health", headers=NEIGHBOURS).is_success, "a healthy upstream")
        yield envoy
        runner.run(envoy.stop())


def spend_the_strangers_limit(envoy: Envoy) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(is_refused, [envoy] * 4))


def is_known(envoy: Envoy, headers: dict[str, str]) -> bool:
    """Return whether calls of a key pass while those of strangers of its address are refused."""
    spend_the_strangers_limit(envoy)
    # What ends at the edge comes faster than the limit fills on the slowest machine, too.
    return 429 not in statuses(envoy, "/nowhere", 200, STRANGERS | headers)


def await_forgotten(envoy: Envoy, headers: dict[str, str]) -> None:
    """Wait until a key that was known a moment ago is a stranger's."""
    # It is not before, and each look is a flood that takes a second of a core.
    earliest = time.monotonic() + KEPT_HERE
    eventually(
        lambda: time.monotonic() > earliest and not is_known(envoy, headers),
        "the key being forgotten",
        FORGOTTEN_WITHIN,
    )


def test_a_key_is_forgotten_where_nobody_else_calls(forgetful: Envoy, strict: Upstream) -> None:
    """A worker that learned no other key knew one for ever."""
    assert httpx.get(f"{url(forgetful)}/jobs/7", headers=STRANGERS | GOOD).status_code == 200
    assert is_known(forgetful, GOOD)
    await_forgotten(forgetful, GOOD)


def test_a_stream_that_stays_keeps_its_key_known(forgetful: Envoy, behind: Upstream) -> None:
    """All daemons of a site come again at once, and were strangers together."""
    over = threading.Event()

    def beats(messages: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        while not over.wait(0.2):
            yield daemon_stream_pb2.ConnectResponse()

    behind.behaviours["Connect"] = beats
    key = {"authorization": "Bearer dc1-provider-good"}
    metadata = tuple((STRANGERS | key).items())
    with grpc.insecure_channel(f"127.0.0.1:{forgetful.http_port}") as channel:
        stub: Any = provider_service_pb2_grpc.ProviderServiceStub(channel)
        stream = stub.Connect(_until(over), metadata=metadata)
        ends = time.monotonic() + 2 * KEPT_HERE + 1
        while time.monotonic() < ends:
            next(stream)
        assert is_known(forgetful, key)
        over.set()
        for _ in stream:
            pass
    await_forgotten(forgetful, key)


def _until(over: threading.Event) -> Iterator[Any]:
    yield daemon_stream_pb2.ConnectRequest()
    over.wait(30)


def cut(envoy: Envoy) -> None:
    """Send most of a body, then reset the connection."""
    with socket.create_connection(("127.0.0.1", envoy.http_port), timeout=5) as connection:
        head = "POST /providers/register HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.7\r\ncontent-length: 255000\r\n\r\n"
        with contextlib.suppress(OSError):
            connection.sendall(head.encode() + b" " * 250_000)
        # Until it has arrived.
        time.sleep(0.2)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def test_bodies_that_were_cut_are_held_no_more(limited: Envoy, behind: Upstream) -> None:
    """250 of them were counted for minutes, and whoever else has that address could send nothing."""
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(cut, [limited] * 250))

    def is_let_in() -> bool:
        # On connections of their own, so that both workers are asked.
        answers = [
            httpx.post(f"{url(limited)}/providers/register", content=b"{}", headers=STRANGERS, timeout=20)
            for _ in range(8)
        ]
        return {answer.status_code for answer in answers} == {200}

    eventually(is_let_in, "room for another body", 5)

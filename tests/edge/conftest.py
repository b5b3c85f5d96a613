"""One real Envoy before one scriptable gRPC server, for all tests of the edge."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from dc1.edge import EdgeConfig, Envoy
from dc1.testing.waiting import eventually
from tests.edge.upstream import MEBIBYTE, Upstream

LISTED_ORIGIN = "https://console.example"


@dataclass(frozen=True)
class Edge:
    """A running edge."""

    port: int
    access_log: Path

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def socket(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def logged(self, request_id: str) -> dict[str, Any]:
        """Return the entry of one request, once Envoy has written it."""
        line = eventually(lambda: next((line for line in self._lines() if request_id in line), ""), "the log entry")
        entry: dict[str, Any] = json.loads(line)
        return entry

    def _lines(self) -> list[str]:
        return self.access_log.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="session")
def _upstream() -> Iterator[Upstream]:
    server = Upstream()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def edge(_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    directory = tmp_path_factory.mktemp("edge")
    config = EdgeConfig(
        directory=directory,
        http_port=0,
        upstreams=(f"127.0.0.1:{_upstream.port}",),
        cors_origins=(LISTED_ORIGIN,),
        rest_timeout_seconds=3.0,
        limits_enabled=False,
    )
    with asyncio.Runner() as runner:
        envoy = Envoy(config)
        runner.run(envoy.start())
        running = Edge(envoy.http_port, directory / "access.log")
        eventually(lambda: httpx.get(f"{running.url}/health").is_success, "a healthy upstream")
        yield running
        runner.run(envoy.stop())


@pytest.fixture
def upstream(_upstream: Upstream, edge: Edge) -> Upstream:
    _upstream.reset()
    return _upstream


@pytest.fixture(scope="session", params=[False, True], ids=["h1", "h2c"])
def _client(request: pytest.FixtureRequest, edge: Edge) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge.url, http1=not request.param, http2=request.param, timeout=20) as client:
        yield client


@pytest.fixture
def rest(_client: httpx.Client, upstream: Upstream) -> httpx.Client:
    """A REST client, once for each protocol."""
    return _client


@pytest.fixture
def channel(edge: Edge, upstream: Upstream) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(edge.address, options=[("grpc.max_receive_message_length", 12 * MEBIBYTE)]) as opened:
        yield opened

"""One edge before several servers."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from dc1.edge import EdgeConfig, EdgeError, Envoy
from dc1.edge.config import render
from dc1.testing.waiting import eventually
from tests.edge.upstream import Upstream


@pytest.fixture
def servers() -> Iterator[list[Upstream]]:
    servers = [Upstream(), Upstream()]
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
async def url(servers: list[Upstream], tmp_path: Path) -> AsyncIterator[str]:
    upstreams = tuple(f"localhost:{server.port}" for server in servers)
    config = EdgeConfig(directory=tmp_path, http_port=0, upstreams=upstreams, concurrency=1)
    async with Envoy(config) as envoy:
        yield f"http://127.0.0.1:{envoy.http_port}"


def answers(url: str) -> bool:
    return httpx.get(f"{url}/health").status_code == 200


def test_calls_are_spread_and_follow_the_health_of_the_servers(servers: list[Upstream], url: str) -> None:
    first, second = servers
    eventually(lambda: answers(url) and bool(first.calls) and bool(second.calls), "both servers to be called")

    first.stop()
    # At once, and not once the edge has asked: a call that no server was sent is another's.
    assert all(answers(url) for _ in range(20))

    def only_the_second_serves() -> bool:
        before = len(second.calls)
        return all(answers(url) for _ in range(10)) and len(second.calls) == before + 10

    eventually(only_the_second_serves, "calls to go to the server that is left")

    first.start()
    first.reset()
    eventually(lambda: answers(url) and bool(first.calls), "the server that came back to be called")


@pytest.mark.parametrize("upstream", ["localhost", ":50051", "localhost:port"])
def test_an_upstream_needs_a_host_and_a_port(upstream: str, tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="host:port"):
        render(EdgeConfig(directory=tmp_path, upstreams=(upstream,)))

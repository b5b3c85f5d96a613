"""The daemon's stream where the environment names a proxy."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest

from tests.daemon.loop.fake_server import DEADLINE_SECONDS, FakeServer
from tests.daemon.loop.whole_daemon import connected, running_daemon
from tests.support.connect_proxy import ConnectProxy

pytestmark = pytest.mark.usefixtures("no_proxies")


@pytest.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    async with ConnectProxy().serving() as proxy:
        yield proxy


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy", "HTTPS_PROXY"])
async def test_the_stream_goes_through_the_proxy_and_comes_back_when_that_fails(
    server: FakeServer, proxy: ConnectProxy, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy.url.replace("http://", "http://house:door@"))
    async with connected(server, host="market.example.test") as (daemon, stream):
        run = await daemon.started(stream)
        proxy.cut()
        again = await server.stream()
        assert [held.lease.job_id for held in again.hello.state.leases] == ["job-1"]
        run.finish()
        await again.next("outcome")
    assert set(proxy.asked) == {f"CONNECT market.example.test:{server.port}"}
    assert len(proxy.asked) >= 2
    assert proxy.credentials[0] == f"Basic {base64.b64encode(b'house:door').decode()}"


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY"])
async def test_loopback_is_reached_without_the_proxy(
    server: FakeServer, proxy: ConnectProxy, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    async with connected(server) as (daemon, stream):
        await daemon.started(stream)
    assert proxy.asked == []


async def test_a_proxy_that_refuses_is_tried_again(
    server: FakeServer, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy.url)
    proxy.refuses = True
    async with running_daemon(server, host="market.example.test"):
        async with asyncio.timeout(DEADLINE_SECONDS):
            await proxy.refused.wait()
        proxy.refuses = False
        await server.stream()


async def test_a_slow_proxy_makes_the_stream_as_slow_and_ends_nothing(
    server: FakeServer, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy.url)
    proxy.delay_seconds = 0.3
    async with connected(server, host="market.example.test") as (daemon, stream):
        run = await daemon.started(stream)
        run.finish()
        await stream.next("outcome")
    assert len(proxy.asked) == 1

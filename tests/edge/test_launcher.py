"""Starting and stopping the real Envoy."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio as aio_health

from dc1.edge import EdgeConfig, EdgeError, Envoy
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2, provider_service_pb2_grpc
from tests.edge.upstream import Upstream
from tests.support.ports import listening_ports

STREAMS = 100
"""As many as one connection may have."""


@pytest.fixture
def config(tmp_path: Path) -> EdgeConfig:
    return EdgeConfig(tmp_path / "edge", http_port=0, upstreams=("127.0.0.1:1",), concurrency=1, limits_enabled=False)


async def test_it_serves_until_it_is_stopped(config: EdgeConfig) -> None:
    async with Envoy(config) as edge:
        assert edge.pid is not None
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{edge.http_port}") as client:
            assert (await client.get("/renters/balance")).status_code == 503
        async with _admin(config) as admin:
            assert (await admin.get("/ready")).text.strip() == "LIVE"
        port = edge.http_port
    assert edge.pid is None
    assert await edge.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("host", "reached"),
    [("::", ["127.0.0.1", "[::1]"]), ("::1", ["[::1]"]), ("localhost", ["127.0.0.1"]), ("0.0.0.0", ["127.0.0.1"])],
)
async def test_it_listens_on_addresses_of_every_family(config: EdgeConfig, host: str, reached: list[str]) -> None:
    async with Envoy(replace(config, http_host=host)) as edge:
        for address in reached:
            async with httpx.AsyncClient(base_url=f"http://{address}:{edge.http_port}", trust_env=False) as client:
                assert (await client.get("/renters/balance")).status_code == 503


async def test_the_admin_interface_does_only_what_is_needed(config: EdgeConfig) -> None:
    async with Envoy(config), _admin(config) as admin:
        assert (await admin.post("/quitquitquit")).status_code == 403
        assert (await admin.get("/config_dump")).status_code == 403
        assert (await admin.get("/clusters")).status_code == 200


async def test_nobody_else_can_open_the_admin_interface_or_read_what_envoy_writes(config: EdgeConfig) -> None:
    before = os.umask(0)
    try:
        async with Envoy(replace(config, edge_secret="by-which-this-edge-proves-itself")) as edge:
            assert edge.pid is not None
            assert listening_ports(edge.pid) == {edge.http_port}
            files = [config.directory, *config.directory.iterdir()]
            assert {path.name for path in files} >= {"envoy.yaml", "envoy.log", "access.log", "admin.sock"}
            assert not [path for path in files if path.stat().st_mode & 0o077]
    finally:
        os.umask(before)


async def test_a_second_edge_in_the_same_directory_is_refused(config: EdgeConfig) -> None:
    async with Envoy(config), _admin(config) as admin:
        with pytest.raises(EdgeError, match=r"Another edge keeps its files in .*; give this one a DC1_DATA_DIR"):
            await Envoy(config).start()
        assert (await admin.get("/ready")).status_code == 200


async def test_a_directory_too_deep_for_a_socket_is_named(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 110)
    with pytest.raises(EdgeError, match=r"admin\.sock has a path of \d+ bytes.*set DC1_DATA_DIR to a shorter one"):
        await Envoy(EdgeConfig(deep, http_port=0)).start()


async def test_an_edge_before_a_socket_finds_the_server_that_comes_back(config: EdgeConfig, tmp_path: Path) -> None:
    place = f"unix:{tmp_path}/grpc.sock"
    async with (
        Envoy(replace(config, upstreams=(place,))) as edge,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{edge.http_port}") as client,
    ):
        assert not await _answers(client)
        for _ in range(2):
            server = await _beating_server(place)
            await _until(lambda: _answers(client))
            await server.stop(None)
            await _until(lambda: _is_unanswered(client))


async def test_a_trusted_proxy_names_the_client(config: EdgeConfig, upstream: Upstream) -> None:
    behind_one = replace(config, upstreams=(f"127.0.0.1:{upstream.port}",), trusted_proxies=1)
    headers = {
        "x-forwarded-for": "203.0.113.1, 198.51.100.7"
    }  # the second is what the proxy saw, the first only a claim
    async with Envoy(behind_one) as edge, httpx.AsyncClient(base_url=f"http://127.0.0.1:{edge.http_port}") as client:
        async with asyncio.timeout(10):
            while (await client.get("/renters/balance", headers=headers)).status_code != 200:
                pass  # the first health check is on its way
    assert upstream.last.metadata["x-client-address"] == "198.51.100.7"


async def test_an_edge_proves_itself_in_every_call_and_every_question(config: EdgeConfig, upstream: Upstream) -> None:
    secret = "of-every-kind:\"\\%{}$`'and-32-characters"
    proving = replace(config, upstreams=(f"127.0.0.1:{upstream.port}",), edge_secret=secret)
    headers = {"x-edge-proof": "forged", "x-renter-key": "dc1-renter-1"}
    body = {"job_type": "llm_inference", "params": {"prompt": "y" * 300_000}}
    async with (
        Envoy(proving) as edge,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{edge.http_port}", headers=headers) as client,
    ):
        await _until(lambda: _answers(client))
        assert (await client.post("/jobs/submit", json=body)).is_success
    assert upstream.last.method == "SubmitJob"
    assert {call.metadata["x-edge-proof"] for call in (*upstream.calls, *upstream.asked)} == {secret}
    assert [asked.method for asked in upstream.asked] == ["SubmitJob"]


async def test_two_edges_on_one_machine(config: EdgeConfig, tmp_path: Path) -> None:
    other = EdgeConfig(directory=tmp_path / "other", http_port=0, concurrency=1)
    async with Envoy(config) as first, Envoy(other) as second:
        assert first.http_port != second.http_port


async def test_a_taken_port_is_named(config: EdgeConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EdgeError, match=rf"Port {port} on 127\.0\.0\.1 is taken by another program.*DC1_HTTP_PORT"):
            await Envoy(replace(config, http_port=port)).start()


async def test_a_second_edge_on_the_same_port_is_refused(config: EdgeConfig, tmp_path: Path) -> None:
    async with Envoy(config) as first:
        second = EdgeConfig(directory=tmp_path / "second", http_port=first.http_port)
        with pytest.raises(EdgeError, match=f"Port {first.http_port}"):
            await Envoy(second).start()


async def test_a_configuration_that_envoy_refuses(config: EdgeConfig) -> None:
    edge = Envoy(replace(config, rest_timeout_seconds=1e20))
    with pytest.raises(EdgeError, match=r"Envoy ended while starting.*invalid JSON"):
        await edge.start()
    assert edge.pid is None


async def test_calls_in_flight_finish_while_it_stops(config: EdgeConfig) -> None:
    async with _serving(config) as edge, _channel(edge) as stub:
        call = stub.Connect()
        assert await _beat(call)
        stopping = asyncio.create_task(edge.stop(drain_seconds=10))
        await _until(lambda: _refuses_connections(edge))
        assert await _beat(call)
        assert not stopping.done()
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        await asyncio.wait_for(stopping, 5)


async def test_open_connections_end_behind_their_next_answer_while_it_stops(config: EdgeConfig) -> None:
    """Else a call on one of them is under way when the time is up."""
    async with (
        _serving(config) as edge,
        _channel(edge) as stub,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{edge.http_port}", verify=False, trust_env=False) as client,
    ):
        call = stub.Connect()
        assert await _beat(call)
        assert "connection" not in (await client.get("/")).headers
        stopping = asyncio.create_task(edge.stop(drain_seconds=10))
        await _until(lambda: _refuses_connections(edge))
        assert (await client.get("/")).headers["connection"] == "close"
        await call.done_writing()
        await asyncio.wait_for(stopping, 10)


async def test_a_stream_does_not_hold_up_the_stop_for_ever(config: EdgeConfig) -> None:
    async with _serving(config) as edge, _channel(edge) as stub:
        call = stub.Connect()
        assert await _beat(call)
        await asyncio.wait_for(edge.stop(drain_seconds=0.2), 5)
        with pytest.raises(grpc.aio.AioRpcError):
            await call.read()


async def test_a_killed_edge_is_noticed_and_can_be_replaced(config: EdgeConfig) -> None:
    edge = Envoy(config)
    await edge.start()
    edge.kill()
    assert await asyncio.wait_for(edge.wait(), 5) == -signal.SIGKILL
    async with Envoy(replace(config, http_port=edge.http_port)) as again:
        assert again.http_port == edge.http_port


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child together with its parent")
async def test_it_does_not_outlive_its_parent(config: EdgeConfig) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from dc1.edge import EdgeConfig, Envoy\n"
        "async def main():\n"
        "    async with Envoy(EdgeConfig(pathlib.Path(sys.argv[1]), http_port=0)) as edge:\n"
        "        print(edge.pid, flush=True)\n"
        "        await edge.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(config.directory), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    parent.kill()
    await parent.wait()
    eventually(lambda: not _is_running(pid), "the end of Envoy")


async def test_one_connection_carries_the_daemons_of_a_site(config: EdgeConfig) -> None:
    async with _serving(config) as edge, _channel(edge) as stub:
        calls = [stub.Connect() for _ in range(STREAMS)]
        assert all(await asyncio.gather(*(_beat(call) for call in calls)))
        await asyncio.gather(*(call.done_writing() for call in calls))
        assert {await call.read() for call in calls} == {grpc.aio.EOF}


class _Beating(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.stream_stream_rpc_method_handler(
            self._answer_beats,
            request_deserializer=daemon_stream_pb2.ConnectRequest.FromString,
            response_serializer=daemon_stream_pb2.ConnectResponse.SerializeToString,
        )

    async def _answer_beats(self, beats: AsyncIterator[Any], context: object) -> AsyncIterator[Any]:
        async for _ in beats:
            yield daemon_stream_pb2.ConnectResponse()


@asynccontextmanager
async def _serving(config: EdgeConfig) -> AsyncIterator[Envoy]:
    """An edge that is started, but not stopped, before a server that answers every beat of a daemon."""
    place = f"unix:{config.directory.parent}/grpc.sock"
    server = await _beating_server(place)
    edge = Envoy(replace(config, upstreams=(place,)))
    await edge.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{edge.http_port}") as client:
        await _until(lambda: _answers(client))
    yield edge
    await edge.stop()
    await server.stop(None)


async def _beating_server(place: str) -> grpc.aio.Server:
    server = grpc.aio.server(options=[("grpc.server.max_pending_requests", 2 * STREAMS)])
    health = aio_health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    server.add_generic_rpc_handlers((_Beating(),))
    server.add_insecure_port(place)
    await server.start()
    return server


def _admin(config: EdgeConfig) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(config.admin_socket)), base_url="http://envoy")


@asynccontextmanager
async def _channel(edge: Envoy) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.http_port}") as channel:
        yield provider_service_pb2_grpc.ProviderServiceStub(channel)


async def _beat(call: Any) -> bool:
    await call.write(daemon_stream_pb2.ConnectRequest())
    return isinstance(await call.read(), daemon_stream_pb2.ConnectResponse)


async def _answers(client: httpx.AsyncClient) -> bool:
    return (await client.get("/renters/balance")).status_code != 503


async def _is_unanswered(client: httpx.AsyncClient) -> bool:
    return not await _answers(client)


async def _refuses_connections(edge: Envoy) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", edge.http_port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def _until(probe: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(8):
        while True:
            if await probe():
                return
            await asyncio.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

"""The server from start to stop."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from structlog.testing import capture_logs

from dc1.server.app import Application
from dc1.server.listening.places import ListenError
from dc1.server.registry import Registry
from dc1.services.api.call import current_call
from dc1.settings.settings import Settings, SettingsError
from dcp.v1.daemon_run_pb2 import ReportJobResultRequest
from dcp.v1.daemon_stream_pb2 import ConnectResponse, Reconnect
from dcp.v1.renter_wallet_pb2 import GetBalanceRequest, GetBalanceResponse
from tests.server.conftest import Serve
from tests.server.harness import Harness, Running

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def health(server: Running) -> int:
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    return int((await stub.Check(health_pb2.HealthCheckRequest())).status)


async def test_few_methods_are_awaited_apart(server: Running) -> None:
    # gRPC goes through all that it awaits whenever a call comes: with a wait for each method that was 0.3 ms.
    assert await health(server) == SERVING

    def awaited() -> list[str]:
        names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]  # type: ignore[union-attr]
        return sorted(name for name in names if "_request_" in name)

    # Health's three, and the daemons' streams.
    few = ["AioServer._request_call", *["AioServer._request_registered_call"] * 4]
    # The wait for the next call of a method begins in the loop's own time, once one has come.
    for _ in range(1_000):
        if awaited() == few:
            break
        await asyncio.sleep(0.01)
    assert awaited() == few


class Part:
    """A background part that writes down what happens to it."""

    def __init__(self, name: str, diary: list[str]) -> None:
        self._name = name
        self._diary = diary

    async def start(self) -> None:
        self._diary.append(f"start {self._name}")

    async def stop(self) -> None:
        self._diary.append(f"stop {self._name}")


async def test_health_and_reflection_need_no_credential(server: Running) -> None:
    assert await health(server) == SERVING
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(server.channel)  # type: ignore[arg-type]
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    names = {
        service.name
        async for response in stub.ServerReflectionInfo(iter([request]))
        for service in response.list_services_response.service
    }
    assert {"dcp.v1.JobService", "dcp.v1.AdminService", "grpc.health.v1.Health"} <= names
    newer = server.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    answers = [response async for response in newer(iter([request]))]
    assert {each.name for each in answers[0].list_services_response.service} == names
    # Each that is listed can be asked after, and so can one of its methods: `grpcurl describe` does.
    symbols = [*names, "dcp.v1.JobService.WatchJob", "dcp.v1.Job.job_id", "dcp.v1.JobService.Nothing", "dcp.v1.Nothing"]
    asked = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol) for symbol in symbols]
    told = [response.WhichOneof("message_response") async for response in newer(iter(asked))]
    assert told == ["file_descriptor_response"] * (len(symbols) - 2) + ["error_response"] * 2
    assert {name for name in names if "reflection" in name} == {
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_a_drain_refuses_new_calls_finishes_those_in_flight_and_then_sends_streams_elsewhere(
    harness: Harness, tmp_path: Any
) -> None:
    entered, leave, reconnect = asyncio.Event(), asyncio.Event(), asyncio.Event()
    diary: list[str] = []

    async def slow(request: Any) -> GetBalanceResponse:
        entered.set()
        await leave.wait()
        return GetBalanceResponse(total_jobs=7)

    async def connect(requests: Any) -> AsyncIterator[ConnectResponse]:
        yield ConnectResponse()
        await reconnect.wait()
        yield ConnectResponse(reconnect=Reconnect(reason=1))  # type: ignore[arg-type]

    harness.behaviours.update(GetBalance=slow, Connect=connect)
    harness.background = [Part("first", diary), Part("second", diary)]
    told: list[float] = []

    def release(next_seconds: float) -> None:
        told.append(next_seconds)
        reconnect.set()

    harness.release = release
    server = await harness.start()
    stream = server.stream("ProviderService/Connect", None, x_provider_key=server.accounts.provider)
    assert await stream.read() == ConnectResponse()
    ask = server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=server.accounts.renter)
    call = asyncio.create_task(ask)
    await entered.wait()

    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    watching = stub.Watch(health_pb2.HealthCheckRequest())
    draining = asyncio.create_task(server.app.drain(30))
    async with asyncio.timeout(10):
        async for seen in watching:
            if seen.status == NOT_SERVING:
                break
    late = await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=server.accounts.renter)
    assert (late.status, late.body["error"]) == (503, "Service unavailable")
    assert not draining.done()
    # A call may be answered by a daemon, so daemons stay as long as there is one.
    assert not reconnect.is_set()
    leave.set()
    assert (await call).message.total_jobs == 7
    assert (await stream.read()).reconnect.reason == 1
    assert await stream.read() is grpc.aio.EOF
    await asyncio.wait_for(draining, 10)
    assert diary == ["start first", "start second", "stop second", "stop first"]
    # By then this one has ended and the next one is there, however slowly daemons leave.
    assert 5.5 < told[0] < 30
    await server.channel.close()


async def test_beside_others_a_server_that_stops_takes_calls_until_edges_know(harness: Harness) -> None:
    harness.has_others = True
    server = await harness.start()
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    watching = stub.Watch(health_pb2.HealthCheckRequest())
    draining = asyncio.create_task(server.app.drain(1, notice_seconds=0.5))
    async with asyncio.timeout(10):
        async for seen in watching:
            if seen.status == NOT_SERVING:
                break
    late = await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=server.accounts.renter)
    assert late.code is grpc.StatusCode.OK
    await asyncio.wait_for(draining, 10)
    await server.channel.close()


async def test_a_drain_cuts_off_what_outlasts_its_grace(harness: Harness) -> None:
    entered, cut = asyncio.Event(), asyncio.Event()

    async def endless(request: Any) -> GetBalanceResponse:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()
        return GetBalanceResponse()

    harness.behaviours["GetBalance"] = endless
    server = await harness.start()
    ask = server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=server.accounts.renter)
    call = asyncio.create_task(ask)
    await entered.wait()
    await asyncio.wait_for(server.app.drain(0.05), 10)
    assert cut.is_set()
    assert (await call).code is not grpc.StatusCode.OK
    await server.channel.close()


async def test_a_second_server_says_that_the_port_is_taken(serve: Serve, tmp_path: Any) -> None:
    port = int((await serve(grpc_port=0)).place.rpartition(":")[2])
    diary: list[str] = []
    settings = Settings(grpc_port=port, data_dir=tmp_path / "second")
    second = Application(settings, lambda foundation: Registry([], background=[Part("only", diary)]))
    with pytest.raises(ListenError, match=f"Port {port} on 127.0.0.1 is taken by another program"):
        await second.start()
    assert not diary


async def test_a_production_server_does_not_start_without_an_admin_token(serve: Serve) -> None:
    with pytest.raises(SettingsError, match="DC1_ADMIN_TOKEN is not set"):
        await serve(environment="production", admin_token=None)


async def test_a_message_over_the_limit_is_refused_and_a_large_one_is_not(serve: Serve) -> None:
    server = await serve(max_message_bytes=3 * 1024 * 1024)
    for mebibytes, code in ((2, grpc.StatusCode.OK), (4, grpc.StatusCode.RESOURCE_EXHAUSTED)):
        request = ReportJobResultRequest(job_id="1")
        request.result.string_value = "y" * (mebibytes * 1024 * 1024)
        answer = await server.call("DaemonService/ReportJobResult", request, x_provider_key=server.accounts.provider)
        assert answer.code is code


async def test_one_line_a_call_without_secrets(server: Running, harness: Harness) -> None:
    async def balance(request: Any) -> GetBalanceResponse:
        return GetBalanceResponse(total_jobs=len(current_call().request_id))

    harness.behaviours["GetBalance"] = balance
    with capture_logs() as lines:
        answer = await server.call(
            "RenterService/GetBalance",
            GetBalanceRequest(),
            authorization=f"Bearer {server.accounts.renter}",
            x_request_id="edge-42",
        )
        await server.call("RenterService/GetBalance", GetBalanceRequest(), x_request_id="no such id!")
    assert answer.message.total_jobs == len("edge-42")
    first, second = lines
    assert first["method"] == "/dcp.v1.RenterService/GetBalance"
    assert (first["status"], first["request_id"], first["role"]) == (200, "edge-42", "renter")
    assert first["account_id"] == server.accounts.renter_id
    assert (second["status"], second["role"], len(second["request_id"])) == (401, "public", 32)
    assert server.accounts.renter not in json.dumps(lines)

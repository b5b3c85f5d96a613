"""Streaming methods pass the same gate, and end when their caller leaves; standard ones have limits of their own."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from dc1.control.operations.credentials import Credentials
from dc1.domain import errors
from dc1.domain.access.roles import Role
from dc1.server.authentication import Authenticator
from dc1.server.method_options import MethodOptions
from dc1.server.rate_limits import RateLimiter
from dc1.server.standard_calls import MAX_STREAMS_OF_AN_ADDRESS, MESSAGE_SECONDS, MESSAGES_AT_ONCE, StandardCalls
from dc1.services.api.call import Call, Principal, current_call
from dcp.v1.daemon_stream_pb2 import Beat, ConnectRequest, ConnectResponse, Desired
from dcp.v1.job_progress_pb2 import StreamJobLogsRequest
from tests.server.conftest import Serve
from tests.server.harness import Harness, Running, refusal

LOGS = "JobService/StreamJobLogs"
CONNECT = "ProviderService/Connect"


async def echo(requests: AsyncIterator[ConnectRequest]) -> AsyncIterator[ConnectResponse]:
    async for request in requests:
        yield ConnectResponse(desired=Desired(sequence=request.beat.sequence))


async def test_a_daemon_s_stream_flows_both_ways(server: Running, harness: Harness) -> None:
    harness.behaviours["Connect"] = echo
    stream = server.stream(CONNECT, None, x_provider_key=server.accounts.provider)
    for sequence in (1, 2, 3):
        await stream.write(ConnectRequest(beat=Beat(sequence=sequence)))
        assert (await stream.read()).desired.sequence == sequence
    assert server.last.principal.role is Role.PROVIDER
    assert list(server.open_streams) == [(CONNECT, 1)]
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF


async def test_a_stream_without_a_good_key_is_refused(server: Running, harness: Harness) -> None:
    harness.behaviours["Connect"] = echo
    for headers, text in (({}, "API key required"), ({"x_provider_key": "bad"}, "Invalid API key")):
        stream = server.stream(CONNECT, None, **headers)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAUTHENTICATED, text)
    assert not server.calls


async def test_the_first_message_carries_status_and_headers(server: Running, harness: Harness) -> None:
    async def logs(request: StreamJobLogsRequest) -> AsyncIterator[HttpBody]:
        current_call().headers["cache-control"] = "no-cache"
        yield HttpBody(content_type="text/event-stream", data=b"id: 1\n\n")

    harness.behaviours["StreamJobLogs"] = logs
    stream = server.stream(LOGS, StreamJobLogsRequest(job_id="1"), x_renter_key=server.accounts.renter)
    assert [message.data async for message in stream] == [b"id: 1\n\n"]
    assert dict(await stream.initial_metadata())["cache-control"] == "no-cache"


@pytest.mark.parametrize("sent_before", [0, 1])
async def test_a_refusal_may_come_before_or_amid_the_messages(
    server: Running, harness: Harness, sent_before: int
) -> None:
    async def logs(request: StreamJobLogsRequest) -> AsyncIterator[HttpBody]:
        for _ in range(sent_before):
            yield HttpBody(data=b"x")
        raise errors.job_not_found()

    harness.behaviours["StreamJobLogs"] = logs
    stream = server.stream(LOGS, StreamJobLogsRequest(job_id="1"), x_renter_key=server.accounts.renter, x_rest="1")
    for _ in range(sent_before):
        assert (await stream.read()).data == b"x"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert (refusal(caught.value).status, refusal(caught.value).body) == (
        404,
        {"error": "Job not found", "code": "NOT_FOUND"},
    )


async def test_field_rules_hold_for_the_request_of_a_stream(server: Running) -> None:
    request = StreamJobLogsRequest(job_id="1", since=-1)
    stream = server.stream(LOGS, request, x_renter_key=server.accounts.renter, x_rest="1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert refusal(caught.value).body["fields"][0]["field"] == "since"


async def test_a_servicer_s_stream_ends_when_its_caller_leaves(server: Running, harness: Harness) -> None:
    ended = asyncio.Event()

    async def endless(request: Any) -> AsyncIterator[HttpBody]:
        try:
            yield HttpBody(data=b"x")
            await asyncio.Event().wait()
        finally:
            ended.set()

    harness.behaviours["StreamJobLogs"] = endless
    stream = server.stream(LOGS, StreamJobLogsRequest(job_id="1"), x_renter_key=server.accounts.renter)
    assert (await stream.read()).data == b"x"
    stream.cancel()
    await asyncio.wait_for(ended.wait(), 5)


async def code_of_first_answer(stream: Any) -> grpc.StatusCode:
    try:
        await stream.read()
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def watch(server: Running, address: str) -> Any:
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    return stub.Watch(health_pb2.HealthCheckRequest(), metadata=[("x-client-address", address)])


async def test_few_streams_of_an_address_stay(serve: Serve) -> None:
    server = await serve()
    streams = [watch(server, "203.0.113.7") for _ in range(MAX_STREAMS_OF_AN_ADDRESS)]
    assert {await code_of_first_answer(stream) for stream in streams} == {grpc.StatusCode.OK}
    assert await code_of_first_answer(watch(server, "203.0.113.7")) is grpc.StatusCode.RESOURCE_EXHAUSTED
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(server.channel)  # type: ignore[arg-type]
    reflected = stub.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")]), metadata=[("x-client-address", "203.0.113.7")]
    )
    assert await code_of_first_answer(reflected) is grpc.StatusCode.RESOURCE_EXHAUSTED
    other = watch(server, "203.0.113.8")
    assert await code_of_first_answer(other) is grpc.StatusCode.OK
    assert list(server.open_streams) == [("Health/Watch", MAX_STREAMS_OF_AN_ADDRESS + 1)]
    assert [(each.method, each.count) for each in server.refusals] == [
        ("Health/Watch", 1),
        ("ServerReflection/ServerReflectionInfo", 1),
    ]
    for stream in streams:
        stream.cancel()

    # The server hears of it a moment later.
    codes = []
    for _ in range(100):
        codes.append(await code_of_first_answer(watch(server, "203.0.113.7")))
        if codes[-1] is grpc.StatusCode.OK:
            break
        await asyncio.sleep(0.05)
    assert codes[-1] is grpc.StatusCode.OK


class Talk:
    """A context that remembers what is said in it."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.aborted: grpc.StatusCode | None = None

    async def write(self, message: Any) -> None:
        self.written.append(message)

    async def abort(self, code: grpc.StatusCode, text: str) -> None:
        self.aborted = code


async def test_no_stream_stays_for_ever() -> None:
    async def talk(requests: Any, context: Any) -> AsyncIterator[str]:
        yield "first"
        async for _ in requests:
            yield "next"

    async def silence() -> AsyncIterator[str]:
        await asyncio.sleep(30)
        yield ""

    calls = StandardCalls(lambda _: "203.0.113.7", lambda *_: None, lambda _: nullcontext(), longest_seconds=0.1)
    context = Talk()
    handler = calls.wrap("/grpc.x/Y", grpc.stream_stream_rpc_method_handler(talk))
    await handler.stream_stream(silence(), context)
    assert (context.written, context.aborted) == (["first"], grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_a_conversation_of_reflection_is_paced(server: Running) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(server.channel)  # type: ignore[arg-type]
    many = [reflection_pb2.ServerReflectionRequest(list_services="")] * (MESSAGES_AT_ONCE + 5)
    started = time.monotonic()
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(many))]
    assert len(answers) == len(many)
    assert time.monotonic() - started >= MESSAGE_SECONDS * 5


async def test_an_answer_that_ends_while_its_key_is_looked_at_was_not_stopped() -> None:
    """Its reader would be told behind the whole answer that there is less of it."""
    changed, end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    looks = iter((SimpleNamespace(suspended=False, is_replaced=False), None))

    async def current(_: str) -> Any:
        if (found := next(looks)) is None:
            # The key is gone, and the answer whole before that is known.
            end.set()
            await ended.wait()
            await asyncio.sleep(0)
        return found

    async def answer() -> None:
        changed.set()
        await end.wait()
        ended.set()

    known = SimpleNamespace(operators=None, watched=lambda _: nullcontext(changed), current=current)
    authenticator = Authenticator(cast(Credentials, known), cast(RateLimiter, None), admin_token=None)
    call = Call("/a/b", Principal(Role.RENTER, 1, key_id="k"), "1", "", is_rest=True, metadata={})
    await authenticator.while_good(MethodOptions(), call, answer)
    assert ended.is_set()
    assert call.stopped is None

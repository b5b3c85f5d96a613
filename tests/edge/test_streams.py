"""Live answers over REST, and everything over native gRPC."""

import json
import queue
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import httpx
import pytest
from google.api import httpbody_pb2
from h2.connection import H2Connection
from h2.events import StreamEnded, TrailersReceived

from dc1.testing.waiting import eventually
from dcp.v1 import (
    daemon_run_pb2,
    daemon_service_pb2_grpc,
    daemon_stream_pb2,
    provider_service_pb2_grpc,
    renter_service_pb2,
    renter_service_pb2_grpc,
    renter_wallet_pb2,
)
from tests.edge.conftest import Edge
from tests.edge.upstream import MEBIBYTE, Upstream, refusing, replying

SSE = "text/event-stream"
FRAME = b"data: " + b"x" * 65_536 + b"\n\n"
READERS = 8
FLEET = 90


def test_events_arrive_one_by_one(rest: httpx.Client, upstream: Upstream) -> None:
    told: queue.Queue[bytes | None] = queue.Queue()
    upstream.behaviours["StreamJobLogs"] = lambda request, context: _events(told, context)
    told.put(b"retry: 2000\n\n")
    with rest.stream("GET", "/api/jobs/7/logs/stream?since=3") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == SSE
        assert answer.headers["x-accel-buffering"] == "no"
        assert not [name for name in answer.headers if name.startswith(("grpc-", "x-envoy-"))]
        frames = answer.iter_text()
        assert next(frames) == "retry: 2000\n\n"
        for number in range(3):
            told.put(f"id: {number}\ndata: x\n\n".encode())
            assert next(frames) == f"id: {number}\ndata: x\n\n"
        told.put(None)
        assert list(frames) == []


def test_events_for_http_1_0_end_with_the_connection(edge: Edge, upstream: Upstream) -> None:
    told: queue.Queue[bytes | None] = queue.Queue()
    upstream.behaviours["StreamJobLogs"] = lambda request, context: _events(told, context)
    told.put(b"data: one\n\n")
    with socket.create_connection(edge.socket, timeout=10) as connection:
        connection.sendall(b"GET /jobs/7/logs/stream HTTP/1.0\r\n\r\n")
        seen = b""
        while not seen.endswith(b"data: one\n\n"):
            seen += connection.recv(65536)
        told.put(b"data: two\n\n")
        told.put(None)
        seen += b"".join(iter(lambda: connection.recv(65536), b""))
    assert seen.partition(b"\r\n\r\n")[2] == b"data: one\n\ndata: two\n\n"


def test_a_refusal_before_the_first_event_is_plain_json(rest: httpx.Client, upstream: Upstream) -> None:
    upstream.behaviours["StreamJobLogs"] = _refused
    answer = rest.get("/jobs/7/logs/stream")
    assert (answer.status_code, answer.json()) == (404, {"error": "Job not found", "code": "NOT_FOUND"})
    assert answer.headers["content-type"] == "application/json"


def test_a_client_that_leaves_ends_the_call(edge: Edge, upstream: Upstream) -> None:
    left: queue.Queue[bool] = queue.Queue()
    told: queue.Queue[bytes | None] = queue.Queue()

    def follow(request: Any, context: grpc.ServicerContext) -> Iterator[httpbody_pb2.HttpBody]:
        context.add_callback(lambda: left.put(True))
        context.add_callback(lambda: told.put(None))
        return _events(told, context)

    upstream.behaviours["StreamJobLogs"] = follow
    told.put(b"data: x\n\n")
    with httpx.stream("GET", f"{edge.url}/jobs/7/logs/stream") as answer:
        next(answer.iter_text())
    assert left.get(timeout=5)


def test_readers_that_read_nothing_hold_up_nobody(edge: Edge, upstream: Upstream) -> None:
    sent: dict[int, int] = {}
    over = threading.Event()

    def flood(request: Any, context: grpc.ServicerContext) -> Iterator[httpbody_pb2.HttpBody]:
        context.add_callback(over.set)
        while not over.is_set():
            yield httpbody_pb2.HttpBody(content_type=SSE, data=FRAME)
            sent[request.since] = sent.get(request.since, 0) + len(FRAME)

    def has_stalled() -> bool:
        before = dict(sent)
        return len(before) == READERS and not over.wait(0.3) and sent == before

    upstream.behaviours["StreamJobLogs"] = flood
    with ExitStack() as readers:
        for number in range(READERS):
            reader = readers.enter_context(socket.create_connection(edge.socket))
            reader.sendall(f"GET /jobs/7/logs/stream?since={number} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
        eventually(has_stalled, "every reader being behind")
        for _ in range(4):
            assert httpx.get(f"{edge.url}/renters/balance").status_code == 200
        # The sockets' own buffers are in it.
        assert max(sent.values()) < 14 * MEBIBYTE
    assert over.wait(5)


def test_nothing_of_grpc_follows_the_last_event(edge: Edge, upstream: Upstream) -> None:
    def fail_late(request: Any, context: grpc.ServicerContext) -> Iterator[httpbody_pb2.HttpBody]:
        yield httpbody_pb2.HttpBody(content_type=SSE, data=b"data: x\n\n")
        context.set_trailing_metadata((("x-error-body", "{}"),))
        context.abort(grpc.StatusCode.INTERNAL, "SELECT * FROM secrets")

    upstream.behaviours["StreamJobLogs"] = fail_late
    assert _trailers(edge, "/jobs/7/logs/stream") == []


def test_daemons_speak_both_ways(channel: grpc.Channel, upstream: Upstream) -> None:
    upstream.behaviours["Connect"] = lambda beats, context: (daemon_stream_pb2.ConnectResponse() for _ in beats)
    sent: queue.Queue[daemon_stream_pb2.ConnectRequest | None] = queue.Queue()
    stub = provider_service_pb2_grpc.ProviderServiceStub(channel)
    answers = stub.Connect(iter(sent.get, None), metadata=(("x-provider-key", "p"), ("x-rest", "1")))
    for _ in range(3):
        sent.put(daemon_stream_pb2.ConnectRequest())
        assert isinstance(next(answers), daemon_stream_pb2.ConnectResponse)
    sent.put(None)
    assert list(answers) == []
    assert upstream.last.metadata["x-provider-key"] == "p"
    assert "x-rest" not in upstream.last.metadata


def test_native_answers_keep_status_and_trailers(channel: grpc.Channel, upstream: Upstream) -> None:
    upstream.behaviours["RegisterRenter"] = refusing(
        grpc.StatusCode.ALREADY_EXISTS, "A renter with this email already exists", ("x-http-status", "409")
    )
    stub = renter_service_pb2_grpc.RenterServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.RegisterRenter(renter_service_pb2.RegisterRenterRequest())
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert caught.value.details() == "A renter with this email already exists"
    assert {item.key: str(item.value) for item in caught.value.trailing_metadata()}["x-http-status"] == "409"


def test_native_calls_may_be_large(channel: grpc.Channel, upstream: Upstream) -> None:
    request = daemon_run_pb2.ReportJobResultRequest(job_id="7")
    request.result.string_value = "a" * (10 * MEBIBYTE - 100)
    daemon_service_pb2_grpc.DaemonServiceStub(channel).ReportJobResult(request)
    assert upstream.last.request == request


def test_a_native_call_to_an_unknown_method(channel: grpc.Channel) -> None:
    call = channel.unary_unary("/dcp.v2.Nope/Nope", lambda message: message, lambda data: data)
    with pytest.raises(grpc.RpcError) as caught:
        call(b"")
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, "Not found")


def test_native_callers_are_told_of_a_missing_service(edge: Edge, channel: grpc.Channel, upstream: Upstream) -> None:
    upstream.stop()
    try:
        with pytest.raises(grpc.RpcError) as caught:
            renter_service_pb2_grpc.RenterServiceStub(channel).GetBalance(renter_wallet_pb2.GetBalanceRequest())
        first, last = _turns_of_a_fleet(channel)
    finally:
        upstream.start()
    assert "retry-after-ms" not in [told.key for told in caught.value.trailing_metadata()]
    # Two milliseconds apart, however soon each was told, so that a fleet asks no more often.
    assert last - first >= 0.002 * (FLEET - 1)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAVAILABLE, "Service unavailable")
    eventually(lambda: httpx.get(f"{edge.url}/renters/balance").is_success, "the service's return")


def test_health_and_reflection_for_grpcurl(edge: Edge, upstream: Upstream) -> None:
    upstream.behaviours["GetBalance"] = replying(renter_wallet_pb2.GetBalanceResponse(balance_halala=976))
    assert "dcp.v1.AdminService" in _grpcurl(edge, "list").split()
    assert json.loads(_grpcurl(edge, "grpc.health.v1.Health/Check")) == {"status": "SERVING"}
    balance = _grpcurl(edge, "dcp.v1.RenterService/GetBalance", "-H", "x-renter-key: r")
    assert json.loads(balance)["balance_halala"] == 976
    assert upstream.last.metadata["x-renter-key"] == "r"


def _events(told: queue.Queue[bytes | None], context: grpc.ServicerContext) -> Iterator[httpbody_pb2.HttpBody]:
    context.send_initial_metadata((("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no")))
    for data in iter(told.get, None):
        yield httpbody_pb2.HttpBody(content_type=SSE, data=data)


def _turns_of_a_fleet(channel: grpc.Channel) -> tuple[float, float]:
    """Have daemons turned away at once; returns when the first is to ask again at the latest, and the last at least."""
    stub = provider_service_pb2_grpc.ProviderServiceStub(channel)
    calls = [(time.monotonic(), stub.Connect(iter([daemon_stream_pb2.ConnectRequest()]))) for _ in range(FLEET)]
    firsts, lasts = [], []
    for sent_at, call in calls:
        assert call.code() is grpc.StatusCode.UNAVAILABLE
        told = next(int(text) / 1000 for name, text in call.trailing_metadata() if name == "retry-after-ms")
        assert told >= 0.49
        firsts.append(sent_at + told)
        lasts.append(time.monotonic() + told)
    return min(firsts), max(lasts)


def _refused(request: Any, context: grpc.ServicerContext) -> Iterator[httpbody_pb2.HttpBody]:
    refusing(
        grpc.StatusCode.NOT_FOUND, "Job not found", ("x-error-body", '{"error":"Job not found","code":"NOT_FOUND"}')
    )(request, context)
    yield from ()


def _trailers(edge: Edge, path: str) -> list[tuple[bytes, bytes]]:
    """Return what follows the body of an answer over h2c, which httpx does not show."""
    client = H2Connection()
    client.initiate_connection()
    names = {":method": "GET", ":scheme": "http", ":authority": edge.address, ":path": path}
    client.send_headers(1, list(names.items()), end_stream=True)
    trailers: list[tuple[bytes, bytes]] = []
    with socket.create_connection(edge.socket, timeout=10) as connection:
        while True:
            connection.sendall(client.data_to_send())
            for event in client.receive_data(connection.recv(65536)):
                if isinstance(event, TrailersReceived):
                    trailers = list(event.headers)
                if isinstance(event, StreamEnded):
                    return trailers


def _grpcurl(edge: Edge, symbol: str, *options: str) -> str:
    program = shutil.which("grpcurl", path=sysconfig.get_path("scripts"))
    assert program, f"grpcurl is not installed beside {sys.executable}"
    command = [program, "-plaintext", "-max-time", "10", *options, edge.address, symbol]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout

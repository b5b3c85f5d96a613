"""What is refused before its body is waited for: the edge asks the service whether it would take the call."""

import socket

import grpc
import httpx
import pytest

from dcp.v1 import daemon_service_pb2_grpc, job_progress_pb2, job_service_pb2_grpc
from dcp.v1.daemon_run_pb2 import ReportRunResultRequest
from tests.edge.conftest import Edge
from tests.edge.upstream import MEBIBYTE, Upstream, refusing

KEY = {"x-renter-key": "dc1-renter-1"}
NO_KEY = '{"error":"API key required","code":"UNAUTHENTICATED"}'
# As a chunk it says that 1 MiB comes, and as JSON it is the beginning of something.
WAITING = b"100000\r\n" + b" " * 50_000


@pytest.fixture
def strict(upstream: Upstream) -> Upstream:
    """A service that lets nobody in."""
    upstream.judge = refusing(
        grpc.StatusCode.UNAUTHENTICATED, "API key required", ("x-http-status", "401"), ("x-error-body", NO_KEY)
    )
    return upstream


def opened(edge: Edge, path: str, *headers: bytes) -> socket.socket:
    """Begin a call whose body never ends."""
    connection = socket.create_connection(edge.socket, timeout=10)
    connection.sendall(b"\r\n".join([f"POST {path} HTTP/1.1".encode(), b"host: a", *headers, b"", b""]))
    connection.sendall(WAITING)
    return connection


@pytest.mark.parametrize("length", [b"content-length: 65536", b"transfer-encoding: chunked"])
@pytest.mark.parametrize("key", [b"x-a: b", b"x-renter-key: nobody", b"authorization: Bearer nobody"])
def test_who_would_be_refused_is_told_so_before_the_body_ends(
    edge: Edge, strict: Upstream, key: bytes, length: bytes
) -> None:
    with opened(edge, "/api/jobs/submit", key, length) as connection:
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 401")
    assert answer.endswith(NO_KEY.encode())
    assert strict.calls == []
    assert [(asked.method, asked.metadata["x-client-address"]) for asked in strict.asked] == [
        ("SubmitJob", "127.0.0.1")
    ]


@pytest.mark.parametrize("path", ["/nothing", "/jobs/submit/x", "/x/jobs/7/result", "/v1/nothing"])
def test_a_path_that_no_method_has_waits_for_no_body(edge: Edge, upstream: Upstream, path: str) -> None:
    with opened(edge, path, b"content-length: 65536") as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")
    assert upstream.asked == []


def test_a_body_that_a_path_has_no_use_for_is_dropped(rest: httpx.Client, upstream: Upstream) -> None:
    assert rest.request("GET", "/renters/balance", content=iter([b"x" * 65536] * 200)).status_code == 200
    assert upstream.last.method == "GetBalance"


def test_a_large_body_without_its_key_is_not_read(rest: httpx.Client, upstream: Upstream) -> None:
    answer = rest.post("/providers/job-result", json={"success": True, "result": "x" * 20_000})
    assert (answer.status_code, upstream.last.request.success) == (200, False)
    rest.post("/providers/job-result", json={"api_key": "k", "success": True, "result": "x" * 20_000})
    assert (upstream.last.request.api_key, upstream.last.request.success) == ("k", True)


def test_a_delete_may_have_a_body(rest: httpx.Client, upstream: Upstream) -> None:
    assert rest.request("DELETE", "/renters/me", json={"confirm": "yes"}, headers=KEY).status_code == 200
    assert upstream.last.request.confirm == "yes"


def test_a_small_body_with_a_key_asks_nobody(rest: httpx.Client, upstream: Upstream) -> None:
    assert rest.post("/jobs/submit", json={"job_type": "x"}, headers=KEY).status_code == 200
    assert rest.post("/jobs/submit", json={"job_type": "x" * 20_000}, headers=KEY).status_code == 200
    assert [asked.metadata["x-renter-key"] for asked in upstream.asked] == ["dc1-renter-1"]


def test_a_refusal_is_heard_by_who_still_sends(rest: httpx.Client, strict: Upstream) -> None:
    body = iter([b"{" + b" " * 65536] * 200)
    answer = rest.post("/jobs/submit", content=body, headers=KEY)
    assert (answer.status_code, answer.text) == (401, NO_KEY)


def test_a_native_call_without_a_key_is_refused(channel: grpc.Channel, strict: Upstream) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        job_service_pb2_grpc.JobServiceStub(channel).GetJob(job_progress_pb2.GetJobRequest(job_id="7"))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAUTHENTICATED, "API key required")
    assert strict.calls == []


def test_native_messages_are_held_to_their_method(channel: grpc.Channel, upstream: Upstream) -> None:
    stub = daemon_service_pb2_grpc.DaemonServiceStub(channel)
    for size, taken in ((9 * MEBIBYTE, True), (11 * MEBIBYTE, False)):
        request = ReportRunResultRequest(success=True)
        request.result.string_value = "x" * size
        if taken:
            stub.ReportRunResult(request, metadata=(("x-provider-key", "k"),))
            continue
        with pytest.raises(grpc.RpcError) as caught:
            stub.ReportRunResult(request, metadata=(("x-provider-key", "k"),))
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.details() == "Request body too large"

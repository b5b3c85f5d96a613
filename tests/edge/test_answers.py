"""What a REST client gets of an answer, a refusal, and of nobody answering."""

import json
import math
import socket
import threading
from typing import Any

import grpc
import httpx
import pytest
from google.api import httpbody_pb2

from dc1.testing.waiting import eventually
from dcp.v1 import job_progress_pb2, renter_service_pb2
from tests.edge.conftest import Edge
from tests.edge.upstream import Upstream, refusing, replying

REGISTERED = renter_service_pb2.RegisterRenterResponse(renter_id=7)
REFUSAL = '{"error":"Insufficient balance \\u0623","code":"INSUFFICIENT_BALANCE","balance_halala":44}'
LEFT_OVER = ("grpc-", "x-http-status", "x-error-body", "x-envoy-")


@pytest.mark.parametrize("status", [200, 201, 202])
def test_the_service_chooses_the_status_of_a_success(rest: httpx.Client, upstream: Upstream, status: int) -> None:
    upstream.behaviours["RegisterRenter"] = replying(REGISTERED, ("x-http-status", str(status)))
    answer = rest.post("/renters/register", json={})
    assert answer.status_code == status
    assert answer.json() == {"success": False, "renter_id": 7, "api_key": "", "message": ""}


def test_documented_headers_reach_the_client(rest: httpx.Client, upstream: Upstream) -> None:
    documented = {"idempotent-replayed": "true", "ratelimit-limit": "20", "cache-control": "public, max-age=30"}
    upstream.behaviours["RegisterRenter"] = replying(REGISTERED, *documented.items())
    assert documented.items() <= dict(rest.post("/renters/register", json={}).headers).items()


def test_an_answer_of_status_410_keeps_its_body(rest: httpx.Client, upstream: Upstream) -> None:
    output = httpbody_pb2.HttpBody(content_type="application/json", data=b'{"status":"failed","refunded":true}')
    upstream.behaviours["GetJobOutput"] = replying(output, ("x-http-status", "410"))
    answer = rest.get("/jobs/7/output")
    assert (answer.status_code, answer.json()) == (410, {"status": "failed", "refunded": True})


def test_a_refusal_has_the_services_status_and_body(rest: httpx.Client, upstream: Upstream) -> None:
    upstream.behaviours["RegisterRenter"] = refusing(
        grpc.StatusCode.FAILED_PRECONDITION,
        "Insufficient balance",
        ("x-http-status", "402"),
        ("x-error-body", REFUSAL),
        ("retry-after", "7"),
    )
    answer = rest.post("/renters/register", json={})
    assert (answer.status_code, answer.text) == (402, REFUSAL)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["retry-after"] == "7"


def test_a_long_refusal_arrives_whole(rest: httpx.Client, upstream: Upstream) -> None:
    body = '{"error":"' + "x" * 12_000 + '"}'
    upstream.behaviours["RegisterRenter"] = refusing(grpc.StatusCode.INVALID_ARGUMENT, "x", ("x-error-body", body))
    answer = rest.post("/renters/register", json={})
    assert (answer.status_code, answer.text) == (400, body)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_an_answer_that_json_cannot_carry_is_an_internal_error(
    rest: httpx.Client, upstream: Upstream, number: float
) -> None:
    job = job_progress_pb2.GetJobResponse()
    job.job.params.number_value = number
    upstream.behaviours["GetJob"] = replying(job)
    answer = rest.get("/jobs/7")
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal error", "code": "INTERNAL"})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("refused", [False, True])
def test_nothing_of_grpc_is_left_in_the_headers(rest: httpx.Client, upstream: Upstream, refused: bool) -> None:
    upstream.behaviours["RegisterRenter"] = (
        refusing(grpc.StatusCode.NOT_FOUND, "x", ("x-error-body", REFUSAL)) if refused else replying(REGISTERED)
    )
    headers = rest.post("/renters/register", json={}).headers
    assert not [name for name in headers if name.startswith(LEFT_OVER)]


@pytest.mark.parametrize(
    ("status", "http", "body"),
    [
        (grpc.StatusCode.INTERNAL, 500, {"error": "Internal error", "code": "INTERNAL"}),
        (grpc.StatusCode.UNKNOWN, 500, {"error": "Internal error", "code": "INTERNAL"}),
        (grpc.StatusCode.UNAVAILABLE, 503, {"error": "Service unavailable", "code": "UPSTREAM_UNAVAILABLE"}),
        (grpc.StatusCode.CANCELLED, 503, {"error": "Service unavailable", "code": "UPSTREAM_UNAVAILABLE"}),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, {"error": "Upstream timeout", "code": "DEADLINE_EXCEEDED"}),
        (grpc.StatusCode.NOT_FOUND, 404, {"error": "Not found", "code": "NOT_FOUND"}),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 413, {"error": "Request body too large", "code": "RESOURCE_EXHAUSTED"}),
    ],
)
def test_a_refusal_without_a_body_tells_no_secrets(
    rest: httpx.Client, upstream: Upstream, status: grpc.StatusCode, http: int, body: dict[str, Any]
) -> None:
    upstream.behaviours["RegisterRenter"] = refusing(status, "SELECT * FROM secrets")
    answer = rest.post("/renters/register", json={})
    assert (answer.status_code, answer.json()) == (http, body)


def test_a_method_the_service_lacks_is_an_error_in_json(rest: httpx.Client, upstream: Upstream) -> None:
    upstream.behaviours["RegisterRenter"] = refusing(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
    answer = rest.post("/renters/register", json={})
    assert (answer.status_code, answer.json()) == (501, {"error": "Internal error", "code": "INTERNAL"})


@pytest.mark.parametrize("length", ["", "Content-Length: 2\r\n"])
def test_http_1_0_is_understood(edge: Edge, upstream: Upstream, length: str) -> None:
    upstream.behaviours["RegisterRenter"] = replying(REGISTERED, ("x-http-status", "201"))
    with socket.create_connection(edge.socket, timeout=10) as connection:
        # Without a length there is no body: such a client does not know chunks.
        body = "{}" if length else ""
        connection.sendall(f"POST /api/renters/register HTTP/1.0\r\n{length}\r\n{body}".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"201"
    assert b"transfer-encoding" not in head
    assert json.loads(content)["renter_id"] == 7


def test_a_call_that_takes_too_long_is_504(rest: httpx.Client, upstream: Upstream) -> None:
    over = threading.Event()

    def hang(request: Any, context: grpc.ServicerContext) -> Any:
        context.add_callback(over.set)
        over.wait(10)
        return REGISTERED

    upstream.behaviours["RegisterRenter"] = hang
    answer = rest.post("/renters/register", json={})
    assert (answer.status_code, answer.json()) == (504, {"error": "Upstream timeout", "code": "DEADLINE_EXCEEDED"})
    assert over.wait(5), "the call goes on behind the edge"


def test_a_call_that_stops_half_way_is_504(rest: httpx.Client, upstream: Upstream) -> None:
    over = threading.Event()

    def hang(request: Any, context: grpc.ServicerContext) -> Any:
        context.add_callback(over.set)
        context.send_initial_metadata(())
        over.wait(10)
        return REGISTERED

    upstream.behaviours["RegisterRenter"] = hang
    answer = rest.post("/renters/register", json={})
    assert (answer.status_code, answer.json()) == (504, {"error": "Upstream timeout", "code": "DEADLINE_EXCEEDED"})
    assert answer.headers["content-type"] == "application/json"


def test_without_a_service_the_edge_says_so_and_recovers(rest: httpx.Client, upstream: Upstream) -> None:
    unavailable = {"error": "Service unavailable", "code": "UPSTREAM_UNAVAILABLE"}
    upstream.stop()
    try:
        for _ in range(3):
            answer = rest.get("/api/renters/balance")
            assert (answer.status_code, answer.json()) == (503, unavailable)
        assert rest.get("/nope").status_code == 404
    finally:
        upstream.start()
    eventually(lambda: rest.get("/renters/balance").status_code == 200, "the service's return")


def test_a_draining_service_gets_no_new_calls(rest: httpx.Client, upstream: Upstream) -> None:
    upstream.serving(False)
    eventually(lambda: rest.get("/renters/balance").status_code == 503, "the end of new calls")
    upstream.serving(True)
    eventually(lambda: rest.get("/renters/balance").status_code == 200, "the service's return")

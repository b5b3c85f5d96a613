"""Which URL reaches which method, and what every other URL is told."""

import re
import socket
from http.client import HTTPResponse
from typing import Any, Final

import httpx
import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from tests.edge.conftest import LISTED_ORIGIN, Edge
from tests.edge.upstream import METHODS, Upstream

_HTTP: Final[Any] = annotations_pb2.http
NOT_FOUND = {"error": "Not found", "code": "NOT_FOUND"}


@pytest.mark.parametrize("prefix", ["", "/api", "/api/dc1", "//api", "///api/dc1", "/"])
def test_every_base_path_reaches_the_same_method(rest: httpx.Client, upstream: Upstream, prefix: str) -> None:
    answer = rest.get(f"{rest.base_url}".rstrip("/") + f"{prefix}/renters/balance")
    assert answer.status_code == 200
    assert upstream.last.method == "GetBalance"
    assert upstream.last.metadata["x-rest-path"] == "/renters/balance"


@pytest.mark.parametrize("path", ["/", "/docs/openapi.yaml"])
def test_root_paths_are_served(rest: httpx.Client, path: str) -> None:
    assert rest.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/nope", "/api/nope", "/api/dc1/nope", "/Renters/balance", "/renters/balance/", "/renters//balance"),
        *("/api", "/api/", "/api/dc1", "/api/dc1/", "/api/docs/openapi.yaml", "/api/dc1/docs/openapi.yaml"),
        *("/api/api/renters/balance", "/api/dc1/api/renters/balance", "/dcp.v1.RenterService/GetBalance"),
    ],
)
def test_unknown_paths_are_404(rest: httpx.Client, upstream: Upstream, path: str) -> None:
    answer = rest.get(path)
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert answer.headers["content-type"] == "application/json"
    assert upstream.calls == []


def test_a_prefix_does_not_make_v1_paths(rest: httpx.Client) -> None:
    assert rest.get("/api/v1/models").json() == NOT_FOUND
    error = rest.get("/v1/nope").json()["error"]
    assert error["code"] == "not_found"
    assert (error["status"], error["retryable"], error["message"]) == (404, False, "Not found")


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT", "TRACE"])
def test_another_verb_is_404(rest: httpx.Client, method: str) -> None:
    answer = rest.request(method, "/admin/dashboard")
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


@pytest.mark.parametrize(("path", "status"), [("/health", 404), ("/nope", 404), ("/health?x=%zz", 400)])
def test_head_is_refused_without_a_body(edge: Edge, path: str, status: int) -> None:
    with socket.create_connection(edge.socket, timeout=10) as connection:
        request = f" {path} HTTP/1.1\r\nHost: x\r\n"
        connection.sendall(f"HEAD{request}\r\nGET{request}Connection: close\r\n\r\n".encode())
        head, _, rest = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"content-type: application/json" in head
    # A body would be read as the answer to the next request; a connection that is closed has none.
    assert rest.startswith(b"HTTP/1.1 ") or (b"connection: close" in head and not rest)


def test_a_query_adds_nothing_to_a_body(rest: httpx.Client, upstream: Upstream) -> None:
    answer = rest.post("/renters/register?phone=1&name=x&unknown=2&organization.a=3", json={"name": "Noura"})
    assert answer.status_code == 200
    assert upstream.last.request.name == "Noura"
    assert not upstream.last.request.HasField("phone")


def test_a_parameter_may_be_given_once(rest: httpx.Client, upstream: Upstream) -> None:
    answer = rest.get("/jobs?limit=1&limit=2")
    assert (answer.status_code, answer.json()) == (400, {"error": "Malformed URL", "code": "INVALID_ARGUMENT"})
    assert upstream.calls == []


def test_a_method_is_no_rest_path(rest: httpx.Client, upstream: Upstream) -> None:
    answer = rest.post("/dcp.v1.RenterService/RegisterRenter", json={"name": "x"})
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert upstream.calls == []


@pytest.mark.parametrize(
    "url", ["/jobs/%zz", "/jobs/%ff", "/jobs/%c0%af", "/jobs/%ed%a0%80", "/jobs?status=%", "/jobs?status=%fe"]
)
def test_an_undecodable_url_is_refused(edge: Edge, upstream: Upstream, url: str) -> None:
    assert _raw(edge, f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n") == (
        400,
        '{"error":"Malformed URL","code":"INVALID_ARGUMENT"}',
    )
    assert upstream.calls == []


TRICKS = (
    *(
        "/%2e%2e/admin/jobs",
        "/jobs/../admin/jobs",
        "/jobs/%2e%2e/admin/jobs",
        "/./admin/jobs",
        "/jobs/7/../../admin/jobs",
    ),
    *("/admin%2fjobs", "/admin%2Fjobs", "/jobs/7%2fcancel", "/jobs/%2e%2e%2fadmin", "/admin\\jobs", "/%61dmin/jobs"),
    *(
        "/admin;/jobs",
        "/admin/jobs;x=1",
        "/jobs/7;/cancel",
        "/jobs/7/cancel;",
        "/jobs/7/cancel%00",
        "/jobs/7%0a/cancel",
    ),
    *(
        "/api/api/admin/jobs",
        "/api//admin/jobs",
        "/api/dc1//admin/jobs",
        "/api/./admin/jobs",
        "/api%2fadmin/jobs",
        "//admin//jobs",
    ),
    *(
        "/admin/jobs:cancel",
        "/jobs/7:cancel",
        "/jobs/7/cancel:x",
        "/admin/jobs%3fx",
        "/admin/jobs#x",
        "/jobs/7/cancel%23",
    ),
    *(
        "http://x/admin/jobs",
        "http://x//admin/jobs",
        "*",
        "/?/admin/jobs",
        "/jobs/7/cancel?job_id=8",
        "/jobs/%2561dmin/cancel",
    ),
    *("/dcp.v1.AdminJobService/ListAdminJobs", "//dcp.v1.JobService/CancelJob", "/api/dcp.v1.JobService/CancelJob"),
    *("/v1//models", "/v1/../admin/jobs", "/api/v1/models", "/jobs/７/cancel", "/jobs/7/cancel/%20", "/jobs/ 7/cancel"),
)


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("path", TRICKS)
def test_a_call_is_logged_and_judged_as_the_method_that_it_reaches(
    edge: Edge, upstream: Upstream, verb: str, path: str
) -> None:
    request = (
        f"{verb} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Type: application/json\r\nx-request-id: "
    )
    status, _ = _raw(edge, f"{request}\r\n\r\n{{}}")
    assert status in (200, 400, 404)
    assert bool(upstream.calls) == (status == 200)
    for seen in upstream.calls:
        name = next(full for full in METHODS if full.endswith(f"/{seen.method}"))
        logged = seen.metadata["x-rest-path"]
        templates = _paths(METHODS[name], verb)
        (variables,) = [found.groupdict() for each in templates if (found := re.fullmatch(each, logged))]
        assert seen.metadata["x-rest-method"] == verb
        # What the path says is what the service reads of it (`fill_from_path`); a model's name may have slashes.
        for field, value in variables.items():
            assert "/" not in value or field == "model", (field, value)
    # A body is judged by the method that it reaches.
    assert {seen.method for seen in upstream.asked} <= {seen.method for seen in upstream.calls}


def _paths(method: MethodDescriptor, verb: str) -> list[str]:
    rule: Any = method.GetOptions().Extensions[_HTTP]
    bound = [getattr(one, verb.lower()) for one in (rule, *rule.additional_bindings)]
    segments = [re.sub(r"\\{(\w+)=\\\*\\\*\\}", r"(?P<\1>.+)", re.escape(path)) for path in bound if path]
    return [re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", path) for path in segments]


def test_escapes_are_decoded_once(rest: httpx.Client, upstream: Upstream) -> None:
    rest.get("/jobs/%D9%88%2520%F0%9F%98%80")
    assert upstream.last.request.job_id == "و%20😀"


@pytest.mark.parametrize("path", ["/jobs/7/logs/stream", "/api/jobs/7/stream"])
def test_a_websocket_is_refused(edge: Edge, path: str) -> None:
    status, body = _raw(
        edge,
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    assert (status, body) == (403, '{"error":"Forbidden","code":"PERMISSION_DENIED"}')


def test_what_is_no_http_gets_json(edge: Edge) -> None:
    assert _raw(edge, "hello\r\n\r\n") == (400, '{"error":"Bad request","code":"INVALID_ARGUMENT"}')


def test_preflight_of_a_listed_origin(rest: httpx.Client) -> None:
    answer = rest.options(
        "/api/jobs/submit", headers={"origin": LISTED_ORIGIN, "access-control-request-method": "POST"}
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == LISTED_ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "x-renter-key" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-max-age"] == "86400"


def test_preflight_of_another_origin(rest: httpx.Client) -> None:
    answer = rest.options(
        "/jobs/submit", headers={"origin": "https://evil.example", "access-control-request-method": "POST"}
    )
    assert answer.status_code == 204
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_options_without_an_origin(rest: httpx.Client) -> None:
    answer = rest.options("/jobs/submit")
    assert answer.status_code == 204
    assert "DELETE" in answer.headers["allow"]
    assert answer.headers["access-control-max-age"] == "86400"


@pytest.mark.parametrize("path", ["/renters/balance", "/nope"])
def test_a_listed_origin_is_echoed(rest: httpx.Client, path: str) -> None:
    listed = rest.get(path, headers={"origin": LISTED_ORIGIN})
    assert listed.headers["access-control-allow-origin"] == LISTED_ORIGIN
    assert listed.headers["vary"] == "origin"
    for headers in ({"origin": f"{LISTED_ORIGIN}.evil"}, {}):
        other = rest.get(path, headers=headers)
        assert other.status_code == listed.status_code
        assert "access-control-allow-origin" not in other.headers
        assert other.headers["vary"] == "origin"  # or a cache would give it to a page of the listed origin


def _raw(edge: Edge, request: str) -> tuple[int, str]:
    """Send bytes that no client library would; return status and body."""
    with socket.create_connection(edge.socket, timeout=10) as connection:
        connection.sendall(request.encode())
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read().decode()


def test_a_verb_is_logged_in_few_characters(edge: Edge, upstream: Upstream) -> None:
    with httpx.Client(base_url=edge.url, http1=False, http2=True) as client:
        assert client.request("A" * 20_000, "/health").status_code == 404
    assert edge.logged("A" * 16)["method"] == "A" * 16

"""What one address may ask of the edge: a flood ends there, and nobody else feels it."""

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dc1.edge import EdgeConfig, Envoy
from dc1.testing.waiting import eventually
from dcp.v1 import job_progress_pb2, job_service_pb2_grpc
from tests.edge.upstream import MEBIBYTE, Upstream, refusing

LIMITED = {"error": "Rate limit exceeded", "code": "RESOURCE_EXHAUSTED", "retryAfterSeconds": 1, "retryAfterMs": 1000}
STRANGERS = {"x-forwarded-for": "203.0.113.7"}
NEIGHBOURS = {"x-forwarded-for": "203.0.113.8"}


@pytest.fixture
def behind(_upstream: Upstream) -> Upstream:
    _upstream.reset()
    return _upstream


@pytest.fixture
def limited(behind: Upstream, tmp_path: Path) -> Iterator[Envoy]:
    """An edge with its limits on, behind a proxy that says who calls."""
    config = EdgeConfig(tmp_path, http_port=0, upstreams=(f"127.0.0.1:{behind.port}",), trusted_proxies=1)
    with asyncio.Runner() as runner:
        envoy = Envoy(config)
        runner.run(envoy.start())
        eventually(lambda: httpx.get(f"{url(envoy)}/health", headers=NEIGHBOURS).is_success, "a healthy upstream")
        yield envoy
        runner.run(envoy.stop())


def url(envoy: Envoy) -> str:
    return f"http://127.0.0.1:{envoy.http_port}"


class Answer(NamedTuple):
    status: int
    headers: Message
    body: bytes


def plain_client(envoy: Envoy) -> HTTPConnection:
    """A client that takes no time itself: httpx takes so long that a busy machine sends fewer than a limit."""
    return HTTPConnection("127.0.0.1", envoy.http_port, timeout=20)


def call(client: HTTPConnection, path: str, headers: dict[str, str], content: bytes | None = None) -> Answer:
    # Who is refused may hear of it before the whole body is out.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        client.request("GET" if content is None else "POST", path, content, headers)
    answer = client.getresponse()
    return Answer(answer.status, answer.headers, answer.read())


def answers_of(
    envoy: Envoy, path: str, calls: int, headers: dict[str, str], content: bytes | None = None
) -> list[Answer]:
    """Call as one client after the other does on four connections."""

    def some(_: int) -> list[Answer]:
        with closing(plain_client(envoy)) as client:
            return [call(client, path, headers, content) for _ in range(calls // 4)]

    with ThreadPoolExecutor(4) as pool:
        return [answer for part in pool.map(some, range(4)) for answer in part]


def statuses(envoy: Envoy, path: str, calls: int, headers: dict[str, str], content: bytes | None = None) -> list[int]:
    return [answer.status for answer in answers_of(envoy, path, calls, headers, content)]


def resident_mib(envoy: Envoy) -> float:
    pages = int(Path(f"/proc/{envoy.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE


def test_a_flood_of_one_address_ends_at_the_edge(limited: Envoy, behind: Upstream) -> None:
    started = time.monotonic()
    answers = answers_of(limited, "/renters/balance", 2_000, STRANGERS)
    most = 400 + 100 * (time.monotonic() - started + 1)
    assert {answer.status for answer in answers} == {200, 429}
    assert len(behind.calls) <= most
    refused = next(answer for answer in answers if answer.status == 429)
    assert (json.loads(refused.body), refused.headers["retry-after"]) == (LIMITED, "1")
    assert not [name for name in refused.headers if name.startswith(("x-http", "x-error"))]
    assert httpx.get(f"{url(limited)}/health", headers=NEIGHBOURS).status_code == 200


def test_streams_of_standard_health_have_a_limit(limited: Envoy) -> None:
    metadata = (("x-forwarded-for", "203.0.113.7"),)
    with grpc.insecure_channel(f"127.0.0.1:{limited.http_port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        streams = [stub.Watch(request, metadata=metadata) for _ in range(200)]
        codes = []
        for stream in streams:
            try:
                next(stream)
                codes.append(grpc.StatusCode.OK)
            except grpc.RpcError as error:
                codes.append(error.code())
        assert codes.count(grpc.StatusCode.OK) < 80
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        job = job_progress_pb2.GetJobRequest(job_id="7")
        job_service_pb2_grpc.JobServiceStub(channel).GetJob(job, metadata=metadata)


def test_large_bodies_of_one_address_have_a_limit(limited: Envoy) -> None:
    body = b'{"result":"' + b"x" * (2 * MEBIBYTE) + b'"}'
    answers = statuses(limited, "/providers/job-result", 60, STRANGERS, body)
    assert answers.count(200) < 35
    assert httpx.get(f"{url(limited)}/health", headers=STRANGERS).status_code == 200


def test_unfinished_bodies_are_few_and_end(limited: Envoy) -> None:
    """40 of them held 437 MiB, for as long as their sender liked."""
    before = resident_mib(limited)
    opened = []
    for _ in range(60):
        connection = socket.create_connection(("127.0.0.1", limited.http_port))
        connection.sendall(
            b"POST /renters/register HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.7\r\ncontent-length: 11000000\r\n\r\n"
        )
        connection.settimeout(0.5)
        with contextlib.suppress(OSError):
            connection.sendall(b" " * 10_900_000)
        opened.append(connection)
    try:
        assert resident_mib(limited) - before < 100
    finally:
        for connection in opened:
            connection.close()


@pytest.mark.parametrize("framing", [b"content-length: 10485760", b"transfer-encoding: chunked"])
@pytest.mark.parametrize(
    "path", ["/renters/register", "/providers/job-result", "/api/jobs/7/result", "/jobs/submit", "/v1/chat/completions"]
)
def test_no_path_holds_much_of_strangers(limited: Envoy, path: str, framing: bytes) -> None:
    """40 connections held 437 MiB in unfinished bodies, whatever the path allows."""
    before = resident_mib(limited)

    def begin(_: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", limited.http_port), timeout=2)
        head = f"POST {path} HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.7\r\n".encode()
        # As the beginning of a chunk, it says that more comes than does.
        with contextlib.suppress(OSError):
            connection.sendall(head + framing + b"\r\n\r\n" + b"a00000\r\n" + b" " * (9 * MEBIBYTE))
        return connection

    with ThreadPoolExecutor(40) as pool:
        opened = list(pool.map(begin, range(40)))
    try:
        assert resident_mib(limited) - before < 100
        assert httpx.get(f"{url(limited)}/health", headers=NEIGHBOURS, timeout=20).is_success
    finally:
        for connection in opened:
            connection.close()


def test_native_messages_that_never_end_reach_no_server(limited: Envoy, behind: Upstream) -> None:
    """30 of them held 326 MiB in the server."""
    before = resident_mib(limited)
    over = threading.Event()

    def begin(number: int) -> None:
        def message() -> Iterator[bytes]:
            yield b"\0" + (10 * MEBIBYTE).to_bytes(4, "big")
            for _ in range(9):
                yield b" " * MEBIBYTE
            over.wait(20)

        headers = {"content-type": "application/grpc", "te": "trailers", **STRANGERS}
        method = "DaemonService/ReportRunResult" if number % 2 else "RenterService/RegisterRenter"
        with httpx.Client(http1=False, http2=True, timeout=10) as client, contextlib.suppress(httpx.HTTPError):
            client.post(f"{url(limited)}/dcp.v1.{method}", content=message(), headers=headers)

    with ThreadPoolExecutor(30) as pool:
        for number in range(30):
            pool.submit(begin, number)
        time.sleep(5)
        grown = resident_mib(limited) - before
        over.set()
    assert grown < 100
    assert {seen.method for seen in behind.calls} <= {"GetHealth"}


def figures(envoy_directory: Path, name: str) -> dict[str, float]:
    """Return Envoy's own figures with this name, by their labels."""
    transport = httpx.HTTPTransport(uds=str(envoy_directory / "admin.sock"))
    with httpx.Client(transport=transport, base_url="http://envoy") as client:
        lines = client.get("/stats/prometheus").text.splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith(f"{name}{{"))
    return {labels.removeprefix(name): float(value) for labels, _, value in found}


def test_what_is_refused_is_counted_and_a_flood_of_it_has_few_lines(
    limited: Envoy, behind: Upstream, tmp_path: Path
) -> None:
    # A path that there is not: refused by the limit or without it, so that as many are on any machine.
    answers = statuses(limited, "/nowhere", 2_000, STRANGERS, b"{}")
    assert set(answers) <= {404, 429}
    health = [httpx.get(f"{url(limited)}/health", headers=NEIGHBOURS) for _ in range(5)]
    served = [answer.headers["x-request-id"] for answer in health if answer.is_success]
    assert len(served) == 5
    with grpc.insecure_channel(f"127.0.0.1:{limited.http_port}") as channel:
        unknown: Any = channel.unary_unary("/dcp.v1.JobService/Nope")
        with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            unknown(b"", metadata=(("x-forwarded-for", "203.0.113.8"), ("x-rest", "1")))
    counted = figures(tmp_path, "envoy_edge_refused")
    nowhere = '{{status="{}",grpc_status="",http_status="",by="",asked="",method=""}}'
    by_edge = {status: counted.get(nowhere.format(status), 0) for status in (404, 429)}
    assert by_edge == {status: answers.count(status) for status in (404, 429)}
    assert [labels for labels in counted if f'grpc_status="12",http_status="",by="127.0.0.1:{behind.port}"' in labels]
    # Served ones all have a line, refused ones as many as can be read, and the rest is a number.
    log = tmp_path / "access.log"

    def left_out() -> float:
        return figures(tmp_path, "envoy_access_log_process_ratelimit_denied")["{}"]

    # Asked again each time, as a line is left out when its call is over, which may be after its answer; that of the
    # native call may be among them.
    eventually(
        lambda: log.read_text().count('"status":4') + left_out() in {2_000, 2_001}, "the lines of what was refused"
    )
    assert left_out() > 0
    eventually(lambda: all(each in log.read_text() for each in served), "the lines of what was served")
    assert log.read_text().count('"status":4') < 1_200


def test_what_is_refused_is_counted_by_method(limited: Envoy, behind: Upstream, tmp_path: Path) -> None:
    answers = statuses(limited, "/api/renters/balance?key=dc1-renter-x", 1_200, STRANGERS)
    behind.behaviours["GetJob"] = refusing(grpc.StatusCode.NOT_FOUND, "Not found", ("x-http-status", "404"))
    assert httpx.get(f"{url(limited)}/jobs/7", headers=NEIGHBOURS).status_code == 404
    metadata = (("x-forwarded-for", "203.0.113.8"),)
    request = job_progress_pb2.GetJobRequest(job_id="7")
    with grpc.insecure_channel(f"127.0.0.1:{limited.http_port}") as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.GetJob(request, metadata=metadata)
    counted = figures(tmp_path, "envoy_edge_refused")
    of_edge = 'status="429",grpc_status="",http_status="",by="",asked="",method="/dcp.v1.RenterService/GetBalance"'
    assert counted[f"{{{of_edge}}}"] == answers.count(429) > 0
    of_server = [
        (labels, number) for labels, number in counted.items() if 'method="/dcp.v1.JobService/GetJob"' in labels
    ]
    assert len(of_server) == 2
    assert all(number == 1 and f'by="127.0.0.1:{behind.port}"' in labels for labels, number in of_server)


def test_a_long_path_is_a_short_line(limited: Envoy, tmp_path: Path) -> None:
    answer = httpx.get(f"{url(limited)}/x/{'y' * 50_000}", headers=STRANGERS)
    line = eventually(
        lambda: next(
            (
                line
                for line in (tmp_path / "access.log").read_text().splitlines()
                if answer.headers["x-request-id"] in line
            ),
            "",
        ),
        "the log entry",
    )
    assert len(line) < 2_000

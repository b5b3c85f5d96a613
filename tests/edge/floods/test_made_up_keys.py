"""What a stranger may do who brings a key that somebody made up: no more than one without any."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import httpx
import pytest

from dc1.edge import Envoy
from dc1.testing.waiting import eventually
from dcp.v1 import job_progress_pb2, job_service_pb2_grpc
from tests.edge.floods.test_floods import NEIGHBOURS, STRANGERS, behind, call, limited, plain_client, resident_mib, url
from tests.edge.upstream import MEBIBYTE, Upstream, refusing

__all__ = ["behind", "limited"]

GOOD = {"x-renter-key": "dc1-renter-good"}
UNAUTHENTICATED = refusing(
    grpc.StatusCode.UNAUTHENTICATED,
    "Invalid API key",
    ("x-http-status", "401"),
    ("x-error-body", '{"error":"Invalid API key","code":"UNAUTHENTICATED"}'),
)


@pytest.fixture
def strict(behind: Upstream) -> Upstream:
    """A service that knows one key."""

    def judge(request: object, context: grpc.ServicerContext) -> object:
        if dict(context.invocation_metadata()).get("x-renter-key") != GOOD["x-renter-key"]:
            return UNAUTHENTICATED(request, context)
        return job_progress_pb2.GetJobResponse()

    behind.behaviours["GetJob"] = judge
    behind.judge = judge
    return behind


def flood(envoy: Envoy, path: str, keys: Iterable[str]) -> list[int]:
    """Call as fast as one client can, each time with the next key, until 20 calls were refused as too many."""
    codes: list[int] = []
    with closing(plain_client(envoy)) as client:
        for key in keys:
            codes.append(call(client, path, STRANGERS | {"x-renter-key": key}).status)
            if codes.count(429) == 20:
                break
    return codes


def is_refused(envoy: Envoy) -> bool:
    """Call for what the edge knows nothing of until that is refused as too much."""
    with closing(plain_client(envoy)) as client:
        return any(call(client, "/nowhere", STRANGERS).status == 429 for _ in range(5_000))


def made_up() -> Iterator[str]:
    yield from (f"dc1-renter-{number}" for number in range(4_000))


@pytest.mark.parametrize("path", ["/jobs/7", "/providers/available"])
def test_a_made_up_key_has_the_limits_of_strangers(limited: Envoy, strict: Upstream, path: str) -> None:
    before = len(strict.calls)
    started = time.monotonic()
    codes = flood(limited, path, made_up())
    assert len(strict.calls) - before <= 400 + 100 * (time.monotonic() - started + 1)
    assert codes.count(429) == 20
    assert httpx.get(f"{url(limited)}/health", headers=NEIGHBOURS).status_code == 200


def test_a_key_that_was_taken_is_not_held_to_them(limited: Envoy, strict: Upstream) -> None:
    # Each worker of Envoy knows the keys of its own connections.
    kept = httpx.Limits(keepalive_expiry=60)
    with httpx.Client(base_url=url(limited), headers=STRANGERS | GOOD, limits=kept) as client:
        assert client.get("/jobs/7").status_code == 200
        assert 429 in flood(limited, "/jobs/7", made_up())
        # The strangers of this address have spent their limit by now.
        assert {client.get("/jobs/7").status_code for _ in range(20)} == {200}


def test_a_key_that_is_refused_is_a_strangers_again(limited: Envoy, strict: Upstream) -> None:
    with httpx.Client(base_url=url(limited), headers=STRANGERS | GOOD) as client:
        assert client.get("/jobs/7").status_code == 200
        strict.behaviours["GetJob"] = UNAUTHENTICATED
        assert client.get("/jobs/7").status_code == 401
        # What ends at the edge is refused for its number on the slowest machine, too.
        with ThreadPoolExecutor(4) as pool:

            def is_counted_with_strangers() -> bool:
                assert all(pool.map(is_refused, [limited] * 4))
                return client.get("/jobs/7").status_code == 429

            # The limit fills up by itself, on a slow machine as fast as one client calls.
            eventually(is_counted_with_strangers, "the refusal of a key that is nobody's any more", 20)


CHUNKED = "transfer-encoding: chunked"


@pytest.mark.parametrize(
    ("path", "framing"),
    [
        ("/renters/register", "content-length: 2000000"),
        *((path, CHUNKED) for path in ("/providers/register", "/jobs/submit", "/providers/job-result")),
    ],
)
def test_unfinished_bodies_with_made_up_keys_hold_little(
    limited: Envoy, strict: Upstream, path: str, framing: str
) -> None:
    """200 of them held 400 MiB in Envoy."""
    before = resident_mib(limited)
    with unfinished_bodies(limited, path, framing):
        assert resident_mib(limited) - before < 100
        assert httpx.get(f"{url(limited)}/health", headers=NEIGHBOURS, timeout=20).is_success


def test_what_the_bodies_of_a_good_key_hold_is_bounded(limited: Envoy, behind: Upstream) -> None:
    # A company has one address, and each who works there a key.
    other = GOOD | {"x-renter-key": "dc1-renter-other"}
    kept = httpx.Limits(keepalive_expiry=60)
    client, neighbour = (
        httpx.Client(base_url=url(limited), headers=STRANGERS | key, limits=kept, timeout=20) for key in (GOOD, other)
    )
    with client, neighbour:
        # On whichever worker its connection is, each knows its key.
        assert {one.get("/jobs/7").status_code for one in (client, neighbour)} == {200}
        before = resident_mib(limited)
        with unfinished_bodies(limited, "/jobs/submit", CHUNKED, GOOD["x-renter-key"], STRANGERS["x-forwarded-for"]):
            assert resident_mib(limited) - before < 250

            def is_refused_for_what_is_held() -> bool:
                body = iter([b"{", b" " * 100_000, b"}"])
                answer = httpx.post(f"{url(limited)}/jobs/submit", content=body, headers=STRANGERS | GOOD, timeout=20)
                return answer.status_code == 503 and answer.json()["code"] == "UPSTREAM_UNAVAILABLE"

            # A busy machine takes its time until as much has arrived.
            eventually(is_refused_for_what_is_held, "a refusal for what the key holds")
            assert neighbour.post("/jobs/submit", content=iter([b"{", b" " * 100_000, b"}"])).status_code == 200


@pytest.mark.parametrize("method", ["ProviderService/RegisterProvider", "JobService/SubmitJob"])
def test_unfinished_native_calls_with_made_up_keys_hold_little(limited: Envoy, strict: Upstream, method: str) -> None:
    """200 of them held 250 MiB in Envoy."""
    before = resident_mib(limited)

    def begin(number: int) -> None:
        def message() -> Iterator[bytes]:
            yield b"\0" + (2 * MEBIBYTE - 100).to_bytes(4, "big")
            for _ in range(19):
                yield b" " * 100_000
            over.wait(20)

        headers = {
            "content-type": "application/grpc",
            "te": "trailers",
            "x-renter-key": f"nobody-{number}",
            **STRANGERS,
        }
        with httpx.Client(http1=False, http2=True, timeout=20) as client, contextlib.suppress(httpx.HTTPError):
            client.post(f"{url(limited)}/dcp.v1.{method}", content=message(), headers=headers)

    over = threading.Event()
    with ThreadPoolExecutor(100) as pool:
        for number in range(100):
            pool.submit(begin, number)
        time.sleep(4)
        grown = resident_mib(limited) - before
        over.set()
    assert grown < 100


@contextlib.contextmanager
def unfinished_bodies(
    envoy: Envoy, path: str, framing: str, key: str = "nobody", address: str = "203.0.113.7"
) -> Iterator[None]:
    """Begin 200 bodies of 2 MB with a key, and end none."""

    def begin(number: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", envoy.http_port), timeout=2)
        names = ("host: a", f"x-forwarded-for: {address.format(number)}", f"x-renter-key: {key}", framing)
        head = "\r\n".join((f"POST {path} HTTP/1.1", *names, "", ""))
        with contextlib.suppress(OSError):
            connection.sendall(head.encode() + b"1f0000\r\n" + b" " * 1_990_000)
        return connection

    with ThreadPoolExecutor(20) as pool:
        opened = list(pool.map(begin, range(200)))
    try:
        yield
    finally:
        for connection in opened:
            connection.close()


def test_who_serves_anybody_proves_no_key(limited: Envoy, strict: Upstream) -> None:
    assert set(flood(limited, "/providers/available", ["nobody"] * 4_000)) == {200, 429}


@pytest.mark.parametrize("path", ["/providers/register", "/api/dc1/renters/register?key=x"])
def test_who_looks_at_no_key_takes_few_unmeasured_bodies(limited: Envoy, strict: Upstream, path: str) -> None:
    """60 of 60 passed, where 15 do without a key."""
    with httpx.Client(base_url=url(limited), headers=STRANGERS, timeout=20) as client:
        started = time.monotonic()
        codes = [
            client.post(path, content=iter([b"{", b" " * 100_000, b"}"]), headers={"x-renter-key": key}).status_code
            for key, _ in zip(made_up(), range(60), strict=False)
        ]
    assert codes.count(200) <= 15 + time.monotonic() - started + 1
    assert set(codes) == {200, 429}


def test_a_native_call_with_an_unknown_key_is_asked_about(limited: Envoy, strict: Upstream) -> None:
    request = job_progress_pb2.GetJobRequest(job_id="7")
    with grpc.insecure_channel(f"127.0.0.1:{limited.http_port}") as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        for _ in range(3):
            stub.GetJob(request, metadata=(("x-renter-key", GOOD["x-renter-key"]),))
        assert [seen.method for seen in strict.asked] == ["GetJob"]
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetJob(request, metadata=(("x-renter-key", "nobody"),))
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert [seen.method for seen in strict.calls if seen.method == "GetJob"] == ["GetJob"] * 3
    eventually(lambda: httpx.get(f"{url(limited)}/health", headers=NEIGHBOURS).is_success, "the edge")

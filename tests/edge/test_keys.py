"""Credentials on their way through the edge: they arrive as headers and are never written down."""

import socket
from collections.abc import Callable

import grpc
import httpx
import pytest

from dcp.v1 import edge_pb2, job_service_pb2_grpc, options_pb2
from dcp.v1.job_outcome_pb2 import CancelJobRequest
from tests.edge.conftest import Edge
from tests.edge.upstream import Upstream

SECRET = "Zk41secretsecretsecretsecretsecret"
EDGE_HEADERS = ("x-query-key", "x-query-renter-key", "x-query-provider-key")
_REST = edge_pb2.DESCRIPTOR.GetOptions().Extensions[options_pb2.rest]
# Of each beginning some that there are, and one that nobody has thought of.
_ENDINGS = (
    "original-method",
    "original-path",
    "upstream-rq-timeout-ms",
    "external-address",
    "retry-on",
    "internal",
    "any",
)
OWN_HEADERS = (
    *_REST.edge_headers,
    *EDGE_HEADERS,
    *(f"{prefix}{ending}" for prefix in _REST.edge_header_prefixes for ending in _ENDINGS),
)
# What others read of a client or a request, and nothing here does.
OTHERS_HEADERS = (
    *("forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-cluster-client-ip"),
    *("x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-uri"),
    *(
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
        "x-original-uri",
    ),
)


def underscored(name: str) -> str:
    return name.replace("-", "_")


def half_underscored(name: str) -> str:
    return "_".join(name.rsplit("-", 1))


def binary(name: str) -> str:
    return f"{name}-bin"


SPELLINGS = [str.lower, str.upper, str.title, str.swapcase, underscored, half_underscored, binary]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("key=k", {"x-query-key": "k"}),
        ("renter_key=r&provider_key=p", {"x-query-renter-key": "r", "x-query-provider-key": "p"}),
        ("key=%20&key=+&key=second&key=third", {"x-query-key": "second"}),
        ("%6bey=dc1%2Drenter%5Fx", {"x-query-key": "dc1-renter_x"}),
        ("key=a%0d%0ax-admin-token:%20b", {"x-query-key": "a??x-admin-token: b"}),
        ("key=%D9%88", {"x-query-key": "??"}),
        ("key", {}),
        ("KEY=k&keys=k&akey=k", {}),
    ],
)
def test_query_keys_become_headers(
    rest: httpx.Client, upstream: Upstream, query: str, expected: dict[str, str]
) -> None:
    assert rest.get(f"/jobs?limit=5&{query}&status=queued").status_code == 200
    metadata = upstream.last.metadata
    assert {name: metadata[name] for name in EDGE_HEADERS if name in metadata} == expected
    assert "x-admin-token" not in metadata
    assert (upstream.last.request.limit, upstream.last.request.status) == (5, "queued")


def test_nothing_of_the_key_is_left(rest: httpx.Client, upstream: Upstream) -> None:
    rest.get(f"/api/dc1/jobs?key=dc1-renter-{SECRET}&limit=5")
    others = {name: value for name, value in upstream.last.metadata.items() if name != "x-query-key"}
    assert SECRET not in str(others)
    assert others["x-rest-path"] == "/jobs"


@pytest.mark.parametrize("path", ["/renters/balance?key=k", "/nope?renter_key=k", "/jobs/7?provider_key="])
def test_an_answer_to_a_query_key_is_marked_deprecated(rest: httpx.Client, path: str) -> None:
    headers = rest.get(path).headers
    assert headers["deprecation"] == "true"
    assert headers["sunset"].endswith(" GMT")
    assert 'rel="deprecation"' in headers["link"]


def test_other_answers_are_not(rest: httpx.Client) -> None:
    assert not {"deprecation", "sunset", "link"} & set(rest.get("/jobs?limit=1").headers)


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_the_edges_own_headers_cannot_be_forged(
    rest: httpx.Client, upstream: Upstream, channel: grpc.Channel, edge: Edge, spelled: Callable[[str], str]
) -> None:
    """What decides how a request is treated is said by the edge, whatever a client says in a header of that name."""
    assert {"x-rest", "x-rest-method", "x-rest-path", "x-client-address"} <= set(OWN_HEADERS)
    forged = [(spelled(name), f"forged-{number}") for number, name in enumerate(OWN_HEADERS)]
    answer = rest.post("/jobs/7/cancel", headers=[*forged, *forged, ("x-forwarded-for", "203.0.113.9")])
    assert answer.status_code == 200
    metadata = upstream.last.metadata
    assert "forged" not in str(metadata)
    assert (metadata["x-rest"], metadata["x-rest-method"], metadata["x-rest-path"]) == ("1", "POST", "/jobs/7/cancel")
    assert metadata["x-client-address"] == "127.0.0.1"
    entry = edge.logged(answer.headers["x-request-id"])
    assert (entry["method"], entry["path"]) == ("POST", "/jobs/7/cancel")

    job_service_pb2_grpc.JobServiceStub(channel).CancelJob(
        CancelJobRequest(job_id="7"),
        # Names that end in -bin have bytes, and those with other letters are none that gRPC's clients send.
        metadata=tuple((name.lower(), value.encode() if name.endswith("-bin") else value) for name, value in forged),
    )
    metadata = upstream.last.metadata
    assert "forged" not in str(metadata)
    assert not {"x-rest", "x-rest-method", "x-rest-path"} & set(metadata)


# As they stand on the wire: what one reader takes for the name, another may not.
WIRED = [
    "{}: f",
    "{}:f",
    "{}:\tf",
    "{}:  f  ",
    " {}: f",
    "{} : f",
    "{}\t: f",
    "{}\x00: f",
    "{}:\r\n f",
    "_{}: f",
    "{}\x0b: f",
]


@pytest.mark.parametrize("line", WIRED)
def test_no_spelling_on_the_wire_reaches_the_service(edge: Edge, upstream: Upstream, line: str) -> None:
    for name in OWN_HEADERS:
        header = line.format(name)
        with socket.create_connection(edge.socket, timeout=10) as connection:
            request = f"GET /jobs/7 HTTP/1.1\r\nhost: a\r\n{header}orged\r\nconnection: close\r\n\r\n"
            connection.sendall(request.encode())
            status = int(connection.makefile("rb").readline().split()[1])
        # Refused before anything looks at it, or served as if it had not been sent.
        assert status in (200, 400)
        assert bool(upstream.calls) == (status == 200)
        for seen in (*upstream.calls, *upstream.asked):
            assert "forged" not in str(seen.metadata)
            assert (seen.metadata["x-rest-method"], seen.metadata["x-rest-path"]) == ("GET", "/jobs/7")
            assert seen.metadata["x-client-address"] == "127.0.0.1"
        upstream.reset()


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_what_others_read_of_a_request_decides_nothing_here(
    rest: httpx.Client, upstream: Upstream, edge: Edge, spelled: Callable[[str], str]
) -> None:
    values = ("203.0.113.9", "DELETE", "/admin/jobs", "for=203.0.113.9;proto=https;host=a.example")
    asked = []
    for value in values:
        forged = [(spelled(name), value) for name in OTHERS_HEADERS] + [("x-forwarded-for", "203.0.113.9")]
        answer = rest.get("/jobs/7", headers=forged)
        assert answer.status_code == 200
        assert upstream.last.method == "GetJob"
        metadata = upstream.last.metadata
        assert (metadata["x-rest-method"], metadata["x-rest-path"]) == ("GET", "/jobs/7")
        assert metadata["x-client-address"] == "127.0.0.1"
        asked.append(answer.headers["x-request-id"])
    # Afterwards, as Envoy writes once a second.
    for request_id in asked:
        entry = edge.logged(request_id)
        assert (entry["method"], entry["path"], entry["client"]) == ("GET", "/jobs/7", "127.0.0.1")


@pytest.mark.parametrize("segment", [f"dc1-provider-{SECRET}", SECRET, f"%64c1-provider-{SECRET}"])
@pytest.mark.parametrize(
    ("headers", "method"),
    [
        ({}, "ListDaemonJobs"),
        ({"x-provider-key": "p"}, "ListDaemonJobs"),
        ({"authorization": "bearer b"}, "NextJob"),
    ],
)
def test_a_key_in_the_path_becomes_a_header(
    rest: httpx.Client, upstream: Upstream, edge: Edge, segment: str, headers: dict[str, str], method: str
) -> None:
    answer = rest.get(f"/api/providers/{segment}/jobs?status=running", headers=headers)
    assert answer.headers["deprecation"] == "true"
    assert upstream.last.method == method
    metadata = upstream.last.metadata
    assert SECRET in metadata.pop("x-query-provider-key")
    assert SECRET not in str(metadata)
    assert SECRET not in str(upstream.last.request)
    edge.logged(answer.headers["x-request-id"])
    assert SECRET not in edge.access_log.read_text(encoding="utf-8")


@pytest.mark.parametrize("segment", ["7", "me"])
def test_an_id_in_the_path_stays(rest: httpx.Client, upstream: Upstream, segment: str) -> None:
    rest.get(f"/providers/{segment}/jobs", headers={"authorization": "Bearer b"})
    assert upstream.last.method == "ListDaemonJobs"
    assert upstream.last.request.provider_id == segment


def test_callers_headers_pass(rest: httpx.Client, upstream: Upstream) -> None:
    sent = {
        "x-renter-key": "r",
        "x-provider-key": "p",
        "x-admin-token": "a",
        "authorization": "Bearer b",
        "idempotency-key": "i",
        "last-event-id": "7",
        "accept": "text/plain",
    }
    rest.get("/renters/balance", headers=sent)
    assert sent.items() <= upstream.last.metadata.items()


def test_every_request_has_an_id_of_the_edges_making(rest: httpx.Client, upstream: Upstream) -> None:
    first = rest.get("/renters/balance", headers={"x-request-id": "mine"})
    assert first.headers["x-request-id"] == upstream.last.metadata["x-request-id"] != "mine"
    assert rest.get("/nope").headers["x-request-id"]


@pytest.mark.parametrize(
    ("url", "logged"),
    [
        (f"/api/jobs?key=dc1-renter-{SECRET}&limit=5", "/jobs"),
        (f"/nope?%6Bey={SECRET}", "/nope"),
        (f"/jobs?api_key={SECRET}", "/jobs"),
        (f"/providers/{SECRET}/jobs", "/providers/jobs/next"),
        (f"/providers/dc1-provider-{SECRET}/jobs/x", "/providers/dc1-provider-***/jobs/x"),
        (f"/x/dc1%2Dsk%2D{SECRET}/%ff", "/x/dc1-sk-***/\xff"),
    ],
)
def test_the_access_log_has_no_key(rest: httpx.Client, edge: Edge, url: str, logged: str) -> None:
    headers = {"x-renter-key": SECRET, "authorization": f"Bearer {SECRET}", "user-agent": SECRET, "referer": SECRET}
    request_id = rest.get(url, headers=headers).headers["x-request-id"]
    entry = edge.logged(request_id)
    assert entry["path"] == logged
    assert entry["method"] == "GET"
    assert entry["client"] == "127.0.0.1"
    assert SECRET not in edge.access_log.read_text(encoding="utf-8")

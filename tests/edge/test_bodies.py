"""What may be in a request's body, and how much of it."""

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import httpx
import pytest

from dcp.v1 import job_progress_pb2
from tests.edge.conftest import Edge
from tests.edge.upstream import MEBIBYTE, Upstream, replying

REGISTER = "/renters/register"
SUBMIT = "/jobs/submit"
KEY = {"x-renter-key": "nobody"}
MALFORMED = {"error": "Malformed JSON body", "code": "MALFORMED_JSON"}
TOO_LARGE = {"error": "Request body too large", "code": "RESOURCE_EXHAUSTED"}
RESULT_PATHS = ("/jobs/7/result", "/api/dc1/jobs/7/result")
SIZES_OVER_THE_LIMIT = (2 * MEBIBYTE + 1, 3 * MEBIBYTE, 10 * MEBIBYTE, 24 * MEBIBYTE)


@pytest.mark.parametrize(
    "body",
    [
        *(b'{"name":', b"[1,2]", b'"text"', b"3", b"null", b"true", b"hello", b"name=x", b"   "),
        *(b'{"name":"x"} {"name":"y"}', b'{"name":"x"} trailing', b'{"name":"\xff\xfe"}', b'{"name":"\\ud800"}'),
        *(
            b"{'name':'x'}",
            b'{"name":"x",}',
            b'{name:"x"}',
            b"{e:1}",
            b'{"a":[1,]}',
            b'{"name":"x" /* y */}',
            b'{"name":"x',
        ),
        *(b'{"phone":NaN}', b'{"name":{"a":1}}', b"\x1f\x8b\x08gzip"),
        *(b'{"name":"a\nb"}', b'{"name":"a\tb"}', b'{"name":"a\x00b"}', b'{"name":"a\\xb"}', b'{"name":"\\u12"}'),
        *(
            b'{"x":1.}',
            b'{"x":01}',
            b'{"x":.5}',
            b'{"x":-.5e1}',
            b'{"x":[-01e2]}',
            b'{"x":+1}',
            b'{\x0b"name":"x"}',
            b'{"x":[1 2]}',
            b'{"x":[1,,2]}',
        ),
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_a_body_that_is_no_object_is_refused(
    rest: httpx.Client, upstream: Upstream, body: bytes, content_type: str
) -> None:
    answer = rest.post(REGISTER, content=body, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()) == (400, MALFORMED)
    assert upstream.calls == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"a \\"quoted\\" name, {with] marks: \\\\","x":[1,-2.5e+3,1E5,true,false,null,{}],"y":""}',
        b'\n{ "name" : "it\'s",\t"z":{"n":0.1e-02,"o":[-0,10.05]}}\r\n',
        b'{"name":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u00e9 \x7f"}',
    ],
)
def test_everything_that_is_json_is_read(rest: httpx.Client, upstream: Upstream, body: bytes) -> None:
    assert rest.post(REGISTER, content=body).status_code == 200
    assert upstream.last.request.name == json.loads(body)["name"]


@pytest.mark.parametrize(
    ("method", "url", "body", "field"),
    [
        ("POST", REGISTER, '{"name":5}', "name"),
        ("POST", "/admin/renters/1/balance", '{"amount_halala":1.5}', "amount_halala"),
        ("POST", "/admin/renters/1/balance", '{"amount_halala":99999999999}', "amount_halala"),
        ("GET", "/jobs?limit=abc", "", "limit"),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(
    rest: httpx.Client, upstream: Upstream, method: str, url: str, body: str, field: str
) -> None:
    answer = rest.request(method, url, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Validation failed"
    assert answer.json()["code"] == "VALIDATION_FAILED"
    assert [fault["field"] for fault in answer.json()["fields"]] == [field]
    assert upstream.calls == []


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        # The transcoder takes these for REST, so nothing before it may take them for gRPC.
        "application/grpc;x",
        "application/grpc; charset=utf-8",
        "application/grpc-web",
    ],
)
def test_an_object_is_read_whatever_its_content_type(
    rest: httpx.Client, upstream: Upstream, content_type: str | None
) -> None:
    body = {"name": "نورة 😀 <b>", "phone": None, "unknown": {"a": [1]}}
    headers = {"content-type": content_type} if content_type else {}
    assert rest.post(REGISTER, content=json.dumps(body), headers=headers).status_code == 200
    assert upstream.last.request.name == body["name"]
    assert not upstream.last.request.HasField("phone")
    assert upstream.last.metadata["x-rest-path"] == REGISTER


@pytest.mark.parametrize("content", [None, b"", b"{}"])
def test_an_empty_body_counts_as_an_empty_object(rest: httpx.Client, upstream: Upstream, content: bytes | None) -> None:
    assert rest.post("/jobs/7/cancel", content=content).status_code == 200
    assert upstream.last.request.job_id == "7"


def test_an_empty_chunked_body_counts_as_an_empty_object(rest: httpx.Client, upstream: Upstream) -> None:
    assert rest.post("/jobs/7/cancel", content=iter(())).status_code == 200
    assert upstream.last.request.job_id == "7"


def test_a_chunked_body_is_read(rest: httpx.Client, upstream: Upstream) -> None:
    assert rest.post(REGISTER, content=iter([b'{"na', b'me":"', b'Noura"}'])).status_code == 200
    assert upstream.last.request.name == "Noura"


@pytest.mark.parametrize("chunked", [False, True])
def test_two_mebibytes_pass(rest: httpx.Client, upstream: Upstream, chunked: bool) -> None:
    assert rest.post(SUBMIT, content=_body("job_type", 2 * MEBIBYTE, chunked)).status_code == 200
    assert len(upstream.last.request.job_type) > 2_000_000


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("path", "most"), [(REGISTER, 128 * 1024), ("/api/providers/register", 512 * 1024)])
def test_a_registration_is_small(rest: httpx.Client, upstream: Upstream, path: str, most: int, chunked: bool) -> None:
    assert rest.post(path, content=_body("name", most, chunked), headers=KEY).status_code == 200
    answer = rest.post(path, content=_body("name", most + 1, chunked), headers=KEY)
    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", SIZES_OVER_THE_LIMIT)
def test_more_is_refused(rest: httpx.Client, upstream: Upstream, size: int, chunked: bool) -> None:
    answer = rest.post(SUBMIT, content=_body("job_type", size, chunked))
    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)
    assert upstream.calls == []


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", RESULT_PATHS)
def test_results_may_have_ten_mebibytes(rest: httpx.Client, upstream: Upstream, path: str, chunked: bool) -> None:
    content, headers = _body("result", 10 * MEBIBYTE, chunked), {"x-provider-key": "k"}
    assert rest.post(path, content=content, headers=headers).status_code == 200
    assert len(upstream.last.request.result.string_value) > 10_000_000


@pytest.mark.parametrize("path", [SUBMIT, "/nowhere", RESULT_PATHS[0]])
def test_a_client_that_reads_after_it_has_sent_hears_why(edge: Edge, path: str) -> None:
    """As most do over HTTP/1.1; one that is cut off while it sends has a reset for an answer."""
    with closing(HTTPConnection(edge.address, timeout=20)) as client:
        client.request("POST", path, b"x" * (24 * MEBIBYTE), KEY)
        answer = client.getresponse()
        assert answer.status == (404 if path == "/nowhere" else 413)
        assert json.loads(answer.read())


def _values(count: int, field: str = "params") -> bytes:
    """A body of so many values: three of them are around the others, and what looks like more is in a text."""
    return (f'{{"{field}":{{"many":[' + ",".join(['{"":"[,\\",{"}'] * ((count - 3) // 2)) + "]}}").encode()


@pytest.mark.parametrize(("path", "field", "most"), [(SUBMIT, "params", 20_000), (RESULT_PATHS[0], "result", 200_000)])
def test_bodies_of_too_many_values_are_refused(
    rest: httpx.Client, upstream: Upstream, path: str, field: str, most: int
) -> None:
    headers = {"x-provider-key": "k"}
    assert rest.post(path, content=_values(most - 10, field), headers=headers).status_code == 200
    answer = rest.post(path, content=_values(most + 10, field), headers=headers)
    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("size", [10 * MEBIBYTE + 1, 24 * MEBIBYTE])
@pytest.mark.parametrize("path", [*RESULT_PATHS, "/api/providers/job-result"])
def test_a_result_beyond_is_refused(rest: httpx.Client, upstream: Upstream, path: str, size: int) -> None:
    answer = rest.post(path, content=_body("result", size, chunked=True))
    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)
    assert upstream.calls == []


def test_the_job_result_path_has_the_larger_limit(rest: httpx.Client) -> None:
    assert rest.post("/providers/job-result", content=_body("result", 3 * MEBIBYTE, chunked=False)).status_code != 413


def test_large_answers_pass(rest: httpx.Client, upstream: Upstream) -> None:
    job = job_progress_pb2.GetJobResponse()
    job.job.params.string_value = "\n" * (10 * MEBIBYTE)
    upstream.behaviours["GetJob"] = replying(job)
    answer = rest.get("/jobs/7")
    assert answer.status_code == 200
    assert len(answer.json()["job"]["params"]) == 10 * MEBIBYTE


def _body(field: str, size: int, chunked: bool) -> bytes | Iterator[bytes]:
    """A JSON object of exactly `size` bytes with one long string."""
    head, tail = f'{{"{field}":"'.encode(), b'"}'
    body = head + b"a" * (size - len(head) - len(tail)) + tail
    return iter([body[start : start + 65536] for start in range(0, size, 65536)]) if chunked else body


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "deflate, gzip"])
@pytest.mark.parametrize("path", [REGISTER, "/v1/chat/completions", "/v1/messages"])
def test_a_body_that_is_compressed_is_told_so(rest: httpx.Client, upstream: Upstream, path: str, coding: str) -> None:
    answer = rest.post(path, content=gzip.compress(b'{"name":"x"}'), headers={"content-encoding": coding, **KEY})
    assert answer.status_code == 400
    assert "Content-Encoding is not supported" in answer.text
    assert upstream.calls == []


@pytest.mark.parametrize("coding", ["identity", "utf-8", ""])
def test_one_that_is_not_is_read_whatever_is_said(rest: httpx.Client, upstream: Upstream, coding: str) -> None:
    assert rest.post(REGISTER, content=b'{"name":"x"}', headers={"content-encoding": coding}).status_code == 200

"""What a stranger may do who brings a key that somebody made up: no more than one without any."""

import time
from collections.abc import Iterable, Iterator

import grpc
import httpx
import pytest

from dc1.edge import Envoy
from dc1.testing.waiting import eventually
from dcp.v1 import job_progress_pb2, job_service_pb2_grpc
from tests.edge.floods.test_floods import NEIGHBOURS, STRANGERS, behind, limited, url
from tests.edge.upstream import Upstream, refusing

__all__ = ["behind", "limited"]

GOOD = {"x-renter-key": "dc1-renter-good"}
UNAUTHENTICATED = refusing(
    grpc.StatusCode.UNAUTHENTICATED,
    "Invalid API key",
    ("x-http-status", "401"),
    ("x-error-body", '{"error":"Invalid API key"}'),
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
    with httpx.Client(base_url=url(envoy)) as client:
        for key in keys:
            codes.append(client.get(path, headers=STRANGERS | {"x-renter-key": key}).status_code)
            if codes.count(429) == 20:
                break
    return codes


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
    codes = flood(limited, "/jobs/7", [GOOD["x-renter-key"]] * 4_000)
    assert codes[0] == 401
    assert 429 in codes


def test_who_serves_anybody_proves_no_key(limited: Envoy, strict: Upstream) -> None:
    assert set(flood(limited, "/providers/available", ["nobody"] * 4_000)) == {200, 429}


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

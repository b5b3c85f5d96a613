"""Requests that no honest client sends: numbers, nesting, letters, sizes and headers of any kind."""

from typing import Any

import httpx
import pytest

from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Rest
from tests.contract import quiet
from tests.contract.expect import answered, fields, refused

# One for all; each test has people of its own.
market = quiet.market

MIB = 1024 * 1024


@pytest.mark.parametrize("value", [10**400, "1e400", "9" * 400])
def test_numbers_beyond_any_double(renter: Renter, rest: Rest, value: int | str) -> None:
    body = f'{{"job_type":"training","duration_minutes":{value}}}'.encode()
    refused(rest.rest("POST", "/jobs/submit", content=body, key=renter.key), 400)
    assert renter.wallet()["total_jobs"] == 0


@pytest.mark.parametrize("value", ["1e309", "-1e309", "1e400", "9" * 400, "NaN", "Infinity"])
def test_numbers_in_strings_beyond_any_double(renter: Renter, value: str) -> None:
    body = refused(renter.try_submit(gpu_requirements={"min_vram_gb": value}), 400, "Validation failed")
    assert fields(body) == ["gpu_requirements.min_vram_gb"]
    refused(renter.try_submit(container_spec={"image_type": "x", "vram_required_mb": value}), 400)
    assert renter.wallet()["total_jobs"] == 0


@pytest.mark.parametrize("depth", [50, 5_000, 200_000])
def test_nesting_of_any_depth(renter: Renter, rest: Rest, depth: int) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    body = f'{{"job_type":"training","duration_minutes":1,"params":{nested}}}'.encode()
    response = rest.rest("POST", "/jobs/submit", content=body, key=renter.key)
    # The deepest has more values than a request may.
    assert response.status_code == 413 if depth == 200_000 else response.status_code in (201, 400)
    if response.status_code == 201:
        assert renter.job(response.json()["job"]["id"])["params"]


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00\\ud800", "\\u0000", "\\u202e", "\\uffff"])
def test_odd_characters_in_a_prompt(renter: Renter, rest: Rest, text: str) -> None:
    body = f'{{"job_type":"training","duration_minutes":1,"params":{{"prompt":"{text}"}}}}'.encode()
    response = rest.rest("POST", "/jobs/submit", content=body, key=renter.key)
    assert response.status_code in (201, 400)
    if response.status_code == 201:
        assert len(renter.job(response.json()["job"]["id"])["params"]["prompt"]) in (1, 2)


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/renters/register", 128 * 1024),
        ("/providers/register", 512 * 1024),
        ("/jobs/submit", 2 * MIB),
        ("/jobs/{job_id}/logs", 2 * MIB),
        ("/jobs/{job_id}/result", 10 * MIB),
    ],
)
def test_bodies_have_a_size(rest: Rest, renter: Renter, provider: PollDaemon, path: str, limit: int) -> None:
    target = path.format(job_id=renter.submit()["id"])
    key = renter.key if target == path else provider.key

    def send(size: int) -> httpx.Response:
        padding = size - len('{"pad":""}')
        return rest.rest("POST", target, content=b'{"pad":"' + b"x" * padding + b'"}', key=key)

    assert send(limit).status_code != 413
    refused(send(limit + 1), 413, "Request body too large")
    assert renter.wallet()["total_jobs"] == 1


def test_a_large_body_is_refused_for_its_size_before_its_key(rest: Rest) -> None:
    refused(rest.post("/jobs/submit", {"pad": "x" * 3 * MIB}), 413, "Request body too large")


def test_free_json_up_to_256_kib_is_kept(renter: Renter) -> None:
    prompt = "ن" * (128 * 1024 - 100)
    job = renter.submit(params={"prompt": prompt})
    assert renter.job(job["id"])["params"]["prompt"] == prompt


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("it's", "odd"),
        ("!", ""),
        ("a|b", "c"),
        ("x-bin", "no base64!"),
        ("grpc-timeout", "soon"),
        ("grpc-timeout", "1n"),
    ],
)
def test_headers_that_grpc_could_not_carry_are_ignored(rest: Rest, renter: Renter, name: str, value: str) -> None:
    answered(rest.get("/renters/balance", headers={name: value}, key=renter.key))


@pytest.mark.parametrize("size", [10_000, 40_000, 58_000])
def test_headers_and_addresses_of_any_size(rest: Rest, renter: Renter, size: int) -> None:
    filler = "x" * size
    answered(rest.get("/renters/balance", headers={"cookie": filler}, key=renter.key))
    answered(rest.get(f"/renters/balance?q={filler}", key=renter.key))
    refused(rest.get(f"/renters/balance?key={filler}"), 401, "Invalid API key")
    refused(rest.get(f"/jobs/{filler}", key=renter.key), 404, "Job not found")
    refused(rest.get("/renters/balance", headers={"cookie": filler * 7}, key=renter.key), 431)


@pytest.mark.parametrize("job_id", [{"a": 1}, [1], True, 1.5])
def test_a_job_is_named_by_a_string_or_a_number(provider: PollDaemon, job_id: Any) -> None:
    refused(provider.post("/providers/job-result", {"job_id": job_id, "success": True}), 400, "Validation failed")


def test_headers_cannot_pose_as_the_edge(rest: Rest, renter: Renter) -> None:
    posing = {
        "x-http-status": "201",
        "x-error-body": '{"error":"forged"}',
        "x-query-renter-key": renter.key,
        "x-query-key": renter.key,
        "x-rest": "0",
        "x-envoy-original-path": "/admin/dashboard",
    }
    refused(rest.get("/renters/balance", headers=posing), 401, "API key required")
    answered(rest.get("/renters/balance", headers=posing, key=renter.key))

"""Whatever is sent, the answer is the contract's: a refusal in JSON that changes nothing, and never a 5xx."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json, Rest
from dc1.testing.server import ADMIN_TOKEN
from tests.contract.expect import answered, fields, refused
from tests.support.openapi import document

MIB = 1024 * 1024
NASTY: list[Any] = [
    -1,
    0,
    1.5,
    1e300,
    -1e300,
    2**31,
    2**63,
    10**30,
    True,
    "",
    " ",
    "text",
    "NaN",
    "-Infinity",
    "x" * 5000,
    "\u0000",
    "نص 🌊 <tag>",
    [],
    [1, "a", None],
    [[]],
    {},
    {"a": {"b": [1]}},
    {"": None},
]


def _routes() -> Iterator[tuple[str, str, list[str]]]:
    """(verb, path, names of the body's fields) of every documented route that takes a body."""
    schemas = document()["components"]["schemas"]
    for path, item in document()["paths"].items():
        for verb, operation in item.items():
            if verb not in ("post", "patch") or "requestBody" not in operation:
                continue
            # Forms are no JSON, and have tests of their own.
            if "application/json" not in (content := operation["requestBody"]["content"]):
                continue
            schema = content["application/json"]["schema"]
            if "$ref" in schema:
                schema = schemas[schema["$ref"].rpartition("/")[2]]
            yield verb.upper(), path, list(schema.get("properties", {}))


ROUTES = list(_routes())

DAEMON_CALLS = ("progress", "logs", "result", "fail", "endpoint-ready")
NAMES = {
    "job_id": 1,
    "entry_id": 1,
    "renter_id": 1,
    "withdrawal_id": "wreq-1",
    "job_type": "training",
    "gpu_model": "T4",
    "model": "bare-model",
    "key_id": "Kv",
    "delivery_id": "whd_1",
    "channel_id": 1,
    "machine_id": 1,
    "operator_id": 1,
}

GOOD: dict[str, Json] = {
    "/renters/register": {"name": "Noura", "email": "noura@example.sa"},
    "/providers/register": {"name": "Najd", "email": "najd@example.sa", "gpu_model": "RTX 4090", "os": "linux"},
    "/jobs/submit": J3,
    "/jobs/estimate": J3,
    "/jobs/{job_id}/progress": {"phase": "generating"},
    "/jobs/{job_id}/logs": {"line": "x"},
    "/providers/jobs/{job_id}/logs": {"line": "x"},
    "/jobs/{job_id}/result": {"result": "x"},
    "/verification/submit": {"challenge_id": "x"},
    "/admin/pricing/{job_type}": {"rate_halala": 1},
    "/admin/gpu-factors/{gpu_model}": {"factor": 1},
    "/admin/token-prices/{model}": {"prompt_halala": 1},
    "/admin/containers/approve-image": {"image_ref": "team/tool:1"},
    "/admin/providers/{provider_id}/approval-decision": {"decision": "reject", "reason": "x"},
    "/admin/providers/{provider_id}/reject": {"reason": "x"},
    "/admin/operators": {"name": "nobody", "role": "viewer"},
    "/admin/renters/{renter_id}/balance": {"amount_halala": 1},
    "/renters/topup": {"amount_halala": 1},
}


def _key(path: str, renter: Renter, provider: PollDaemon) -> str | None:
    if path.startswith("/admin"):
        return ADMIN_TOKEN
    if path.endswith("/register"):
        return None
    if path.startswith(("/providers", "/verification")) or path.rpartition("/")[2] in DAEMON_CALLS:
        return provider.key
    return renter.key


@pytest.mark.parametrize(("verb", "path", "names"), ROUTES, ids=[f"{verb} {path}" for verb, path, _ in ROUTES])
def test_no_value_of_any_field_breaks_the_server(
    market: LocalMarket, renter: Renter, provider: PollDaemon, verb: str, path: str, names: list[str]
) -> None:
    renter.submit()
    provider.next()
    target = path.format(provider_id=market.register_provider().id, **NAMES)
    key = _key(path, renter, provider)
    for name in names:
        for value in NASTY:
            response = market.rest.rest(verb, target, json={**GOOD.get(path, {}), name: value}, key=key)
            assert response.status_code < 500, (name, value, response.text)


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
        assert renter.job(1)["params"]


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00\\ud800", "\\u0000", "\\u202e", "\\uffff"])
def test_odd_characters_in_a_prompt(renter: Renter, rest: Rest, text: str) -> None:
    body = f'{{"job_type":"training","duration_minutes":1,"params":{{"prompt":"{text}"}}}}'.encode()
    response = rest.rest("POST", "/jobs/submit", content=body, key=renter.key)
    assert response.status_code in (201, 400)
    if response.status_code == 201:
        assert len(renter.job(1)["params"]["prompt"]) in (1, 2)


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/renters/register", 128 * 1024),
        ("/providers/register", 512 * 1024),
        ("/jobs/submit", 2 * MIB),
        ("/jobs/1/logs", 2 * MIB),
        ("/jobs/1/result", 10 * MIB),
    ],
)
def test_bodies_have_a_size(rest: Rest, renter: Renter, provider: PollDaemon, path: str, limit: int) -> None:
    renter.submit()
    key = provider.key if path.startswith("/jobs/1") else renter.key

    def send(size: int) -> httpx.Response:
        padding = size - len('{"pad":""}')
        return rest.rest("POST", path, content=b'{"pad":"' + b"x" * padding + b'"}', key=key)

    assert send(limit).status_code != 413
    refused(send(limit + 1), 413, "Request body too large")
    assert renter.wallet()["total_jobs"] == 1


def test_a_large_body_is_refused_for_its_size_before_its_key(rest: Rest) -> None:
    refused(rest.post("/jobs/submit", {"pad": "x" * 3 * MIB}), 413, "Request body too large")


def test_free_json_up_to_256_kib_is_kept(renter: Renter) -> None:
    prompt = "ن" * (128 * 1024 - 100)
    job = renter.submit(params={"prompt": prompt})
    assert renter.job(job["id"])["params"]["prompt"] == prompt


def test_nothing_changes_in_a_market_that_is_only_insulted(
    market: LocalMarket, renter: Renter, provider: PollDaemon, admin: Admin
) -> None:
    def state() -> tuple[Json, ...]:
        # What is refused is counted, and nothing else.
        stats = {name: value for name, value in admin.stats().items() if name != "refused_calls"}
        return renter.wallet(), stats, admin.finance(), provider.account()

    before = state()
    for value in NASTY:
        for name in ("job_type", "duration_minutes", "provider_id", "params", "container_spec"):
            broken = {**J3, "job_type": "mining", name: value}
            refused(renter.try_submit(broken), 400)
        refused(market.rest.post("/renters/register", {"name": value}), 400)
    assert state() == before


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

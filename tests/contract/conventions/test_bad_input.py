"""Whatever is sent, the answer is the contract's: a refusal in JSON that changes nothing, and never a 5xx."""

from collections.abc import Iterator
from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from dc1.testing.server import ADMIN_TOKEN
from tests.contract import quiet
from tests.contract.expect import refused
from tests.support.openapi import document

# One for all routes; each has people of its own, whose money and jobs are as it expects them.
market = quiet.market

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
    job = renter.submit(provider_id=provider.id)["id"]
    # Jobs that another route's values made may be older.
    while (given := provider.next()["id"]) != job:
        provider.result(given)
    mine = {"job_id": job, "renter_id": renter.id, "provider_id": market.register_provider().id}
    target = path.format(**{**NAMES, **mine})
    key = _key(path, renter, provider)
    for name in names:
        for value in NASTY:
            response = market.rest.rest(verb, target, json={**GOOD.get(path, {}), name: value}, key=key)
            assert response.status_code < 500, (name, value, response.text)


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

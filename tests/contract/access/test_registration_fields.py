"""The field rules of both registrations: what breaks one opens no account."""

from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.rest import Json, Rest
from tests.contract import quiet
from tests.contract.expect import fields, refused

NOURA: Json = {"name": "Noura Salem", "email": "noura@example.sa"}
NAJD: Json = {"name": "Najd GPU", "email": "gpu@example.sa", "gpu_model": "RTX 4090", "os": "linux"}


market = quiet.market


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"name": None}, "name"),
        ({"name": "   "}, "name"),
        ({"email": ""}, "email"),
        ({"name": "", "email": "  "}, "name, email"),
    ],
)
def test_null_absent_and_blank_are_missing(rest: Rest, change: Json, missing: str) -> None:
    refused(rest.post("/renters/register", {**NOURA, **change}), 400, f"Missing required fields: {missing}")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " x "}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"email": "not-an-address"}, "email"),
        ({"email": "two@example.sa, three@example.sa"}, "email"),
        ({"email": "x" * 250 + "@example.sa"}, "email"),
        ({"organization": "x" * 161}, "organization"),
        ({"phone": "5" * 41}, "phone"),
        ({"use_case": "x" * 121}, "use_case"),
        ({"useCase": "x" * 121}, "useCase"),
    ],
)
def test_lengths_and_addresses_are_checked(rest: Rest, change: Json, field: str) -> None:
    body = refused(rest.post("/renters/register", {**NOURA, **change}), 400, "Validation failed")
    assert fields(body) == [field]


def test_several_faults_are_told_at_once(rest: Rest) -> None:
    body = refused(rest.post("/renters/register", {"name": "x", "email": "x", "phone": "5" * 41}), 400)
    assert fields(body) == ["name", "email", "phone"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "x"},
        {"email": "nobody"},
        {"gpu_model": "x" * 121},
        {"vram_gb": 0.5},
        {"vram_gb": 1025},
        {"location": "x" * 201},
        {"phone": "1" * 41},
        {"resource_spec": False},
        {"resource_spec": [8]},
        {"resource_spec": {"notes": "x" * 262_144}},
        {"gpu_spec": "H100"},
        {"gpu_spec": [{"gpu_name": "H100"}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_providers_fields_are_checked(rest: Rest, change: dict[str, Any]) -> None:
    body = refused(rest.post("/providers/register", {**NAJD, **change}), 400, "Validation failed")
    assert fields(body) == list(change)


def test_no_account_was_opened(market: LocalMarket) -> None:
    stats = market.admin.stats()
    assert (stats["total_renters"], stats["total_providers"]) == (0, 0)

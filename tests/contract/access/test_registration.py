"""Opening accounts (contract 7, vectors 10 to 15)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.rest import Json, Rest
from tests.contract.expect import answered, fields, refused

NOURA: Json = {"name": "Noura Salem", "email": "Noura@Example.sa", "extra": 1}
NAJD: Json = {"name": "Najd GPU", "email": "gpu@example.sa", "gpu_model": "RTX 4090", "os": "Ubuntu"}


def test_missing_fields_are_listed_in_order(rest: Rest) -> None:
    """Contract 7, vector 10."""
    refused(rest.post("/renters/register", {}), 400, "Missing required fields: name, email", code="MISSING_FIELDS")
    refused(rest.post("/renters/register", {"name": "x"}), 400, "Missing required fields: email")


def test_a_name_of_one_letter_is_too_short(rest: Rest) -> None:
    """Contract 7, vector 11."""
    response = rest.post("/renters/register", {"name": "x", "email": "a@example.sa"})
    body = refused(response, 400, "Validation failed", code="VALIDATION_FAILED")
    assert fields(body)[0] == "name"


def test_a_renter_registers_once(rest: Rest) -> None:
    """Contract 7, vectors 12 and 13."""
    answer = answered(rest.post("/renters/register", NOURA), 201)
    assert answer["success"] is True
    assert answer["renter_id"] == 1
    assert answer["api_key"].startswith("dc1-renter-")
    assert answer["message"].startswith("Welcome Noura Salem!")

    again = rest.post("/renters/register", {"name": "Noura Salem", "email": "noura@example.sa"})
    refused(again, 409, "A renter with this email already exists", code="EMAIL_TAKEN")
    wallet = answered(rest.get("/renters/balance", key=answer["api_key"]))
    assert wallet == {
        "balance_halala": 1000,
        "balance_sar": 10,
        "held_halala": 0,
        "held_sar": 0,
        "available_halala": 1000,
        "total_spent_halala": 0,
        "total_spent_sar": 0,
        "total_jobs": 0,
    }


def test_a_provider_names_a_known_system(rest: Rest) -> None:
    """Contract 7, vector 14."""
    refused(rest.post("/providers/register", {}), 400, "Missing required fields: name, email, os")
    response = rest.post("/providers/register", {**NAJD, "os": "beos"})
    refused(response, 400, "Invalid os. Allowed: linux, windows, mac", code="INVALID_ENUM")


def test_a_new_provider_waits_for_approval(rest: Rest) -> None:
    """Contract 7, vector 15."""
    answer = answered(rest.post("/providers/register", NAJD), 201)
    key = answer["api_key"]
    assert key.startswith("dc1-provider-")
    assert key not in answer["installer_url"]
    assert answer["message"].startswith("Welcome Najd GPU!")

    account = answered(rest.get("/providers/me", key=key))["provider"]
    assert account["status"] == "registered"
    assert account["approval_status"] == "pending"
    assert account["last_heartbeat"] is None
    refused(rest.post("/providers/heartbeat", REPORT, key=key), 403, "Provider is not approved yet")
    assert answered(rest.get("/providers/me", key=key))["provider"] == account


def test_names_and_addresses_are_trimmed_and_the_rest_kept(rest: Rest) -> None:
    body = {
        "name": "  Noura <b>Salem</b> 🌊 ",
        "email": " Noura@Example.SA ",
        "organization": " مختبر طويق ",
        "phone": None,
    }
    answer = answered(rest.post("/renters/register", body), 201)
    assert answer["message"].startswith("Welcome Noura <b>Salem</b> 🌊!")
    account = answered(rest.get("/renters/me", key=answer["api_key"]))["renter"]
    assert account["name"] == "Noura <b>Salem</b> 🌊"
    assert account["email"] == "noura@example.sa"
    assert account["organization"] == " مختبر طويق "
    assert account["phone"] is None


@pytest.mark.parametrize(
    ("body", "stored"),
    [({"useCase": "llm"}, "llm"), ({"use_case": "train", "useCase": "llm"}, "train"), ({}, None)],
)
def test_use_case_has_an_alias(rest: Rest, body: Json, stored: str | None) -> None:
    answer = answered(rest.post("/renters/register", {**NOURA, **body}), 201)
    assert answered(rest.get("/renters/me", key=answer["api_key"]))["renter"]["use_case"] == stored


def test_one_address_may_own_a_renter_and_a_provider(rest: Rest) -> None:
    answered(rest.post("/renters/register", {"name": "Najd", "email": NAJD["email"]}), 201)
    answered(rest.post("/providers/register", NAJD), 201)
    refused(rest.post("/providers/register", NAJD), 409, "A provider with this email already exists")


@pytest.mark.parametrize("name", ["linux", "WINDOWS", "win", "Debian", "macOS", "darwin"])
def test_systems_have_usual_aliases(rest: Rest, name: str) -> None:
    answered(rest.post("/providers/register", {**NAJD, "os": name}), 201)


@pytest.mark.settings(rate_limits_enabled=True)
def test_the_sixth_registration_of_an_hour_is_too_many(market: LocalMarket) -> None:
    for number in range(5):
        market.rest.post("/renters/register", {"name": "Noura", "email": f"n{number}@example.sa"})
    response = market.rest.post("/api/renters/register", {"name": "Noura", "email": "n6@example.sa"})
    body = refused(response, 429, "Rate limit exceeded")
    assert 1 <= body["retryAfterSeconds"] <= 3600
    market.advance(3600)
    answered(market.rest.post("/renters/register", {"name": "Noura", "email": "n6@example.sa"}), 201)


def test_registrations_at_the_same_time_give_one_account(market: LocalMarket) -> None:
    answers = market.at_once([lambda: market.rest.post("/renters/register", NOURA)] * 4)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert market.admin.stats()["total_renters"] == 1
    assert market.admin.finance()["wallets_halala"] == 1000


SECRET = {"idempotency-key": "0123456789abcdef0123456789abcdef"}


@pytest.mark.parametrize(("path", "account"), [("/renters/register", NOURA), ("/providers/register", NAJD)])
def test_a_registration_whose_answer_was_lost_is_told_again(market: LocalMarket, path: str, account: Json) -> None:
    """Contract 6.6: with the key, of which nothing that is stored tells."""
    first = market.rest.post(path, account, headers=SECRET)
    key = answered(first, 201)["api_key"]
    market.restart()
    # Ignored keys are no part of what is asked (6.6).
    again = market.rest.post(f"/api{path}", {**account, "ignored": 1}, headers=SECRET)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    answered(market.rest.get(path.replace("register", "me"), key=key))
    # Another request is no repetition; nor is one under a key that others may have come upon as well.
    for body, headers in (({**account, "name": "Somebody else"}, SECRET), (account, {"idempotency-key": "k1"})):
        refused(market.rest.post(path, body, headers=headers), 409, code="EMAIL_TAKEN")
    others = answered(market.rest.post(path, {**account, "email": "other@example.sa"}, headers=SECRET), 201)
    assert others["api_key"] != key

    stored = b"".join(file.read_bytes() for file in market.data_directory.glob("dc1.sqlite3*"))
    assert b"Welcome " in stored
    assert not [secret for secret in (key, SECRET["idempotency-key"]) if secret.encode() in stored]


def test_one_registration_that_arrives_often_at_once_is_one(market: LocalMarket) -> None:
    answers = market.at_once([lambda: market.rest.post("/renters/register", NOURA, headers=SECRET)] * 4)
    assert {answer.content for answer in answers if answer.status_code == 201} != set()
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert market.admin.stats()["total_renters"] == 1


def test_two_renters_have_two_wallets(renter: Renter, market: LocalMarket) -> None:
    other = market.add_renter()
    other.top_up(500)
    assert (renter.id, renter.balance()) == (1, 1000)
    assert (other.id, other.balance()) == (2, 1500)


def test_keys_of_a_role_do_not_open_the_others_account(rest: Rest, renter: Renter, provider: PollDaemon) -> None:
    refused(rest.get("/renters/me", key=provider.key), 401, "API key required")
    refused(rest.get("/providers/me", key=renter.key), 401, "API key required")

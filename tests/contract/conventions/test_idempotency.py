"""A repeated call has the effect of one (contract 6.6; 7, vector 40)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Renter
from dc1.testing.rest import Json
from tests.contract.expect import answered, refused

K1 = {"idempotency-key": "k1"}
LONG_KEY = "Idempotency-Key must be at most 255 characters"

pytestmark = pytest.mark.usefixtures("provider")


# Enough keys that a map without an order would hardly be written twice alike.
SPEC = {"image_type": "llm", **{f"extra_{number}": number for number in range(40)}}


def test_the_first_answer_is_given_again(renter: Renter) -> None:
    """Contract 7, vector 40."""
    first = renter.try_submit(headers=K1, container_spec=SPEC)
    second = renter.try_submit(headers=K1, container_spec=SPEC)
    answered(first, 201)
    assert second.status_code == 201
    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert renter.balance() == 955

    refused(
        renter.try_submit(duration_minutes=4, headers=K1),
        409,
        "Idempotency-Key was already used with a different request",
        code="IDEMPOTENCY_MISMATCH",
    )
    refused(
        renter.try_submit(headers={"idempotency-key": "k" * 256}),
        400,
        LONG_KEY,
    )
    assert renter.wallet()["total_jobs"] == 1
    answered(renter.try_submit(headers={"idempotency-key": "k" * 255}), 201)


def test_equality_is_of_the_request_as_parsed(renter: Renter) -> None:
    params: Json = {"prompt": "اكتب بيتين عن البحر"}
    order: Json = {"job_type": "llm_inference", "duration_minutes": 3, "model": None, "params": params}
    first = renter.try_submit(order, headers=K1)
    for same in (
        {"params": params, "duration_minutes": 3, "job_type": "llm_inference"},
        {"duration_minutes": "3", "job_type": "llm_inference", "params": params},
        {"duration_minutes": 3.0, "job_type": "llm_inference", "params": params, "bogus": 1},
    ):
        again = renter.try_submit(same, headers=K1)
        assert again.content == first.content
    assert renter.wallet()["total_jobs"] == 1


@pytest.mark.parametrize(
    ("once", "again"),
    [
        ({"priority": 1}, {"priority": "1"}),
        ({"priority": "3"}, {"priority": 3.0}),
        ({}, {"priority": None, "task_spec": None, "env_vars": None, "provider_id": None}),
        ({"provider_id": 1}, {"provider_id": "1"}),
        ({"max_duration_seconds": 60}, {"max_duration_seconds": "60"}),
    ],
)
def test_what_is_said_in_another_way_is_the_same_request(renter: Renter, once: Json, again: Json) -> None:
    order = J3
    first = renter.try_submit(order | once, headers=K1)
    answered(first, 201)
    assert renter.try_submit(order | again, headers=K1).content == first.content
    refused(renter.try_submit(order | again | {"priority": 2}, headers=K1), 409, code="IDEMPOTENCY_MISMATCH")


def test_keys_belong_to_an_account_and_a_route(market: LocalMarket, renter: Renter) -> None:
    other = market.add_renter()
    first = answered(renter.try_submit(headers=K1), 201)
    theirs = answered(other.try_submit(headers=K1), 201)
    assert first["job"]["id"] != theirs["job"]["id"]
    answered(renter.post("/renters/topup", {"amount_halala": 10}, headers=K1))
    assert renter.balance() == 965


def test_a_replay_shows_the_job_as_it_was_then(renter: Renter) -> None:
    first = renter.try_submit(headers=K1)
    answered(renter.cancel(1))
    assert renter.try_submit(headers=K1).content == first.content
    assert renter.balance() == 1000


def test_refusals_are_not_kept(renter: Renter) -> None:
    refused(renter.try_submit(duration_minutes=80, headers=K1), 402)
    renter.top_up(500)
    answered(renter.try_submit(duration_minutes=80, headers=K1), 201)


def test_a_key_is_forgotten_after_a_day(market: LocalMarket, renter: Renter) -> None:
    first = renter.try_submit(headers=K1)
    market.advance(24 * 3600 - 1, silent=market.daemons)
    assert renter.try_submit(headers=K1).content == first.content
    market.advance(2, silent=market.daemons)
    again = renter.try_submit(headers=K1)
    assert "idempotent-replayed" not in again.headers
    assert answered(again, 201)["job"]["id"] == 2


def test_calls_at_the_same_time_have_one_effect(market: LocalMarket, renter: Renter) -> None:
    answers = market.at_once([lambda: renter.try_submit(headers=K1)] * 6)
    for answer in answers:
        if answer.status_code == 409:
            refused(answer, 409, "A request with this Idempotency-Key is in progress", code="IDEMPOTENCY_IN_PROGRESS")
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert renter.wallet()["total_jobs"] == 1


def test_a_replay_survives_a_restart(market: LocalMarket, renter: Renter) -> None:
    first = renter.try_submit(headers=K1)
    market.restart()
    second = renter.try_submit(headers=K1)
    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"


def test_top_ups_are_replayed(renter: Renter) -> None:
    first = renter.post("/renters/topup", {"amount_halala": 250}, headers=K1)
    second = renter.post("/renters/topup", {"amount_halala": 250}, headers=K1)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"
    assert renter.balance() == 1250


def test_a_blank_key_is_no_key(renter: Renter) -> None:
    for _ in range(2):
        answered(renter.try_submit(J3, headers={"idempotency-key": ""}), 201)
    assert renter.wallet()["total_jobs"] == 2


def test_the_key_is_checked_before_the_fields(renter: Renter) -> None:
    answered(renter.try_submit(headers=K1), 201)
    for body in ({}, {"job_type": "mining"}, {"job_type": "llm_inference", "duration_minutes": -5}):
        refused(renter.try_submit(body, headers=K1), 409, code="IDEMPOTENCY_MISMATCH")
        refused(renter.try_submit(body, headers={"idempotency-key": "k" * 256}), 400, LONG_KEY)
    refused(renter.post("/renters/topup", {}, headers={"idempotency-key": "k" * 256}), 400, LONG_KEY)
    refused(renter.try_submit({}, headers={"idempotency-key": "k2"}), 400, code="MISSING_FIELDS")
    assert renter.balance() == 955


def test_both_ways_to_submit_are_routes_of_their_own(renter: Renter) -> None:
    first = answered(renter.try_submit(headers=K1), 201)
    second = renter.post("/api/dc1/jobs?x=1", J3, headers=K1)
    assert answered(second, 201)["id"] != first["id"]
    assert renter.post("/jobs", J3, headers=K1).content == second.content
    assert renter.wallet()["total_jobs"] == 2

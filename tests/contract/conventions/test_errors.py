"""Paths, credentials and errors that belong to no single route (contract 7, vectors 1 to 9)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.rest import Rest
from dc1.testing.server import ADMIN_TOKEN
from tests.contract.expect import answered, refused

PREFIXES = ("", "/api", "/api/dc1")


@pytest.mark.parametrize("path", ["/nope", "/api/nope", "/api/dc1/nope"])
def test_an_unknown_path_is_not_found(rest: Rest, path: str) -> None:
    """Contract 7, vector 1."""
    response = rest.get(path)
    assert response.status_code == 404
    assert response.json() == {"error": "Not found", "code": "NOT_FOUND"}


def test_a_body_that_is_no_json_object_is_malformed(rest: Rest, renter: Renter) -> None:
    """Contract 7, vector 2."""
    json_type = {"content-type": "application/json"}
    broken = rest.rest("POST", "/renters/register", content=b'{"name":', headers=json_type)
    refused(broken, 400, "Malformed JSON body", code="MALFORMED_JSON")
    refused(renter.post("/jobs/submit", [1, 2]), 400, "Malformed JSON body", code="MALFORMED_JSON")


def test_a_body_of_3_mib_is_too_large(renter: Renter) -> None:
    """Contract 7, vector 3."""
    refused(renter.try_submit(params={"prompt": "x" * 3 * 1024 * 1024}), 413, "Request body too large")
    assert renter.balance() == 1000


def test_another_method_on_a_known_path_is_refused(rest: Rest) -> None:
    """Contract 7, vector 4."""
    response = rest.rest("DELETE", "/admin/dashboard", key=ADMIN_TOKEN)
    expected = {404: "Not found", 405: "Method not allowed"}
    assert response.json()["error"] == expected[response.status_code]


def test_a_stopped_service_is_unavailable(market: LocalMarket) -> None:
    """Contract 7, vector 5."""
    market.stop_server()
    for prefix in PREFIXES:
        refused(market.rest.get(f"{prefix}/renters/balance"), 503, "Service unavailable", code="UPSTREAM_UNAVAILABLE")
    refused(market.rest.post("/renters/register", {}), 503, "Service unavailable", code="UPSTREAM_UNAVAILABLE")


@pytest.mark.settings(rate_limits_enabled=True)
def test_the_21st_submission_of_a_minute_is_too_many(market: LocalMarket, renter: Renter) -> None:
    """Contract 7, vector 6."""
    cheap = {"job_type": "benchmark", "duration_minutes": 0.1}
    for prefix in PREFIXES * 7:
        if prefix != PREFIXES[-1]:  # the three prefixes share one bucket; 14 here and 6 below make 20
            answered(renter.post(f"{prefix}/jobs/submit", cheap), 201)
    for _ in range(6):
        renter.submit(cheap)
    market.advance(12)
    response = renter.try_submit(cheap)
    body = refused(response, 429, "Rate limit exceeded")
    seconds = body["retryAfterSeconds"]
    assert seconds == 48
    assert body["retryAfterMs"] == 48_000
    assert response.headers["retry-after"] == "48"
    market.advance(48)
    renter.submit(cheap)
    assert renter.wallet()["total_jobs"] == 21


def test_three_prefixes_and_three_carriers_answer_alike(rest: Rest, renter: Renter) -> None:
    """Contract 7, vector 7."""
    answers = []
    for prefix in PREFIXES:
        path = f"{prefix}/renters/balance"
        answers.append(rest.get(path, headers={"x-renter-key": renter.key}))
        answers.append(rest.get(path, headers={"authorization": f"Bearer {renter.key}"}))
        answers.append(rest.get(path, params={"key": renter.key}))
    assert [answer.status_code for answer in answers] == [200] * 9
    assert len({answer.content for answer in answers}) == 1


def test_the_header_wins_over_the_query(rest: Rest, renter: Renter) -> None:
    """Contract 7, vector 8."""
    refused(rest.get("/renters/balance"), 401, "API key required")
    both = rest.get("/renters/balance", headers={"x-renter-key": "bad"}, params={"key": renter.key})
    refused(both, 401, "Invalid API key")


def test_the_openapi_file_is_served(rest: Rest) -> None:
    """Contract 7, vector 9."""
    response = rest.get("/docs/openapi.yaml")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/yaml"
    assert response.text.startswith("openapi: 3.")

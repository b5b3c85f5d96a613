"""Vectors 1 to 9: paths, credentials and errors that belong to no single route."""

import json

import pytest

from tests.contract.expect import answered, refused
from tests.stack.people import J3, Admin, Renter
from tests.stack.poll_daemon import PollDaemon
from tests.stack.rest import Rest
from tests.stack.stack import ADMIN_TOKEN, CORS_ORIGIN, Stack

PREFIXES = ("", "/api", "/api/dc1")


@pytest.mark.parametrize("path", ["/nope", "/api/nope", "/api/dc1/nope"])
def test_01_an_unknown_path_is_not_found(rest: Rest, path: str) -> None:
    response = rest.get(path)
    assert response.status_code == 404
    assert response.json() == {"error": "Not found"}


def test_02_a_body_that_is_no_json_object_is_malformed(rest: Rest, renter: Renter) -> None:
    json_type = {"content-type": "application/json"}
    broken = rest.rest("POST", "/renters/register", content=b'{"name":', headers=json_type)
    refused(broken, 400, "Malformed JSON body", code="MALFORMED_JSON")
    refused(renter.post("/jobs/submit", [1, 2]), 400, "Malformed JSON body", code="MALFORMED_JSON")


def test_03_a_body_of_3_mib_is_too_large(renter: Renter) -> None:
    refused(renter.try_submit(params={"prompt": "x" * 3 * 1024 * 1024}), 413, "Request body too large")
    assert renter.balance() == 1000


def test_04_another_method_on_a_known_path_is_refused(rest: Rest) -> None:
    response = rest.rest("DELETE", "/admin/dashboard", key=ADMIN_TOKEN)
    expected = {404: "Not found", 405: "Method not allowed"}
    assert response.json()["error"] == expected[response.status_code]


def test_05_a_stopped_service_is_unavailable(stack: Stack) -> None:
    stack.stop_server()
    for prefix in PREFIXES:
        refused(stack.rest.get(f"{prefix}/renters/balance"), 503, "Service unavailable", code="UPSTREAM_UNAVAILABLE")
    refused(stack.rest.post("/renters/register", {}), 503, "Service unavailable", code="UPSTREAM_UNAVAILABLE")


@pytest.mark.settings(rate_limits_enabled=True)
def test_06_the_21st_submission_of_a_minute_is_too_many(stack: Stack, renter: Renter) -> None:
    cheap = {"job_type": "benchmark", "duration_minutes": 0.1}
    for prefix in PREFIXES * 7:
        if prefix != PREFIXES[-1]:  # the three prefixes share one bucket; 14 here and 6 below make 20
            answered(renter.post(f"{prefix}/jobs/submit", cheap), 201)
    for _ in range(6):
        renter.submit(cheap)
    stack.advance(12)
    response = renter.try_submit(cheap)
    body = refused(response, 429, "Rate limit exceeded")
    seconds = body["retryAfterSeconds"]
    assert seconds == 48
    assert body["retryAfterMs"] == 48_000
    assert response.headers["retry-after"] == "48"
    stack.advance(48)
    renter.submit(cheap)
    assert renter.wallet()["total_jobs"] == 21


def test_07_three_prefixes_and_three_carriers_answer_alike(rest: Rest, renter: Renter) -> None:
    answers = []
    for prefix in PREFIXES:
        path = f"{prefix}/renters/balance"
        answers.append(rest.get(path, headers={"x-renter-key": renter.key}))
        answers.append(rest.get(path, headers={"authorization": f"Bearer {renter.key}"}))
        answers.append(rest.get(path, params={"key": renter.key}))
    assert [answer.status_code for answer in answers] == [200] * 9
    assert len({answer.content for answer in answers}) == 1


def test_08_the_header_wins_over_the_query(rest: Rest, renter: Renter) -> None:
    refused(rest.get("/renters/balance"), 401, "API key required")
    both = rest.get("/renters/balance", headers={"x-renter-key": "bad"}, params={"key": renter.key})
    refused(both, 401, "Invalid API key")


def test_09_the_openapi_file_is_served(rest: Rest) -> None:
    response = rest.get("/docs/openapi.yaml")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/yaml"
    assert response.text.startswith("openapi: 3.")


@pytest.mark.parametrize(
    "carriers",
    [
        {"headers": {"x-renter-key": "KEY", "authorization": "Bearer bad"}},
        {"headers": {"authorization": "Bearer KEY"}, "params": {"key": "bad"}},
        {"headers": {"authorization": "bearer KEY"}},
        {"headers": {"x-renter-key": "", "authorization": "Bearer KEY"}},
        {"headers": {"x-renter-key": ""}, "params": {"renter_key": "KEY"}},
        {"params": {"key": "KEY", "renter_key": "bad"}},
        {"headers": {"x-provider-key": "irrelevant", "x-admin-token": "irrelevant"}, "params": {"renter_key": "KEY"}},
    ],
)
def test_the_first_carrier_that_is_not_blank_counts(
    rest: Rest, renter: Renter, carriers: dict[str, dict[str, str]]
) -> None:
    filled = {
        kind: {name: value.replace("KEY", renter.key) for name, value in values.items()}
        for kind, values in carriers.items()
    }
    answered(rest.get("/renters/balance", **filled))


def test_a_bad_carrier_is_not_helped_by_a_later_one(rest: Rest, provider: PollDaemon) -> None:
    response = rest.rest(
        "POST", "/providers/heartbeat", json={"api_key": provider.key}, headers={"authorization": "Bearer bad"}
    )
    refused(response, 401, "Invalid API key")
    answered(rest.rest("POST", "/providers/heartbeat", json={"api_key": provider.key}, headers={"x-provider-key": ""}))


def test_a_key_in_the_query_is_answered_as_deprecated(rest: Rest, renter: Renter) -> None:
    by_query = rest.get("/renters/balance", params={"renter_key": renter.key})
    assert by_query.headers["deprecation"] == "true"
    assert 'rel="deprecation"' in by_query.headers["link"]
    assert by_query.headers["sunset"]
    assert "deprecation" not in renter.get("/renters/balance").headers
    refusal = rest.get("/renters/balance", params={"key": "bad"})
    refused(refusal, 401, "Invalid API key")
    assert refusal.headers["deprecation"] == "true"


def test_a_key_of_the_other_role_is_named_as_such(rest: Rest, renter: Renter, provider: PollDaemon) -> None:
    text = "Wrong key type: provider key cannot be used on renter endpoint"
    for carrier in (
        {"headers": {"x-renter-key": provider.key}},
        {"headers": {"authorization": f"Bearer {provider.key}"}},
        {"params": {"key": provider.key}},
    ):
        refused(rest.get("/renters/balance", **carrier), 401, text, code="WRONG_KEY_TYPE")
    text = "Wrong key type: renter key cannot be used on provider endpoint"
    refused(rest.get("/providers/me", params={"key": renter.key}), 401, text, code="WRONG_KEY_TYPE")


def test_a_key_with_one_character_changed_is_bad(rest: Rest, renter: Renter) -> None:
    last = "a" if renter.key[-1] != "a" else "b"
    refused(rest.get("/renters/balance", key=renter.key[:-1] + last), 401, "Invalid API key")


def test_the_admin_token_is_never_taken_from_the_query(rest: Rest) -> None:
    for name in ("key", "admin_token", "token", "x-admin-token"):
        refused(rest.get("/admin/dashboard", params={name: ADMIN_TOKEN}), 401, "Admin access denied")


@pytest.mark.parametrize("path", ["/renters/balance/", "/Renters/balance", "/renters//balance", "/api/v1/models"])
def test_paths_match_exactly(rest: Rest, renter: Renter, path: str) -> None:
    refused(rest.get(path, key=renter.key), 404, "Not found")


def test_a_doubled_slash_before_a_prefix_is_one(rest: Rest, renter: Renter) -> None:
    assert rest.rest("GET", f"{rest.url}//api/renters/balance", key=renter.key).status_code == 200


@pytest.mark.parametrize("url", ["/renters/bal%ZZance", "/jobs/%ff%fe", "/renters/balance?x=%zz"])
def test_an_undecodable_url_is_malformed(rest: Rest, renter: Renter, url: str) -> None:
    refused(rest.get(url, key=renter.key), 400, "Malformed URL")


def test_unknown_query_parameters_are_ignored(renter: Renter) -> None:
    answered(renter.get("/renters/balance", params={"utm_source": "mail", "nested.key": "1", "list[]": "2"}))


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "text/html"])
def test_a_body_is_json_whatever_its_content_type_says(rest: Rest, renter: Renter, content_type: str | None) -> None:
    headers = {"x-renter-key": renter.key} | ({"content-type": content_type} if content_type else {})
    body = json.dumps(J3).encode()
    answered(rest.rest("POST", "/jobs/submit", content=body, headers=headers), 201)


def test_an_empty_body_counts_as_an_empty_object(rest: Rest, renter: Renter) -> None:
    for content in (b"", b"{}"):
        response = rest.rest("POST", "/jobs/submit", content=content, key=renter.key)
        refused(response, 400, "Missing required fields: job_type, duration_minutes", code="MISSING_FIELDS")


@pytest.mark.parametrize("body", [b"null", b'"text"', b"12", b"[]", b"\xff\xfe{}", b"{} {}"])
def test_what_is_not_a_json_object_in_utf8_is_malformed(rest: Rest, renter: Renter, body: bytes) -> None:
    response = rest.rest("POST", "/jobs/submit", content=body, key=renter.key)
    refused(response, 400, "Malformed JSON body", code="MALFORMED_JSON")


def test_a_chunked_body_is_read(rest: Rest, renter: Renter) -> None:
    text = json.dumps(J3).encode()
    response = rest.rest("POST", "/jobs/submit", content=iter([text[:10], text[10:]]), key=renter.key)
    answered(response, 201)


def test_a_listed_origin_is_echoed(renter: Renter) -> None:
    response = renter.get("/renters/balance", headers={"origin": CORS_ORIGIN})
    assert response.headers["access-control-allow-origin"] == CORS_ORIGIN


def test_another_origin_gets_the_plain_answer(renter: Renter) -> None:
    response = renter.get("/renters/balance", headers={"origin": "https://evil.example"})
    answered(response)
    assert not [name for name in response.headers if name.startswith("access-control-")]


def test_options_lists_methods_and_headers(rest: Rest) -> None:
    response = rest.rest("OPTIONS", "/jobs/submit")
    assert response.status_code == 204
    assert "POST" in response.headers["access-control-allow-methods"]
    assert "x-renter-key" in response.headers["access-control-allow-headers"].lower()
    assert response.headers["access-control-max-age"] == "86400"


def test_an_admin_reads_with_bearer_too(rest: Rest, admin: Admin) -> None:
    by_bearer = rest.get("/admin/dashboard", headers={"authorization": f"Bearer {admin.token}"})
    assert by_bearer.json() == admin.dashboard()

"""Carriers of credentials, paths, bodies and origins (contract 1)."""

import json

import httpx
import pytest

from dc1.testing.edge import CORS_ORIGIN
from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Rest
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.waiting import eventually
from tests.contract import quiet
from tests.contract.expect import answered, refused

market, renter, provider = quiet.market, quiet.renter, quiet.provider


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


def test_of_a_header_that_is_sent_twice_the_first_counts(rest: Rest, renter: Renter) -> None:
    def balance(*keys: str) -> httpx.Response:
        headers = [("x-renter-key", key) for key in keys]
        return httpx.get(f"{rest.url}/renters/balance", headers=headers, trust_env=False)

    refused(balance("bad", renter.key), 401, "Invalid API key")
    answered(balance(renter.key, "bad"))
    answered(balance("", renter.key))


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


def test_keys_are_in_no_log(market: LocalMarket, renter: Renter, rest: Rest, capfd: pytest.CaptureFixture[str]) -> None:
    answered(rest.get("/renters/balance", params={"key": renter.key, "seen": "query"}))
    answered(rest.get("/api/renters/balance", headers={"authorization": f"Bearer {renter.key}"}))
    answered(rest.get("/api/dc1/renters/me", key=renter.key))
    refused(rest.get(f"/providers/{renter.key}/nothing"), 404)
    access_log = market.edge.config.directory / "access.log"
    log = eventually(lambda: _ending_with(access_log.read_text(), "/nothing"), "the access log being written")
    captured = capfd.readouterr()
    assert '"path":"/renters/me"' in log
    assert "/dcp.v1.RenterService/GetRenter" in captured.out + captured.err
    for secret in (renter.key, renter.key.removeprefix("dc1-renter-")):
        assert secret not in log + captured.out + captured.err


def _ending_with(text: str, path: str) -> str:
    """The text once its last line is about this path."""
    return text if text and path in text.splitlines()[-1] else ""

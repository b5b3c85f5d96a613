"""What renters are told, how it is signed, and where it never goes (contract 6.3; 7, vector 59)."""

import json
import stat
from functools import partial
from typing import Any

import pytest

from dc1.domain.access.webhooks import signature, standard_headers
from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits, integer, nothing, number, or_null, text, time
from tests.support.receiver import Receiver

NOT_PUBLIC = "webhook_url must be a public https URL"

DELIVERY: Json = {
    "delivery_id": text,
    "event": text,
    "job_id": or_null(text),
    "url": text,
    "status": text,
    "attempts": integer,
    "response_status": or_null(integer),
    "error": or_null(text),
    "created_at": time,
    "last_attempt_at": or_null(time),
    "next_attempt_at": or_null(time),
    "delivered_at": or_null(time),
}
LOG: Json = {
    "deliveries": [DELIVERY],
    "pagination": dict.fromkeys(("page", "limit", "total", "pages"), integer),
}
JOB: Json = {
    "id": integer,
    "job_id": text,
    "status": text,
    "job_type": text,
    "model": or_null(text),
    "provider_id": or_null(integer),
    "submitted_at": time,
    "started_at": or_null(time),
    "completed_at": or_null(time),
    "error": or_null(text),
}
ENDED: Json = {
    "event": text,
    "delivery_id": text,
    "timestamp": time,
    "job": JOB,
    "billing": dict.fromkeys(("quote_halala", "actual_cost_halala", "refunded_halala"), number),
}


def log(renter: Renter, **params: Any) -> list[Json]:
    answer = answered(renter.get("/renters/me/webhook-deliveries", params=params))
    assert fits(answer, LOG)
    deliveries: list[Json] = answer["deliveries"]
    return deliveries


def finished(renter: Renter) -> list[Json]:
    """The log once nothing waits to be sent now."""

    def rows() -> list[Json]:
        found = log(renter)
        return found if all(row["attempts"] for row in found) else []

    return eventually(rows, "an attempt at every delivery")


def attempted(renter: Renter, count: int) -> Json:
    """The only delivery, once it was tried this often."""
    (row,) = eventually(lambda: [row for row in log(renter) if row["attempts"] == count], "the attempt noted")
    return row


@pytest.mark.settings(webhook_allow_private=True)
def test_a_renter_has_limits_of_its_own_and_is_told_when_they_are_near(
    market: LocalMarket, renter: Renter, receiver: Receiver, settings_of: Any
) -> None:
    """Vector 73."""
    settings_of(renter, webhook_url=receiver.url)
    path = f"/admin/renters/{renter.id}/limits"
    wanted = {"monthly_limit_halala": 90, "daily_jobs_limit": 2}
    limited = answered(market.admin.patch(path, wanted))
    calls = dict.fromkeys(("requests_per_minute", "tokens_per_minute", "streams"))
    assert limited == {"success": True, "renter_id": renter.id, **wanted, **calls}
    shown = answered(market.admin.get(f"/admin/renters/{renter.id}"))["renter"]
    assert shown["own_limits"] == {**wanted, **calls}
    assert shown["market_limits"] == {"monthly_limit_halala": 10_000, "daily_jobs_limit": 100, **calls}
    renter.submit()
    renter.submit()
    refused(renter.try_submit(), 429, code="QUOTA_DAILY", daily_jobs_limit=2)
    assert answered(market.admin.patch(path, {"monthly_limit_halala": 100}))["daily_jobs_limit"] == 100
    refused(renter.try_submit(), 429, code="QUOTA_MONTHLY", monthly_spend_limit_halala=100, spent_this_month_halala=90)
    told = sorted((json.loads(request.body)["budget"] for request in receiver.wait(3)), key=str)
    # The order that did not fit is told as well, of the limit that it did not fit.
    assert told == [
        {"threshold_percent": percent, "used_halala": 90, "limit_halala": limit}
        for percent, limit in ((100, 100), (100, 90), (80, 90))
    ]
    refused(market.admin.patch(path, {"monthly_limit_halala": -1}), 400)
    refused(market.admin.patch("/admin/renters/99/limits", {}), 404, "Renter not found")


def test_a_delivery_is_signed_with_the_renters_secret() -> None:
    """Contract 7, vector 59."""
    body = b'{"event":"job.completed","job_id":"job-1774206010000-ab12cd"}'
    expected = "sha256=b5bc82d956df6ea60aca7b3126a56f102d0ff435112fc40293b66a03f72b578c"
    assert signature("whsec_0123456789abcdef", body) == expected


@pytest.mark.settings(webhook_allow_private=True)
def test_a_run_is_told_step_by_step(
    market: LocalMarket, renter: Renter, provider: PollDaemon, receiver: Receiver, settings_of: Any
) -> None:
    secret = settings_of(renter, webhook_url=receiver.url)["webhook_secret"]
    job = renter.submit()
    provider.next()
    # A delivery that is under way when the clock jumps would count as lost, and be sent again.
    eventually(lambda: log(renter, status="delivered"), "the start delivered")
    market.advance(95)
    provider.result(job["id"], duration_seconds=95)
    started, completed = sorted(receiver.wait(2), key=lambda request: request.headers["x-dcp-event"], reverse=True)
    for request, event in ((started, "job.started"), (completed, "job.completed")):
        body = json.loads(request.body)
        assert (request.path, request.headers["x-dcp-event"], body["event"]) == ("/hook?room=7", event, event)
        assert request.headers["x-dcp-delivery"] == body["delivery_id"]
        assert request.headers["x-dcp-signature"] == signature(secret, request.body)
        sent_at = int(request.headers["webhook-timestamp"])
        # Official libraries of Standard Webhooks take these as they are.
        standard = standard_headers(secret, body["delivery_id"], sent_at, request.body)
        assert standard.items() <= request.headers.items()
        assert request.headers["content-type"] == "application/json"
        assert request.headers["host"] == receiver.url.split("/")[2]
        assert fits(body["job"], JOB)
        assert show(body["job"], "id", "job_id", "job_type", "provider_id") == show(
            job, "id", "job_id", "job_type", "provider_id"
        )
    assert json.loads(started.body)["billing"] == {
        "quote_halala": 45,
        "actual_cost_halala": None,
        "refunded_halala": None,
    }
    told = json.loads(completed.body)
    assert fits(told, ENDED)
    assert told["billing"] == {"quote_halala": 45, "actual_cost_halala": 24, "refunded_halala": 21}
    assert told["timestamp"] == told["job"]["completed_at"] == market.now()
    rows = eventually(lambda: log(renter, status="delivered")[1:] and log(renter), "both deliveries noted")
    assert [row["event"] for row in rows] == ["job.completed", "job.started"]
    assert show(rows[0], "status", "attempts", "response_status", "error", "next_attempt_at", "job_id", "url") == {
        "status": "delivered",
        "attempts": 1,
        "response_status": 200,
        "error": None,
        "next_attempt_at": None,
        "job_id": job["job_id"],
        "url": receiver.url,
    }


@pytest.mark.settings(webhook_allow_private=True)
def test_failed_and_cancelled_jobs_and_a_low_balance(
    market: LocalMarket, renter: Renter, provider: PollDaemon, receiver: Receiver, settings_of: Any
) -> None:
    settings_of(renter, webhook_url=receiver.url)
    renter.submit()
    provider.next()
    answered(provider.try_result(1, error="CUDA out of memory"))
    answered(renter.cancel(renter.submit(duration_minutes=50)["id"]))
    renter.submit(duration_minutes=60)
    bodies = {body["event"]: body for body in (json.loads(request.body) for request in receiver.wait(4))}
    assert set(bodies) == {"job.started", "job.failed", "job.cancelled", "balance.low"}
    failed = bodies["job.failed"]
    assert fits(failed, ENDED)
    assert show(failed["job"], "status", "error") == {"status": "failed", "error": "CUDA out of memory"}
    assert failed["billing"] == {"quote_halala": 45, "actual_cost_halala": 0, "refunded_halala": 45}
    cancelled = bodies["job.cancelled"]
    assert fits(cancelled["job"], {**JOB, "error": nothing})
    assert cancelled["billing"] == {"quote_halala": 750, "actual_cost_halala": 0, "refunded_halala": 750}
    assert bodies["balance.low"]["balance"] == {"balance_halala": 100, "threshold_halala": 200}
    low = log(renter, event="balance.low")
    assert [row["job_id"] for row in low] == [None]
    page = answered(renter.get("/renters/me/webhook-deliveries", params={"page": 2, "limit": 3}))
    assert [row["event"] for row in page["deliveries"]] == ["job.started"]
    assert page["pagination"] == {"page": 2, "limit": 3, "total": 4, "pages": 2}


@pytest.mark.settings(webhook_allow_private=True)
def test_failures_are_retried_after_1_2_and_4_seconds_with_the_same_body(
    market: LocalMarket, renter: Renter, provider: PollDaemon, receiver: Receiver, settings_of: Any
) -> None:
    settings_of(renter, webhook_url=receiver.url)
    receiver.answer(500)
    receiver.answer(302, {"location": receiver.url})
    receiver.answer(404)
    receiver.answer(503)
    answered(renter.cancel(renter.submit()["id"]))
    for number_, (wait, status) in enumerate(((1, 500), (2, 302), (4, 404)), start=1):
        receiver.wait(number_)
        row = attempted(renter, number_)
        assert show(row, "status", "response_status", "error", "next_attempt_at") == {
            "status": "pending",
            "response_status": status,
            "error": f"The answer was HTTP {status}",
            "next_attempt_at": market.now(wait),
        }
        market.advance(wait)
    requests = receiver.wait(4)
    assert len({(request.body, request.headers["x-dcp-signature"]) for request in requests}) == 1
    (row,) = eventually(lambda: log(renter, status="failed"), "the last attempt noted")
    assert show(row, "attempts", "response_status", "next_attempt_at") == {
        "attempts": 4,
        "response_status": 503,
        "next_attempt_at": None,
    }


@pytest.mark.settings(webhook_allow_private=True)
def test_a_silent_receiver_delays_nothing_and_what_was_not_sent_survives_a_restart(
    market: LocalMarket, renter: Renter, provider: PollDaemon, receiver: Receiver, settings_of: Any
) -> None:
    settings_of(renter, webhook_url=receiver.url)
    receiver.silence.clear()
    answered(renter.cancel(renter.submit()["id"]))
    receiver.wait(1)
    renter.submit()
    provider.next()
    assert provider.result(2)["billing"]["actual_cost_halala"] == 1
    market.restart()
    receiver.silence.set()
    eventually(lambda: len(log(renter, status="delivered")) == 3, "every delivery after the restart")
    ids = {request.headers["x-dcp-delivery"] for request in receiver.received}
    assert ids == {row["delivery_id"] for row in log(renter)}


@pytest.mark.settings(webhook_allow_private=True)
def test_secrets_are_made_once_replaced_on_request_and_never_stored_in_clear(
    market: LocalMarket, renter: Renter, receiver: Receiver, settings_of: Any
) -> None:
    first = settings_of(renter, webhook_url=receiver.url)
    assert first["webhook_url"] == receiver.url
    assert first["webhook_secret"].startswith("whsec_")
    assert settings_of(renter, webhook_url=receiver.url)["webhook_secret"] is None
    assert settings_of(renter) == {"webhook_url": receiver.url, "webhook_secret": None}
    second = settings_of(renter, rotate_webhook_secret=True)
    assert second["webhook_url"] == receiver.url
    assert second["webhook_secret"] not in (None, first["webhook_secret"])
    answered(renter.cancel(renter.submit()["id"]))
    (request,) = receiver.wait(1)
    assert request.headers["x-dcp-signature"] == signature(second["webhook_secret"], request.body)
    assert answered(renter.get("/renters/me"))["renter"]["webhook_url"] == receiver.url
    market.stop_server()
    directory = market.data_directory
    for path in directory.glob("dc1.sqlite3*"):
        assert second["webhook_secret"].encode() not in path.read_bytes()
    assert stat.S_IMODE((directory / "secret.key").stat().st_mode) == 0o600


@pytest.mark.settings(webhook_allow_private=True)
@pytest.mark.parametrize("off", [None, ""])
def test_webhooks_are_switched_off(
    market: LocalMarket, renter: Renter, receiver: Receiver, settings_of: Any, off: str | None
) -> None:
    settings_of(renter, webhook_url=receiver.url)
    receiver.answer(500)
    answered(renter.cancel(renter.submit()["id"]))
    receiver.wait(1)
    finished(renter)
    assert settings_of(renter, webhook_url=off) == {"webhook_url": None, "webhook_secret": None}
    assert [row["status"] for row in log(renter)] == ["failed"]
    answered(renter.cancel(renter.submit()["id"]))
    market.advance(60)
    assert len(log(renter)) == len(receiver.received) == 1


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/hook",
        "https://127.0.0.1/",
        "https://localhost:8443/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://0.0.0.0/",
        "https://2130706433/",
        "https://user:password@203.0.113.1/",
        "https:///nowhere",
        "https://no-such-host.invalid/",
        "ftp://example.com/",
        "not a url",
        "https://1.1.1.1/" + "a" * 2048,
    ],
)
def test_an_address_that_is_not_public_is_refused(market: LocalMarket, renter: Renter, address: str) -> None:
    refused(market.rest.patch("/renters/settings", {"webhook_url": address}, key=renter.key), 400, NOT_PUBLIC)
    assert answered(renter.get("/renters/me"))["renter"]["webhook_url"] is None


def test_a_public_address_is_taken(market: LocalMarket, renter: Renter, settings_of: Any) -> None:
    assert settings_of(renter, webhook_url="https://1.1.1.1/hook")["webhook_url"] == "https://1.1.1.1/hook"
    for bad in (7, True, ["https://1.1.1.1/"], {"url": "x"}):
        refused(market.rest.patch("/renters/settings", {"webhook_url": bad}, key=renter.key), 400)


@pytest.mark.settings(webhook_allow_private=True)
def test_an_address_that_became_private_gets_nothing(
    market: LocalMarket, renter: Renter, receiver: Receiver, settings_of: Any
) -> None:
    settings_of(renter, webhook_url=receiver.url)
    market.restart(webhook_allow_private=False)
    answered(renter.cancel(renter.submit()["id"]))
    (row,) = finished(renter)
    assert show(row, "status", "error", "response_status") == {
        "status": "pending",
        "error": "The host is not public",
        "response_status": None,
    }
    assert receiver.received == []


@pytest.mark.settings(environment="production")
def test_production_keeps_no_secrets_without_a_key(market: LocalMarket, renter: Renter) -> None:
    response = market.rest.patch("/renters/settings", {"webhook_url": "https://1.1.1.1/"}, key=renter.key)
    refused(response, 503, "Webhooks are not configured")
    refused(market.rest.patch("/renters/settings", {"rotate_webhook_secret": True}, key=renter.key), 503)


def test_a_log_is_its_renter_s_own(market: LocalMarket, renter: Renter, settings_of: Any) -> None:
    settings_of(renter, webhook_url="https://1.1.1.1/")
    stranger = market.add_renter()
    assert log(stranger) == []
    for bad in ({"event": "job.lost"}, {"status": "x"}, {"page": 0}, {"limit": "x"}):
        refused(stranger.get("/renters/me/webhook-deliveries", params=bad), 400)


@pytest.mark.settings(webhook_allow_private=True)
def test_a_scoped_key_has_a_budget_of_its_own(
    market: LocalMarket, renter: Renter, receiver: Receiver, settings_of: Any
) -> None:
    """Vector 74."""
    settings_of(renter, webhook_url=receiver.url)
    made = answered(renter.post("/renters/me/keys", {"monthly_budget_halala": 50}), 201)
    assert made["monthly_budget_halala"] == 50
    path = f"/renters/me/keys/{made['id']}"
    submit = partial(market.rest.post, "/jobs/submit", J3, key=made["key"])
    change = partial(market.rest.patch, path, key=renter.key)
    answered(submit(), 201)
    wanted: Json = {"monthly_budget_halala": 50, "spent_this_month_halala": 45, "requested_halala": 45}
    for _ in range(2):
        assert refused(submit(), 429, code="KEY_BUDGET", **wanted)["retryAfterSeconds"] > 0
    told = sorted((json.loads(request.body)["budget"] for request in receiver.wait(2)), key=str)
    budget = {"used_halala": 45, "limit_halala": 50, "key_id": made["id"]}
    assert told == [{"threshold_percent": percent, **budget} for percent in (100, 80)]
    (listed,) = answered(renter.get("/renters/me/keys"))["keys"]
    assert (listed["monthly_budget_halala"], listed["spent_this_month_halala"]) == (50, 45)
    # The master key is not held to it.
    renter.submit()
    refused(change({}), 400, "Missing required fields: monthly_budget_halala")
    for wrong in (-1, 1.5, "50", True, 2_000_000_001):
        refused(change({"monthly_budget_halala": wrong}), 400)
    refused(
        market.rest.patch("/renters/me/keys/none", {"monthly_budget_halala": 1}, key=renter.key), 404, "Key not found"
    )
    refused(market.rest.patch(path, {"monthly_budget_halala": None}, key=made["key"]), 403, code="SCOPE_MISSING")
    changed = answered(change({"monthly_budget_halala": None}))
    limits = dict.fromkeys(("requests_per_minute", "tokens_per_minute", "streams", "models"))
    limits |= dict.fromkeys(("only_providers", "ignore_providers"))
    spent = {"monthly_budget_halala": None, "spent_this_month_halala": 45}
    assert changed == {"success": True, "id": made["id"], **spent, **limits}
    answered(submit(), 201)

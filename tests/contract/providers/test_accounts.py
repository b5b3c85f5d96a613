"""Providers looking after their account: profile, key, a copy of everything, and the end."""

from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json, Rest
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits
from tests.contract.shapes.providers import PROVIDER_ACCOUNT, PROVIDER_EXPORT

CONFIRMED: Json = {"confirm": "DELETE_MY_ACCOUNT"}
ROUTES = [
    ("POST", "/providers/preferences"),
    ("PATCH", "/providers/me/gpu-profile"),
    ("POST", "/providers/me/rotate-key"),
    ("GET", "/providers/me/export"),
    ("DELETE", "/providers/me"),
]


@pytest.mark.parametrize(("verb", "path"), ROUTES)
def test_other_roles_and_strangers_are_refused(
    rest: Rest, renter: Renter, provider: PollDaemon, verb: str, path: str
) -> None:
    body: dict[str, Any] = {} if verb == "GET" else {"json": CONFIRMED}
    refused(rest.rest(verb, path, **body), 401, "API key required")
    refused(rest.rest(verb, path, headers={"x-provider-key": "nope"}, **body), 401, "Invalid API key")
    refused(rest.rest(verb, path, headers={"x-provider-key": renter.key}, **body), 401, code="WRONG_KEY_TYPE")
    refused(rest.rest(verb, path, headers={"x-admin-token": ADMIN_TOKEN}, **body), 401)
    assert provider.account()["run_mode"] == "always-on"


def test_an_account_shows_what_the_machine_does(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    provider.heartbeat({"gpu_status": {"gpu_util_pct": 37, "temp_c": 61, "free_vram_mib": 20000}})
    renter.submit()
    job = provider.next()
    account = answered(provider.get("/providers/me"))
    fits(account, PROVIDER_ACCOUNT)
    shown = account["provider"]
    assert shown["gpu_metrics"] == {"utilization_pct": 37, "vram_used_mib": 4564, "temperature_c": 61}
    assert show(shown["active_job"], "id", "status") == {"id": job["id"], "status": "running"}
    assert shown["supported_compute_types"] == ["inference", "training", "rendering"]
    market.advance(95)
    provider.result(1)
    sums = dict.fromkeys(("total", "today", "week", "month"), 18)
    assert show(provider.account(), *(f"{name}_earnings_halala" for name in sums)) == {
        f"{name}_earnings_halala": value for name, value in sums.items()
    }
    market.advance(5 * 3600, silent=[provider])
    assert show(provider.account(), "today_earnings_halala", "week_earnings_halala", "active_job") == {
        "today_earnings_halala": 0,
        "week_earnings_halala": 18,
        "active_job": None,
    }


def test_a_profile_is_the_owners_until_a_daemon_speaks(market: LocalMarket, renter: Renter) -> None:
    provider = market.register_provider()
    path = "/providers/me/gpu-profile"
    sent = {"gpu_model": "NVIDIA A100", "vram_mb": 81920, "gpu_count": 2, "supported_compute_types": ["training"]}
    assert answered(provider.patch(path, sent)) == {"success": True, "profile": {**sent, "gpu_source": "claimed"}}
    again = answered(provider.patch(path, {"supported_compute_types": []}))["profile"]
    assert again["supported_compute_types"] == ["inference", "training", "rendering"]
    market.restart()
    assert show(provider.account(), "gpu_model", "gpu_vram_mib", "gpu_count") == {
        "gpu_model": "NVIDIA A100",
        "gpu_vram_mib": 81920,
        "gpu_count": 2,
    }
    market.admin.approve(provider.id)
    provider.heartbeat()
    response = provider.patch(path, {"gpu_model": "H200"})
    refused(response, 409, "GPU profile is reported by the daemon")
    assert provider.account()["gpu_model"] == "NVIDIA GeForce RTX 4090"


@pytest.mark.parametrize(
    "sent",
    [
        {"vram_mb": 1023},
        {"vram_mb": 327681},
        {"gpu_count": 0},
        {"gpu_count": 9},
        {"gpu_model": ""},
        {"gpu_model": "x" * 121},
        {"supported_compute_types": ["mining"]},
        {"supported_compute_types": "training"},
    ],
)
def test_a_bad_profile_changes_nothing(market: LocalMarket, sent: Json) -> None:
    provider = market.register_provider()
    before = provider.account()
    response = provider.patch("/providers/me/gpu-profile", {"gpu_count": 4, **sent})
    refused(response, 400)
    assert provider.account() == before


def test_an_old_key_has_a_grace(market: LocalMarket, rest: Rest, provider: PollDaemon) -> None:
    old = provider.key
    answer = answered(provider.post("/providers/me/rotate-key"))
    assert answer["api_key"] == answer["new_key"] != old
    assert answer["api_key"].startswith("dc1-provider-")
    assert show(answer, "success", "provider_id", "old_key_expires_at") == {
        "success": True,
        "provider_id": provider.id,
        "old_key_expires_at": market.now(600),
    }
    market.advance(599, silent=market.daemons)
    for key in (old, answer["api_key"]):
        answered(rest.get("/providers/me", key=key))
    market.advance(1, silent=market.daemons)
    refused(rest.get("/providers/me", key=old), 401, "Invalid API key")
    answered(rest.get("/providers/me", key=answer["api_key"]))


def test_a_stream_ends_with_the_key_that_opened_it(market: LocalMarket, provider: PollDaemon) -> None:
    stream = market.connect(provider)
    provider.key = answered(provider.post("/providers/me/rotate-key"))["api_key"]
    market.advance(601, silent=market.daemons)
    stream.expect("reconnect")
    assert stream.ended() is None
    market.connect(provider)


def test_an_old_key_is_good_for_running_work_and_for_nothing_else(
    market: LocalMarket, rest: Rest, renter: Renter, provider: PollDaemon
) -> None:
    """Contract 1.2: who stole the key cannot put the owner's new one out of force, nor be paid."""
    renter.submit()
    provider.next()
    new = answered(provider.post("/providers/me/rotate-key"))["api_key"]
    iban = {"amount_halala": 1000, "iban": "SA0380000000608010167519"}
    for verb, path, body in (
        ("POST", "/providers/me/rotate-key", {}),
        ("POST", "/providers/me/withdraw", iban),
        ("POST", "/providers/withdraw", iban),
        ("GET", "/providers/me/withdrawals", None),
        ("GET", "/providers/earnings", None),
        ("GET", "/providers/me/export", None),
        ("DELETE", "/providers/me", CONFIRMED),
        ("POST", "/providers/preferences", {"run_mode": "manual"}),
        ("PATCH", "/providers/me/gpu-profile", {"gpu_model": "H200"}),
        ("POST", "/providers/pause", {}),
        ("POST", f"/providers/{provider.id}/offline", {}),
        ("GET", "/jobs/1/output", None),
    ):
        call: dict[str, Any] = {} if body is None else {"json": body}
        refused(rest.rest(verb, path, key=provider.key, **call), 401, "Invalid API key")
    # In the body too, where some of these take it.
    refused(rest.post("/providers/withdraw", {**iban, "api_key": provider.key}), 401, "Invalid API key")
    provider.heartbeat()
    assert provider.progress(1, "loading_model").status_code == 200
    market.advance(60)
    provider.result(1)
    answered(rest.get("/providers/earnings", key=new))


def test_an_old_key_ends_when_the_daemon_comes_with_the_new_one(
    market: LocalMarket, rest: Rest, provider: PollDaemon
) -> None:
    """It could take the place of the owner's stream otherwise."""
    old = provider.key
    running = market.connect(provider)
    provider.key = answered(provider.post("/providers/me/rotate-key"))["api_key"]
    running.beat()
    market.connect(provider).beat()
    refused(rest.get("/providers/me", key=old), 401, "Invalid API key")


@pytest.mark.settings(key_rotation_grace_seconds=0)
def test_without_a_grace_the_old_key_stops_at_once(rest: Rest, provider: PollDaemon) -> None:
    new = answered(provider.post("/providers/me/rotate-key"))["api_key"]
    refused(provider.get("/providers/me"), 401, "Invalid API key")
    answered(rest.get("/providers/me", key=new))


@pytest.mark.settings(rate_limits_enabled=True)
def test_keys_are_replaced_three_times_a_day(provider: PollDaemon) -> None:
    for _ in range(3):
        provider.key = answered(provider.post("/providers/me/rotate-key"))["api_key"]
    refused(provider.post("/providers/me/rotate-key"), 429, "Rate limit exceeded")
    answered(provider.get("/providers/me/export"))
    refused(provider.get("/providers/me/export"), 429, "Rate limit exceeded")


def test_an_export_has_everything(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.top_up(1000)
    renter.submit(job_type="training", duration_minutes=60, max_duration_seconds=3600)
    provider.next()
    market.advance(3599)
    provider.result(1)
    asked = {"amount_halala": 1000, "iban": "SA" + "1" * 22}
    answered(provider.post("/providers/me/withdraw", asked), 201)
    export = answered(provider.get("/providers/me/export"))
    fits(export, PROVIDER_EXPORT)
    assert [job["id"] for job in export["jobs"]] == [1]
    assert [day["earned_halala"] for day in export["earnings"] if day["earned_halala"]] == [1125]
    assert [item["amount_halala"] for item in export["withdrawals"]] == [1000]
    assert export["account"] == provider.account()
    refused(provider.post("/providers/me/withdraw", asked), 409, "A withdrawal is already pending")
    refused(provider.delete("/providers/me", CONFIRMED), 409)
    answered(provider.get("/providers/me"))


def close(provider: PollDaemon) -> Json:
    return answered(provider.delete("/providers/me", CONFIRMED))


def test_an_account_closes_only_when_confirmed(provider: PollDaemon) -> None:
    for body in ({}, {"confirm": "yes"}, {"confirm": None}):
        response = provider.delete("/providers/me", body)
        refused(response, 400, "confirm must be DELETE_MY_ACCOUNT")
    assert provider.account()["status"] == "online"


def test_a_closed_accounts_jobs_go_on_elsewhere(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    answer = close(provider)
    assert show(answer, "success", "requeued_jobs", "deletion_scheduled_for") == {
        "success": True,
        "requeued_jobs": 1,
        "deletion_scheduled_for": market.now(30 * 86400),
    }
    provider.heard = False
    refused(provider.get("/providers/me"), 401, "Invalid API key")
    refused(provider.post("/providers/heartbeat", {}), 401, "Invalid API key")
    refused(renter.try_submit(provider_id=provider.id), 404, "Provider not found")
    refused(market.rest.get(f"/providers/{provider.id}/liveness"), 404, "Provider not found")
    other = market.add_provider()
    assert market.next_job(other)["attempt_number"] == 2
    market.restart()
    refused(renter.try_submit(provider_id=provider.id), 404, "Provider not found")
    assert market.admin.stats()["total_providers"] == 2


def test_the_stream_of_a_closed_account_ends(market: LocalMarket, provider: PollDaemon) -> None:
    stream = market.connect(provider)
    close(provider)
    stream.expect("reconnect")
    assert stream.ended() is None


def test_personal_data_is_erased_after_thirty_days(market: LocalMarket, provider: PollDaemon) -> None:
    name = provider.account()["name"]
    close(provider)
    provider.heard = False
    market.clock.advance(30 * 86400 - 1)
    market.restart()
    assert market.admin.dashboard()["recent_signups"][0]["name"] == name
    market.clock.advance(1)
    market.restart()
    erased = eventually(lambda: _signup(market, "Deleted account"), "the erasure")
    assert erased is not None
    assert erased["email"] == f"deleted-{provider.id}@account.invalid"


def _signup(market: LocalMarket, name: str) -> Json | None:
    (signup,) = market.admin.dashboard()["recent_signups"]
    return signup if signup["name"] == name else None

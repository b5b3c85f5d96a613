"""Admins looking after providers (contract 3.5)."""

from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Admin, Renter
from dc1.testing.poll_daemon import MODEL, REPORT, PollDaemon
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits, flag, integer, number, or_null, text, time
from tests.contract.shapes.admin import PROVIDER_LIST

DETAIL: Json = {
    "provider": {
        "id": integer,
        "name": text,
        "email": text,
        "gpu_model": or_null(text),
        "vram_mib": integer,
        "gpu_count": integer,
        "status": text,
        "approval_status": text,
        "last_heartbeat": or_null(time),
        "daemon_version": or_null(text),
        "slots_used": integer,
        "jobs_held": integer,
        "created_at": time,
        "os": text,
        "phone": or_null(text),
        "location": or_null(text),
        "approved_at": or_null(time),
        "rejected_reason": or_null(text),
        "is_paused": flag,
        "is_suspended": flag,
        "is_drained": flag,
        "provider_ip": or_null(text),
        "provider_hostname": or_null(text),
        "cached_models": [text],
        "preload_model": or_null(text),
        "preferences": {
            "run_mode": text,
            "scheduled_start": or_null(text),
            "scheduled_end": or_null(text),
            "gpu_usage_cap_pct": or_null(number),
            "vram_reserve_gb": or_null(number),
            "temp_limit_c": or_null(number),
        },
        "reputation_score": integer,
        "total_earnings_halala": integer,
        "available_halala": integer,
        "total_jobs": integer,
    },
    "uptime": {"hours_24": number, "days_7": number},
    "heartbeat_log": [
        {"at": time, **dict.fromkeys(("gpu_util_pct", "temp_c", "power_w", "free_vram_mib"), or_null(number))}
    ],
    "jobs": [{"id": integer, "job_id": text, "job_type": text, "status": text, "earned_halala": integer}],
}
QUEUE: Json = {
    "count": integer,
    "generated_at": time,
    "sla_target_seconds": integer,
    "providers": [
        {
            "id": integer,
            "name": text,
            "email": text,
            "gpu_model": or_null(text),
            "created_at": time,
            "pending_duration_seconds": number,
            "sla_deadline_at": time,
            "sla_breached": flag,
        }
    ],
}
UNKNOWN = ("0", "999", "-1", "nope")
ACTIONS = ("suspend", "unsuspend", "drain", "undrain", "rotate-key")


def suspend(admin: Admin, provider_id: int) -> Json:
    return answered(admin.post(f"/admin/providers/{provider_id}/suspend"))


def inspect(admin: Admin, provider_id: int) -> Json:
    return answered(admin.get(f"/admin/providers/{provider_id}"))


def test_a_provider_in_detail(market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    provider.result(1)
    market.advance(600)
    shown = inspect(admin, 1)
    fits(shown, DETAIL)
    assert show(shown["provider"], "status", "approval_status", "cached_models", "total_jobs") == {
        "status": "online",
        "approval_status": "approved",
        "cached_models": [MODEL],
        "total_jobs": 1,
    }
    assert [(job["id"], job["status"]) for job in shown["jobs"]] == [(1, "completed")]
    # A beat every 30 s for 10 minutes, and the first one.
    assert shown["uptime"] == {"hours_24": 0.7, "days_7": 0.1}


def test_heartbeats_are_kept_by_the_minute_newest_first(
    market: LocalMarket, admin: Admin, provider: PollDaemon
) -> None:
    for temp_c in range(40, 65):
        provider.heartbeat({"gpu_status": {"temp_c": temp_c, "gpu_util_pct": 50}})
        market.clock.advance(60)
    shown = inspect(admin, 1)
    fits(shown, DETAIL)
    assert [entry["temp_c"] for entry in shown["heartbeat_log"]] == list(range(64, 44, -1))
    assert shown["heartbeat_log"][0]["power_w"] is None


def test_a_provider_that_was_never_heard_in_detail(market: LocalMarket, admin: Admin) -> None:
    market.register_provider(phone="+966500000001", location="Riyadh", resource_spec={"ram_gb": 64})
    shown = inspect(admin, 1)
    fits(shown, DETAIL)
    assert show(shown["provider"], "phone", "location", "resource_spec", "status", "last_heartbeat") == {
        "phone": "+966500000001",
        "location": "Riyadh",
        "resource_spec": {"ram_gb": 64},
        "status": "registered",
        "last_heartbeat": None,
    }
    assert show(shown, "heartbeat_log", "jobs") == {"heartbeat_log": [], "jobs": []}


def test_the_approval_queue_and_its_deadline(market: LocalMarket, admin: Admin) -> None:
    market.register_provider()
    market.advance(86_400)
    market.register_provider()
    market.add_provider()
    queue = answered(admin.get("/admin/providers/approval-queue"))
    fits(queue, QUEUE)
    assert show(queue, "count", "sla_target_seconds", "generated_at") == {
        "count": 2,
        "sla_target_seconds": 86_400,
        "generated_at": market.now(),
    }
    assert [row["id"] for row in queue["providers"]] == [1, 2]
    assert show(queue["providers"][0], "pending_duration_seconds", "sla_deadline_at", "sla_breached") == {
        "pending_duration_seconds": 86_400,
        "sla_deadline_at": market.now(),
        "sla_breached": False,
    }
    market.advance(1)
    queue = answered(admin.get("/admin/providers/approval-queue", params={"limit": 1}))
    assert [(row["id"], row["sla_breached"]) for row in queue["providers"]] == [(1, True)]
    assert queue["count"] == 2
    for bad in ("0", "x", "1.5"):
        refused(admin.get("/admin/providers/approval-queue", params={"limit": bad}), 400)


def test_decisions_are_remembered(market: LocalMarket, admin: Admin) -> None:
    market.register_provider()
    assert answered(admin.get("/admin/providers/1/approval-audit")) == {"entries": []}
    admin.approve(1)
    market.advance(5)
    answered(admin.patch("/admin/providers/1/reject", {"reason": "no GPU"}))
    refused(admin.patch("/admin/providers/1/approval-decision", {"decision": "approve"}), 409)
    entries = answered(admin.get("/admin/providers/1/approval-audit"))["entries"]
    fits(entries, [{"at": time, "actor": text, "decision": text, "reason": or_null(text)}])
    assert [(entry["decision"], entry["reason"], entry["at"]) for entry in entries] == [
        ("rejected", "no GPU", market.now()),
        ("approved", None, market.now(-5)),
    ]
    assert {len(entry["actor"]) for entry in entries} == {12}


def test_suspending_requeues_running_jobs_at_once(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    renter.submit()
    provider.next()
    renter.submit()
    answer = suspend(admin, 1)
    assert answer == {"success": True, "provider_id": 1, "status": "suspended"}
    assert [show(renter.job(job), "status", "retry_count", "provider_id") for job in (1, 2)] == [
        {"status": "queued", "retry_count": 1, "provider_id": None},
        {"status": "queued", "retry_count": 0, "provider_id": None},
    ]
    assert renter.wallet()["held_halala"] == 90
    assert provider.ask()["admission"]["reason_code"] == "PROVIDER_SUSPENDED"
    refused(renter.try_submit(provider_id=1), 400, "Provider is not online", provider_status="suspended")
    refused(provider.try_result(1, result="late", attempt_number=1), 409, "Attempt superseded", attempt_number=1)
    provider.heartbeat()
    assert provider.account()["status"] == "suspended"


def test_a_job_moves_to_another_provider_when_its_own_is_suspended(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    renter.submit()
    provider.next()
    other = market.add_provider()
    suspend(admin, 1)
    assert market.next_job(other)["attempt_number"] == 2
    other.result(1)
    assert renter.job(1)["provider_id"] == other.id


def test_a_suspended_daemon_on_the_stream_is_told_to_stop(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    daemon = market.connect(provider)
    renter.submit()
    start = daemon.accept(daemon.expect("offer"))
    suspend(admin, 1)
    stop = daemon.expect("stop")
    assert (stop.lease.job_id, stop.lease.attempt_number) == (start.lease.job_id, 1)
    # The stream stays: it may still report, and gets work again once the suspension ends.
    assert daemon.beat().suspended is True
    answered(admin.post("/admin/providers/1/unsuspend"))
    assert daemon.expect("offer").assignment.attempt_number == 2


def test_the_third_loss_by_suspension_fails_the_job(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    renter.submit()
    for _ in range(3):
        market.next_job(provider)
        suspend(admin, 1)
        answered(admin.post("/admin/providers/1/unsuspend"))
    assert show(renter.job(1), "status", "error_category", "refunded_halala") == {
        "status": "failed",
        "error_category": "operator",
        "refunded_halala": 45,
    }


def test_unsuspending_gives_work_again(market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    suspend(admin, 1)
    renter.submit()
    answer = answered(admin.post("/admin/providers/1/unsuspend"))
    assert answer == {"success": True, "provider_id": 1, "status": "online"}
    assert market.next_job(provider)["id"] == 1


def test_a_suspension_outlives_the_server(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    suspend(admin, 1)
    market.restart()
    assert inspect(admin, 1)["provider"]["status"] == "suspended"


def test_the_status_route_suspends_and_activates(admin: Admin, provider: PollDaemon) -> None:
    path = "/admin/providers/1/status"
    assert answered(admin.patch(path, {"status": "suspended"}))["status"] == "suspended"
    assert answered(admin.patch(path, {"status": "active"}))["status"] == "online"
    refused(admin.patch(path, {}), 400, "Missing required fields: status")
    refused(admin.patch(path, {"status": "gone"}), 400, "Invalid status. Allowed: suspended, active")
    assert inspect(admin, 1)["provider"]["is_suspended"] is False


def test_a_key_is_replaced_for_a_provider(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    daemon = market.connect(provider)
    answer = answered(admin.post("/admin/providers/1/rotate-key"))
    assert show(answer, "success", "provider_id") == {"success": True, "provider_id": 1}
    refused(provider.get("/providers/me"), 401, "Invalid API key")
    answered(market.rest.get("/providers/me", key=answer["new_api_key"]))
    assert daemon.ended() is None


def test_a_wished_model_reaches_the_daemon_on_its_next_beat(
    market: LocalMarket, admin: Admin, provider: PollDaemon
) -> None:
    answer = answered(admin.patch("/admin/providers/1/preload-model", {"model_name": "Org/Model-7B"}))
    assert answer == {
        "success": True,
        "provider_id": 1,
        "model_name": "Org/Model-7B",
        "model_preload_status": "downloading",
        "requested_at": market.now(),
    }
    wish = {"model_name": "Org/Model-7B", "status": "downloading"}
    assert provider.heartbeat()["preload_model"] == wish
    assert market.connect(provider).beat().preload_model == "Org/Model-7B"
    assert inspect(admin, 1)["provider"]["preload_model"] == "Org/Model-7B"
    market.restart()
    assert provider.heartbeat()["preload_model"] == wish
    assert provider.heartbeat({"cached_models": ["org/model-7b"]})["preload_model"] is None
    assert inspect(admin, 1)["provider"]["preload_model"] is None


@pytest.mark.parametrize("name", ["", "two words", "x" * 257, "<b>", None])
def test_names_that_no_model_has(admin: Admin, provider: PollDaemon, name: str | None) -> None:
    refused(admin.patch("/admin/providers/1/preload-model", {"model_name": name}), 400)
    assert provider.heartbeat()["preload_model"] is None


def test_many_providers_at_once(market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    pending = market.register_provider()
    body: Json = {"ids": [1, pending.id, 999], "action": "suspend", "reason": "maintenance"}
    assert answered(admin.post("/admin/bulk/providers", body)) == {
        "success": False,
        "action": "suspend",
        "processed": 2,
        "failed": 1,
        "total": 3,
    }
    assert [inspect(admin, number)["provider"]["is_suspended"] for number in (1, 2)] == [True, True]
    for action in ("unsuspend", "approve"):
        answer = answered(admin.post("/admin/bulk/providers", {"ids": [1, 2, 1], "action": action}))
        assert show(answer, "success", "processed", "failed") == {"success": True, "processed": 2, "failed": 0}
    assert inspect(admin, 2)["provider"]["approval_status"] == "approved"
    entries = answered(admin.get("/admin/providers/2/approval-audit"))["entries"]
    assert [entry["decision"] for entry in entries] == ["approved"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "Missing required fields: ids, action"),
        ({"ids": [], "action": "suspend"}, "Missing required fields: ids"),
        ({"ids": [1]}, "Missing required fields: action"),
        ({"ids": [1], "action": "delete"}, "Invalid action. Allowed: suspend, unsuspend, approve"),
        ({"ids": list(range(501)), "action": "suspend"}, "Validation failed"),
        ({"ids": ["x"], "action": "suspend"}, None),
        ({"ids": [1], "action": "suspend", "reason": "x" * 501}, "Validation failed"),
    ],
)
def test_bad_bulk_calls_change_nothing(admin: Admin, provider: PollDaemon, body: Json, error: str | None) -> None:
    refused(admin.post("/admin/bulk/providers", body), 400, error)
    assert inspect(admin, 1)["provider"]["is_suspended"] is False


@pytest.mark.parametrize("provider_id", UNKNOWN)
def test_providers_that_nobody_knows(admin: Admin, provider_id: str) -> None:
    path = f"/admin/providers/{provider_id}"
    calls: list[Any] = [admin.get(path), admin.get(f"{path}/approval-audit")]
    calls += [admin.post(f"{path}/{action}") for action in ACTIONS]
    calls += [admin.patch(f"{path}/status", {"status": "suspended"})]
    calls += [admin.patch(f"{path}/preload-model", {"model_name": "m"})]
    for response in calls:
        refused(response, 404, "Provider not found")


def test_the_list_is_filtered_by_gpu_model(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    market.add_provider({"gpu_status": {"gpu_name": "NVIDIA H100 80GB HBM3"}})
    for wanted, found in (("h100", [2]), ("nvidia", [2, 1]), ("4090", [1]), ("A100", [])):
        listed = answered(admin.get("/admin/providers", params={"gpu_model": wanted}))
        fits(listed, PROVIDER_LIST)
        assert [row["id"] for row in listed["providers"]] == found
        assert show(listed, "total", "online") == {"total": 2, "online": 2}
        assert listed["pagination"]["total"] == len(found)


def test_a_closed_account_waits_for_no_decision(market: LocalMarket, admin: Admin) -> None:
    account = market.register_provider()
    answered(account.delete("/providers/me", {"confirm": "DELETE_MY_ACCOUNT"}))
    listed = answered(admin.get("/admin/providers", params={"status": "pending"}))
    assert show(listed, "total", "pending_approval", "providers") == {
        "total": 1,
        "pending_approval": 0,
        "providers": [],
    }
    assert answered(admin.get("/admin/metrics"))["providers"]["pending_approval"] == 0
    assert answered(admin.get("/admin/providers/approval-queue"))["count"] == 0


def test_a_claim_in_flight_does_not_outlive_a_suspension(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    """Jobs that reach a provider while it is being suspended do not stay there."""
    answered(admin.post("/admin/renters/1/balance", {"amount_halala": 9000}))
    provider.heartbeat({**REPORT, "gpu_status": {**REPORT["gpu_status"], "gpu_count": 8}})
    calls = [lambda: renter.try_submit(J3).status_code for _ in range(8)]
    calls.insert(4, lambda: admin.post("/admin/providers/1/suspend").status_code)
    assert set(market.at_once(calls)) == {200, 201}
    jobs = answered(renter.get("/jobs"))["jobs"]
    assert len(jobs) == 8
    eventually(
        lambda: {job["status"] for job in answered(renter.get("/jobs"))["jobs"]} == {"queued"}, "every job leaving"
    )

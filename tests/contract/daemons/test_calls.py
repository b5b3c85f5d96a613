"""Calls of daemons that speak HTTP only, beside the heartbeat and the poll."""

import json
from collections.abc import Iterator

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.rest import Json, Rest
from tests.contract.expect import answered, fields, refused, show
from tests.contract.fitting import fits
from tests.contract.shapes.daemons import RUN_RESULT

MIB = 1024 * 1024
SERVING: Json = {"job_type": "vllm_serve", "duration_minutes": 10, "params": {"model": MODEL}}
BENCHMARK: Json = {"gpu_model": "NVIDIA H100", "vram_gb": 80, "tflops": 989.5}
READY: Json = {"checks": {"cuda": True, "pytorch": True, "vram_gb": 24}}

OF_A_PROVIDER = [
    ("POST", "/providers/{}/heartbeat", {}),
    ("POST", "/providers/{}/online", {}),
    ("POST", "/providers/{}/offline", {}),
    ("POST", "/providers/{}/benchmark", BENCHMARK),
    ("GET", "/providers/{}/jobs", None),
]
OF_THE_CALLER = [
    ("POST", "/providers/readiness", READY),
    ("POST", "/providers/daemon-event", {"event_type": "boot"}),
    ("POST", "/providers/job-result", {"job_id": 1, "success": True}),
    ("POST", "/jobs/1/endpoint-ready", {"port": 8000, "provider_ip": "8.8.8.8"}),
    ("GET", "/jobs/verify-hmac-local", None),
]


@pytest.mark.parametrize(("verb", "path", "body"), OF_A_PROVIDER)
def test_accounts_of_others_are_out_of_reach(
    market: LocalMarket, rest: Rest, renter: Renter, provider: PollDaemon, verb: str, path: str, body: Json | None
) -> None:
    stranger = market.add_provider()
    call: Json = {} if body is None else {"json": body}
    refused(rest.rest(verb, path.format(1), **call), 401, "API key required")
    refused(rest.rest(verb, path.format(1), headers={"x-provider-key": "nope"}, **call), 401, "Invalid API key")
    refused(rest.rest(verb, path.format(1), headers={"x-admin-token": "nope"}, **call), 401)
    refused(rest.rest(verb, path.format(1), headers={"x-provider-key": renter.key}, **call), 401)
    refused(rest.rest(verb, path.format(1), key=stranger.key, **call), 403, "Forbidden")
    refused(rest.rest(verb, path.format(999), key=stranger.key, **call), 404, "Provider not found")
    for who, key in (("1", provider.key), ("me", provider.key), ("1", market.admin.token)):
        answered(rest.rest(verb, path.format(who), key=key, **call))
    refused(rest.rest(verb, path.format("me"), key=market.admin.token, **call), 404, "Provider not found")


@pytest.mark.parametrize(("verb", "path", "body"), OF_THE_CALLER)
def test_calls_need_a_providers_key(
    rest: Rest, renter: Renter, admin: Admin, verb: str, path: str, body: Json | None
) -> None:
    call: Json = {} if body is None else {"json": body}
    refused(rest.rest(verb, path, **call), 401, "API key required")
    refused(rest.rest(verb, path, headers={"x-provider-key": "nope"}, **call), 401, "Invalid API key")
    refused(rest.rest(verb, path, headers={"x-provider-key": renter.key}, **call), 401, code="WRONG_KEY_TYPE")
    if body is not None:
        refused(rest.rest(verb, path, json={**body, "api_key": "nope"}), 401, "Invalid API key")


# Presence


def test_a_short_heartbeat_counts_like_any_other(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    market.advance(300, silent=[provider])
    assert provider.liveness() == "degraded"
    beat = {"gpu_utilization": 12, "vram_used_mb": 1000, "vram_total_mb": 24000, "jobs_active": 0, "model_loaded": "m"}
    assert answered(provider.post("/providers/me/heartbeat", {**beat, "uptime_seconds": 5})) == {
        "success": True,
        "provider_id": 1,
        "status": "online",
        "timestamp": market.now(),
    }
    account = provider.account()
    assert account["gpu_vram_mib"] == 24000
    assert account["gpu_metrics"] == {"utilization_pct": 12, "vram_used_mib": 1000, "temperature_c": 0}
    stored = admin.dashboard()["recent_heartbeats"][0]["gpu_status"]
    assert show(stored, "model_loaded", "uptime_seconds") == {"model_loaded": "m", "uptime_seconds": 5}


@pytest.mark.parametrize("beat", [{}, {"gpu_utilization": "hot", "vram_total_mb": -1, "jobs_active": None}])
def test_odd_short_heartbeats_are_no_error(provider: PollDaemon, beat: Json) -> None:
    answered(provider.post("/providers/1/heartbeat", beat))
    assert provider.account()["gpu_vram_mib"] == 24564


def test_who_is_not_approved_is_not_heard(market: LocalMarket) -> None:
    pending = market.register_provider()
    for path in ("heartbeat", "online", "offline"):
        refused(pending.post(f"/providers/me/{path}", {}), 403, "Provider is not approved yet")
    assert pending.account()["last_heartbeat"] is None


def test_leaving_and_coming_back(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    left = answered(provider.post("/providers/1/offline"))
    assert left == {"success": True, "provider_id": 1, "status": "offline", "timestamp": market.now()}
    assert provider.liveness() == "offline"
    assert show(renter.job(1), "status", "retry_count") == {"status": "queued", "retry_count": 1}
    refused(renter.try_submit(provider_id=1), 400, "Provider is not online", provider_status="offline")
    market.restart()
    assert provider.liveness() == "offline"
    assert answered(provider.post("/providers/1/online"))["status"] == "online"
    assert market.next_job(provider)["attempt_number"] == 2


def test_a_heartbeat_takes_a_daemon_back_that_left(provider: PollDaemon) -> None:
    answered(provider.post("/providers/me/offline"))
    provider.heartbeat({})
    assert provider.liveness() == "online"


# The machine


@pytest.mark.parametrize(
    ("checks", "status"),
    [
        ({"cuda": True, "pytorch": True, "vram_gb": 4}, "ready"),
        ({"cuda": True, "pytorch": True, "vram_gb": "24"}, "ready"),
        ({"cuda": True, "pytorch": True, "vram_gb": 3.9}, "failed"),
        ({"cuda": False, "pytorch": True, "vram_gb": 24}, "failed"),
        ({"cuda": True, "pytorch": True}, "failed"),
        ({"cuda": True, "pytorch": False, "vram_gb": 24, "disk": {"free": 1}}, "failed"),
    ],
)
def test_readiness(admin: Admin, provider: PollDaemon, rest: Rest, checks: Json, status: str) -> None:
    answer = answered(rest.post("/providers/readiness", {"api_key": provider.key, "checks": checks}))
    assert answer == {"success": True, "readiness_status": status, "checks": checks}
    assert provider.account()["approval_status"] == "approved"
    (event,) = answered(admin.get("/admin/daemon-health"))["events"]
    assert show(event, "event_type", "severity") == {
        "event_type": "readiness",
        "severity": "info" if status == "ready" else "warning",
    }


def test_readiness_needs_checks(provider: PollDaemon) -> None:
    refused(provider.post("/providers/readiness", {}), 400, "Missing required fields: checks")


@pytest.mark.parametrize(
    ("tflops", "vram_gb", "tier"),
    [(900, 40, "A"), (899.9, 80, "B"), (1000, 39, "B"), (200, 20, "B"), (200, 19, "C"), (1, 1, "C")],
)
def test_benchmarks_are_graded(provider: PollDaemon, tflops: float, vram_gb: float, tier: str) -> None:
    body = {**BENCHMARK, "tflops": tflops, "vram_gb": vram_gb, "bandwidth_gbps": 3350, "tokens_per_sec": 90.5}
    assert answered(provider.post("/providers/1/benchmark", body)) == {"success": True, "tier": tier}


def test_a_bad_benchmark_is_refused(admin: Admin, provider: PollDaemon) -> None:
    text = "Missing required fields: gpu_model, vram_gb, tflops"
    refused(provider.post("/providers/1/benchmark", {}), 400, text)
    for change in ({"vram_gb": 1001}, {"tflops": 0}, {"bandwidth_gbps": -1}):
        response = provider.post("/providers/1/benchmark", {**BENCHMARK, **change})
        assert fields(refused(response, 400, "Validation failed")) == list(change)
    assert answered(admin.get("/admin/daemon-health"))["events"] == []


def test_events_reach_the_operators(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    sent = {"event_type": "gpu_lost", "severity": "critical", "details": {"xid": 79, "نص": [None, 1.5]}}
    answer = answered(provider.post("/providers/daemon-event", sent))
    assert answer == {"success": True, "event_type": "gpu_lost", "provider_id": 1}
    health = answered(admin.get("/admin/daemon-health"))
    assert show(health["events"][0], *sent, "provider_id") == {**sent, "provider_id": 1}
    assert health["counts"]["critical"] == 1


@pytest.mark.parametrize("change", [{"event_type": ""}, {"event_type": "x" * 81}, {"severity": "fatal"}])
def test_a_bad_event_is_refused(admin: Admin, provider: PollDaemon, change: Json) -> None:
    refused(provider.post("/providers/daemon-event", {"event_type": "boot", **change}), 400)
    assert answered(admin.get("/admin/daemon-health"))["events"] == []


def test_events_of_up_to_128_kib_are_taken(provider: PollDaemon) -> None:
    body = {"event_type": "dump", "details": "x" * (127 * 1024)}
    answered(provider.post("/providers/daemon-event", body))
    body["details"] += "x" * 1024
    refused(provider.post("/providers/daemon-event", body), 413, "Request body too large")


def test_nothing_is_stored_for_a_provider_that_is_not_approved(market: LocalMarket, admin: Admin) -> None:
    pending = market.register_provider()
    answered(pending.post("/providers/daemon-event", {"event_type": "boot", "details": "x" * 1024}))
    answered(pending.post("/providers/readiness", READY))
    answered(pending.post(f"/providers/{pending.id}/benchmark", BENCHMARK))
    assert answered(admin.get("/admin/daemon-health"))["events"] == []


def test_what_is_stored_of_a_machine_has_a_budget(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    body = {"event_type": "dump", "details": "x" * (127 * 1024)}
    for _ in range(36):
        answered(provider.post("/providers/daemon-event", body))
    answered(provider.post("/providers/daemon-event", {"event_type": "late"}))
    kinds = [event["event_type"] for event in answered(admin.get("/admin/daemon-health"))["events"]]
    assert kinds == ["events_cut"] + 32 * ["dump"]
    market.advance(24 * 3600, silent=market.daemons)
    answered(provider.post("/providers/daemon-event", {"event_type": "late"}))
    assert answered(admin.get("/admin/daemon-health"))["events"][0]["event_type"] == "late"


# Results


def test_a_result_in_the_older_form_settles(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    job = renter.submit()
    provider.next()
    market.advance(95)
    body = {"job_id": job["job_id"], "success": True, "result": "done", "gpu_seconds_used": 95, "attempt_number": None}
    answer = answered(provider.post("/providers/job-result", body))
    fits(answer, RUN_RESULT)
    assert answer == {
        "success": True,
        "job_id": job["job_id"],
        "status": "completed",
        "actual_minutes": 1.5833,
        "gpu_seconds_used": 95,
        "cost_halala": 24,
        "provider_earned_halala": 18,
        "dc1_fee_halala": 6,
        "refunded_halala": 21,
        "restart_count": 0,
        "last_error": None,
    }
    output = answered(renter.get("/jobs/1/output"))
    assert show(output, "type", "response") == {"type": "text", "response": "done"}
    again = provider.post("/providers/job-result", body)
    refused(again, 409, "Job already settled", code="JOB_SETTLED", current_status="completed")
    assert renter.balance() == 976


def test_a_failure_in_the_older_form_is_refunded(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    market.advance(5)
    failure = {"job_id": 1, "success": False, "error": "CUDA out of memory", "exit_code": 137, "restart_count": 2}
    answer = answered(provider.post("/providers/job-result", {**failure, "last_error": "oom"}))
    assert show(answer, "status", "cost_halala", "refunded_halala", "restart_count", "last_error") == {
        "status": "failed",
        "cost_halala": 0,
        "refunded_halala": 45,
        "restart_count": 2,
        "last_error": "oom",
    }
    assert show(renter.job(1), "error", "error_category") == {"error": "CUDA out of memory", "error_category": "oom"}
    (run,) = answered(renter.get("/jobs/1/executions"))["executions"]
    assert run["exit_code"] == 137


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ({}, "job_id, success"),
        ({"job_id": None, "success": None}, "job_id, success"),
        ({"job_id": " ", "success": True}, "job_id"),
        ({"job_id": 1}, "success"),
    ],
)
def test_a_result_names_its_job_and_its_success(provider: PollDaemon, body: Json, missing: str) -> None:
    refused(provider.post("/providers/job-result", body), 400, f"Missing required fields: {missing}")


def test_results_of_others_jobs_change_nothing(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    done = {"job_id": 1, "success": True, "result": "x"}
    stranger = market.add_provider()
    refused(stranger.post("/providers/job-result", done), 403, "Forbidden")
    refused(provider.post("/providers/job-result", {**done, "job_id": "job-nope"}), 404, "Job not found")
    refused(provider.post("/providers/job-result", {**done, "attempt_number": 2}), 409, code="LEASE_SUPERSEDED")
    assert renter.job(1)["status"] == "running"


def test_a_result_of_some_mebibytes_arrives_whole(rest: Rest, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    text = "نص\n" * (3 * MIB // 5)
    body = json.dumps({"api_key": provider.key, "job_id": 1, "success": True, "result": {"response": text}})

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), MIB):
            yield body[start : start + MIB].encode()

    answered(rest.rest("POST", "/providers/job-result", content=chunks()))
    assert answered(renter.get("/jobs/1/output"))["response"] == text


def test_a_result_that_comes_after_a_restart_is_known(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    job = renter.submit(duration_minutes=20)
    provider.next()
    market.stop_server()
    refused(provider.post("/providers/job-result", {"job_id": job["job_id"], "success": True}), 503)
    # However long the server was away, that was not the daemon's fault.
    market.clock.advance(900)
    market.start_server()
    body = {"job_id": job["job_id"], "success": True, "result": "late", "attempt_number": 1}
    assert answered(provider.post("/providers/job-result", body))["status"] == "completed"


@pytest.mark.settings(rate_limits_enabled=True)
def test_a_result_is_never_too_many(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    for _ in range(300):
        provider.get("/providers/me")
    refused(provider.get("/providers/me"), 429)
    answered(provider.post("/providers/job-result", {"job_id": 1, "success": True, "result": "x"}))


# Endpoints


def test_an_endpoint_is_shown_to_the_renter(renter: Renter, provider: PollDaemon) -> None:
    renter.submit(SERVING)
    path, ready = "/jobs/1/endpoint-ready", {"port": 8000, "provider_ip": "8.8.8.8"}
    refused(provider.post(path, ready), 409, "Job is not a running vllm_serve job")
    provider.next()
    answer = answered(provider.post(path, ready))
    assert answer == {"success": True, "endpoint_url": "http://8.8.8.8:8000"}
    assert renter.job(1)["endpoint_url"] == "http://8.8.8.8:8000"
    assert "job.endpoint.ready" in [
        event["event_type"] for event in answered(renter.get("/jobs/1/lifecycle"))["events"]
    ]
    refused(provider.post(path, {**ready, "attempt_number": 2}), 409, code="LEASE_SUPERSEDED")


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.1.1", "::1", "224.0.0.1", "host", "0.0.0.0"])
def test_an_endpoint_has_a_public_address(renter: Renter, provider: PollDaemon, address: str) -> None:
    renter.submit(SERVING)
    provider.next()
    response = provider.post("/jobs/1/endpoint-ready", {"port": 8000, "provider_ip": address})
    assert fields(refused(response, 400, "Validation failed")) == ["provider_ip"]
    assert renter.job(1)["endpoint_url"] is None


def test_only_serving_jobs_have_an_endpoint(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    path, ready = "/jobs/1/endpoint-ready", {"port": 8000, "provider_ip": "8.8.8.8"}
    refused(provider.post(path, ready), 409, "Job is not a running vllm_serve job")
    refused(provider.post(path, {}), 400, "Missing required fields: port")
    refused(provider.post(path, {**ready, "port": 80}), 400, "Validation failed")
    refused(provider.post("/jobs/nope/endpoint-ready", ready), 404, "Job not found")
    refused(market.add_provider().post(path, ready), 403, "Forbidden")

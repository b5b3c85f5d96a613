"""What a daemon says of its machine, and what its silence means (contract 2.2; 7, vectors 16 to 22)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, REPORT, PollDaemon
from dc1.testing.rest import Json, Rest
from tests.contract.expect import answered, refused, show


def test_a_heartbeat_needs_a_providers_key(rest: Rest, renter: Renter) -> None:
    """Contract 7, vector 16."""
    refused(rest.post("/providers/heartbeat", {}), 400, "api_key required")
    refused(rest.post("/providers/heartbeat", {"api_key": "nope"}), 401, "Invalid API key")
    refused(rest.post("/providers/heartbeat", {"api_key": renter.key}), 401, "Invalid API key")


def test_the_shape_is_looked_at_before_the_key(rest: Rest) -> None:
    """Contract 7, vector 17."""
    for gpu_status in ([1], 5, True):
        response = rest.post("/providers/heartbeat", {"api_key": "nope", "gpu_status": gpu_status})
        refused(response, 400, "gpu_status must be an object")
    response = rest.post("/providers/heartbeat", {"api_key": "nope", "gpu_info": "RTX"})
    refused(response, 400, "gpu_info must be an object")
    refused(rest.post("/providers/heartbeat", {"gpu_status": [1]}), 400, "api_key required")


def test_an_empty_heartbeat_leaves_what_is_known(provider: PollDaemon) -> None:
    """Contract 7, vector 18."""
    answer = provider.heartbeat({})
    assert show(answer, "needs_update", "update_available", "preload_model") == {
        "needs_update": True,
        "update_available": True,
        "preload_model": None,
    }
    assert provider.account()["gpu_vram_mib"] == 24564


def test_versions_are_compared_part_by_part(market: LocalMarket, provider: PollDaemon) -> None:
    """Contract 7, vector 19."""

    def verdict(version: str) -> tuple[bool, bool]:
        answer = provider.heartbeat({"gpu_status": {"daemon_version": version}})
        return answer["needs_update"], answer["update_available"]

    assert verdict("3.2.9") == (True, True)
    assert verdict("3.3.0") == (False, False)
    assert verdict("3.3") == (False, False)
    assert verdict("3.10.0") == (False, False)
    market.restart(daemon_latest_version="3.4.0", daemon_min_version="3.3.0")
    assert verdict("3.3.5") == (False, True)
    assert verdict("3.2.9") == (True, True)


def test_metrics_out_of_range_become_null(provider: PollDaemon, admin: Admin) -> None:
    """Contract 7, vector 20."""
    provider.heartbeat({"gpu_status": {"gpu_util_pct": 999, "temp_c": "hot", "x": {"a": 512}}})
    stored = admin.dashboard()["recent_heartbeats"][0]["gpu_status"]
    assert show(stored, "gpu_util_pct", "temp_c") == {"gpu_util_pct": None, "temp_c": None}
    assert stored["x"]["a"] == 512


def test_a_silent_daemon_degrades_and_goes_offline(market: LocalMarket, provider: PollDaemon, admin: Admin) -> None:
    """Contract 7, vector 21."""
    seen: dict[int, tuple[str, int]] = {}
    for age in (119, 120, 299, 301, 600, 601):
        market.advance(age - max(seen, default=0), silent=[provider])
        seen[age] = (provider.liveness(), admin.stats()["online_now"])
    assert seen == {
        119: ("online", 1),
        120: ("degraded", 1),
        299: ("degraded", 1),
        301: ("degraded", 0),
        600: ("degraded", 0),
        601: ("offline", 0),
    }


def test_a_stream_that_is_cut_keeps_its_place_for_ten_seconds(market: LocalMarket, provider: PollDaemon) -> None:
    """Contract 7, vector 22."""
    stream = market.connect(provider)
    assert provider.liveness() == "online"
    market.cut(stream)
    market.advance(9, silent=[provider])
    assert provider.liveness() == "online"
    assert market.admin.stats()["online_now"] == 1
    market.advance(2, silent=[provider])
    assert provider.liveness() == "offline"
    assert market.admin.stats()["online_now"] == 0


def test_the_answer_says_when_the_server_received_it(market: LocalMarket, provider: PollDaemon, rest: Rest) -> None:
    answer = provider.heartbeat()
    assert answer["timestamp"] == market.now()
    market.advance(7, silent=[provider])
    body = answered(rest.get("/providers/1/liveness"))
    assert body == {
        "provider_id": 1,
        "liveness_status": "online",
        "last_heartbeat": answer["timestamp"],
        "heartbeat_age_seconds": 7,
    }


@pytest.mark.parametrize("carrier", ["header", "bearer", "key", "provider_key", "body"])
def test_every_carrier_of_the_key_is_read(rest: Rest, provider: PollDaemon, carrier: str) -> None:
    call: Json = {
        "header": {"headers": {"x-provider-key": provider.key}},
        "bearer": {"headers": {"authorization": f"Bearer {provider.key}"}},
        "key": {"params": {"key": provider.key}},
        "provider_key": {"params": {"provider_key": provider.key}},
        "body": {},
    }[carrier]
    body = {**REPORT, "api_key": provider.key} if carrier == "body" else REPORT
    answer = answered(rest.post("/providers/heartbeat", body, **call))
    assert show(answer, "success", "message", "approved") == {
        "success": True,
        "message": "Heartbeat received",
        "approved": True,
    }


@pytest.mark.parametrize(
    ("metric", "good", "bad"),
    [
        ("gpu_vram_mib", 1048576, 1048577),
        ("free_vram_mib", 0, -1),
        ("gpu_util_pct", 100, 100.5),
        ("temp_c", -40, -41),
        ("power_w", 2000, 1e300),
        ("gpu_count", 64, 65),
        ("gpu_count", 1, 1.5),
    ],
)
def test_the_bounds_of_metrics(provider: PollDaemon, admin: Admin, metric: str, good: float, bad: float) -> None:
    def stored(value: object) -> object:
        provider.heartbeat({"gpu_status": {metric: value}})
        return admin.dashboard()["recent_heartbeats"][0]["gpu_status"][metric]

    assert stored(good) == good
    assert stored(bad) is None
    assert stored([1]) is None


def test_a_status_in_words_is_kept_as_one(provider: PollDaemon, admin: Admin) -> None:
    provider.heartbeat({"gpu_status": "idle"})
    assert admin.dashboard()["recent_heartbeats"][0]["gpu_status"] == {"status": "idle"}
    assert provider.account()["gpu_vram_mib"] == 24564


def test_gpu_info_wins_and_an_empty_name_changes_nothing(provider: PollDaemon) -> None:
    provider.heartbeat(
        {"gpu_status": {"gpu_name": "A", "gpu_vram_mib": 1024}, "gpu_info": {"gpu_name": "B", "vram_mb": 81920}}
    )
    assert show(provider.account(), "gpu_model", "gpu_vram_mib") == {"gpu_model": "B", "gpu_vram_mib": 81920}
    provider.heartbeat({"gpu_status": {"gpu_name": ""}})
    assert provider.account()["gpu_model"] == "B"


def test_lists_that_are_absent_leave_known_ones_and_empty_ones_clear_them(provider: PollDaemon) -> None:
    provider.heartbeat({"vllm_models": ["org/served"]})
    assert provider.account()["cached_models"] == [MODEL, "org/served"]
    provider.heartbeat({"cached_models": []})
    assert provider.account()["cached_models"] == ["org/served"]


@pytest.mark.parametrize(
    "report",
    [
        {"gpu_status": {"all_gpus": "one", "uptime": "3 days", "nested": [{"a": [None, 1.5]}]}},
        {"gpu_status": {"all_gpus": [{"index": n} for n in range(40)]}},
        {"container_restart_count": -1, "model_cache": {"used_mb": "much"}},
        {"resource_spec": "16 cores", "accepting_jobs": False, "uptime": "5"},
        {"resource_spec": {"cores": 16}, "uptime": 5, "unknown": {"deep": [1]}},
        {"provider_ip": None, "cached_models": None, "gpu_status": None, "gpu_info": None},
        {"gpu_status": {"gpu_name": "RTX 4090 ⚡ رسومات <b>"}},
    ],
)
def test_what_a_daemon_says_oddly_is_no_error(provider: PollDaemon, report: Json) -> None:
    provider.heartbeat(report)
    assert provider.account()["status"] == "online"


def test_the_first_32_gpus_are_kept(provider: PollDaemon, admin: Admin) -> None:
    provider.heartbeat({"gpu_status": {"all_gpus": [{"index": n} for n in range(40)]}})
    kept = admin.dashboard()["recent_heartbeats"][0]["gpu_status"]["all_gpus"]
    assert [gpu["index"] for gpu in kept] == list(range(32))


def test_numbers_of_a_report_come_back_as_numbers(provider: PollDaemon, admin: Admin) -> None:
    provider.heartbeat({"gpu_status": {"temp_c": 61, "power_w": 350.5, "boot": 1774206010000}})
    status = admin.dashboard()["recent_heartbeats"][0]["gpu_status"]
    assert show(status, "temp_c", "power_w", "boot") == {"temp_c": 61, "power_w": 350.5, "boot": 1774206010000}


def test_a_paused_daemon_is_told_and_still_heard(provider: PollDaemon) -> None:
    paused = answered(provider.post("/providers/pause"))
    assert paused == {"success": True, "status": "paused"}
    assert provider.heartbeat()["is_paused"] is True
    assert provider.account()["status"] == "paused"
    assert provider.liveness() == "online"
    assert answered(provider.post("/providers/resume")) == {"success": True, "status": "online"}
    assert provider.heartbeat()["is_paused"] is False


def test_pause_takes_the_key_from_the_body(rest: Rest, provider: PollDaemon) -> None:
    answered(rest.post("/providers/pause", {"key": provider.key}))
    assert provider.account()["is_paused"] is True
    refused(rest.post("/providers/pause", {}), 401, "API key required")


def test_a_rejected_daemon_is_not_heard(provider: PollDaemon, admin: Admin) -> None:
    answered(admin.patch("/admin/providers/1/reject", {"reason": "no"}))
    refused(provider.post("/providers/heartbeat", REPORT), 403, "Provider is not approved yet")
    assert show(provider.account(), "approval_status", "rejected_reason") == {
        "approval_status": "rejected",
        "rejected_reason": "no",
    }


@pytest.mark.settings(rate_limits_enabled=True)
def test_the_31st_heartbeat_of_a_minute_is_too_many(market: LocalMarket, provider: PollDaemon) -> None:
    for _ in range(29):
        provider.heartbeat()
    refused(provider.post("/providers/heartbeat", REPORT), 429, "Rate limit exceeded")
    other = market.add_provider()
    assert other.id == 2
    market.advance(60, silent=[provider, other])
    provider.heartbeat()


def test_liveness_of_nobody_is_not_found(rest: Rest) -> None:
    for provider_id in ("999", "nope", "0", "99999999999999999999"):
        refused(rest.get(f"/providers/{provider_id}/liveness"), 404, "Provider not found")

"""The market's numbers, its revenue, the health of its fleet, and the audit trail (contract 3.5)."""

from collections.abc import Callable

import pytest

from dc1.domain.providers.reports import EventSeverity
from dc1.storage.engine.database import Connection
from dc1.storage.providers import daemon_events
from dc1.storage.providers.daemon_events import NewDaemonEvent
from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.rest import Json
from dc1.testing.server import ADMIN_TOKEN
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits, flag, free_object, integer, nothing, number, or_null, text, time

OVERVIEW: Json = {
    **dict.fromkeys(("providersRegistered", "providersOnline", "jobsQueued", "jobsRunning", "jobsCompleted"), integer),
    **dict.fromkeys(("revenueSARToday", "revenueSARTotal"), number),
    "timestamp": time,
}
METRICS: Json = {
    "queue": {
        **dict.fromkeys(("pending_jobs", "running_jobs", "failed_last_1h"), integer),
        "avg_wait_seconds": number,
    },
    "providers": {
        **dict.fromkeys(("online", "active", "registered", "total_registered", "pending_approval"), integer),
        "avg_heartbeat_age_seconds": number,
    },
    "renters": dict.fromkeys(("total_registered", "active_last_24h", "total_balance_halala"), integer),
    "revenue": dict.fromkeys(("today_halala", "this_week_halala", "this_month_halala"), integer),
    "system": {"uptime_seconds": number, "db_size_bytes": integer},
    "refusals": [{"method": text, "reason": text, "count": integer}],
    "open_streams": [{"method": text, "count": integer}],
    "edge": {
        "asked": flag,
        "refusals": [{"method": text, "reason": text, "count": integer}],
        "refused_connections": integer,
    },
}
_SUMS = dict.fromkeys(("total_sar", "platform_fees_sar", "provider_payouts_sar"), number)
REVENUE: Json = {
    "period_days": integer,
    "totals": {**_SUMS, "total_jobs": integer},
    "by_day": [{"date": text, **_SUMS, "jobs": integer}],
}
FLEET: Json = {
    **dict.fromkeys(("total_providers", "online", "offline", "degraded"), integer),
    "providers": [
        {
            "id": integer,
            "gpu_model": or_null(text),
            "vram_mb": integer,
            "gpu_count": integer,
            "last_heartbeat": or_null(time),
            "heartbeat_age_seconds": or_null(integer),
            "status": text,
            "jobs_running": integer,
            "jobs_failed_24h": integer,
            "container_restart_count": integer,
            "model_cache_disk_mb": number,
        }
    ],
    "generated_at": time,
}
EVENTS: Json = {
    "events": [
        {"id": integer, "provider_id": integer, "event_type": text, "severity": text, "created_at": time},
    ],
    "counts": dict.fromkeys(("info", "warning", "error", "critical"), integer),
}


def metrics(admin: Admin) -> Json:
    shown = answered(admin.get("/admin/metrics"))
    fits(shown, METRICS)
    return shown


def alerts(admin: Admin) -> list[tuple[int, str, str]]:
    shown = answered(admin.get("/admin/fleet/alerts"))
    fits(shown, {"alerts": [{"provider_id": integer, "reason": text, "since": time}], "pagination": free_object})
    return [(alert["provider_id"], alert["reason"], alert["since"]) for alert in shown["alerts"]]


def test_an_empty_market(market: LocalMarket, admin: Admin) -> None:
    overview = answered(admin.get("/admin/overview"))
    fits(overview, OVERVIEW)
    assert set(overview.values()) == {0, market.now()}
    assert metrics(admin)["queue"] == {
        "pending_jobs": 0,
        "running_jobs": 0,
        "failed_last_1h": 0,
        "avg_wait_seconds": 0,
    }
    assert show(answered(admin.get("/admin/fleet/health")), "total_providers", "providers") == {
        "total_providers": 0,
        "providers": [],
    }
    assert alerts(admin) == []
    health = answered(admin.get("/admin/daemon-health"))
    assert health == {"events": [], "counts": {"info": 0, "warning": 0, "error": 0, "critical": 0}}


def test_the_market_in_short(market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    market.advance(95)
    answered(renter.cancel(1))
    for _ in range(2):
        renter.submit()
    market.next_job(provider)
    overview = answered(admin.get("/admin/overview"))
    fits(overview, OVERVIEW)
    assert overview == {
        "providersRegistered": 1,
        "providersOnline": 1,
        "jobsQueued": 1,
        "jobsRunning": 1,
        "jobsCompleted": 0,
        "revenueSARToday": 0.24,
        "revenueSARTotal": 0.24,
        "timestamp": market.now(),
    }


def test_metrics(market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    market.register_provider()
    renter.submit()
    provider.next()
    answered(provider.try_result(1, error="out of memory"))
    for _ in range(3):
        renter.submit()
    market.next_job(provider)
    market.advance(20)
    shown = metrics(admin)
    assert shown["queue"] == {"pending_jobs": 2, "running_jobs": 1, "failed_last_1h": 1, "avg_wait_seconds": 20}
    assert show(shown["providers"], "online", "active", "registered", "total_registered", "pending_approval") == {
        "online": 1,
        "active": 1,
        "registered": 1,
        "total_registered": 2,
        "pending_approval": 1,
    }
    assert shown["renters"] == {"total_registered": 1, "active_last_24h": 1, "total_balance_halala": 865}
    assert shown["system"]["db_size_bytes"] > 0
    assert shown["system"]["uptime_seconds"] == 20
    market.clock.advance(86_400)
    shown = metrics(admin)
    assert shown["queue"]["failed_last_1h"] == 0
    assert shown["renters"]["active_last_24h"] == 0


def test_revenue_by_week_and_month(market: LocalMarket, admin: Admin, finished_job: Callable[[], int]) -> None:
    finished_job()  # Sunday, 22 March
    assert metrics(admin)["revenue"] == {"today_halala": 1, "this_week_halala": 1, "this_month_halala": 1}
    market.clock.advance(86_400)  # Monday
    assert metrics(admin)["revenue"] == {"today_halala": 0, "this_week_halala": 0, "this_month_halala": 1}


def test_revenue_by_day_with_the_charges_of_cancelled_jobs(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    renter.submit()
    provider.next()
    market.advance(95)
    provider.result(1)
    market.clock.advance(86_400)
    provider.heartbeat()
    renter.submit()
    market.next_job(provider)
    market.advance(95)
    answered(renter.cancel(2))
    shown = answered(admin.get("/admin/revenue", params={"days": 3}))
    fits(shown, REVENUE)
    day = {"total_sar": 0.24, "platform_fees_sar": 0.06, "provider_payouts_sar": 0.18, "jobs": 1}
    assert shown == {
        "period_days": 3,
        "totals": {"total_sar": 0.48, "platform_fees_sar": 0.12, "provider_payouts_sar": 0.36, "total_jobs": 2},
        "by_day": [
            {"date": "2026-03-21", **dict.fromkeys(day, 0)},
            {"date": "2026-03-22", **day},
            {"date": "2026-03-23", **day},
        ],
    }
    assert answered(admin.get("/admin/revenue"))["period_days"] == 30
    longest = answered(admin.get("/admin/revenue", params={"days": 9999}))
    assert (longest["period_days"], len(longest["by_day"])) == (365, 365)
    for days in ("0", "-1", "x", "1.5"):
        refused(admin.get("/admin/revenue", params={"days": days}), 400)


def test_the_health_of_the_fleet(market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    market.register_provider()
    quiet = market.add_provider()
    provider.heartbeat({**REPORT, "container_restart_count": 2, "model_cache": {"used_mb": 1234.5, "total_mb": 9999}})
    renter.submit(provider_id=1)
    provider.next()
    answered(provider.try_result(1, error="no"))
    renter.submit(provider_id=1)
    provider.next()
    market.advance(150, silent=[quiet])
    shown = answered(admin.get("/admin/fleet/health"))
    fits(shown, FLEET)
    assert show(shown, "total_providers", "online", "offline", "degraded", "generated_at") == {
        "total_providers": 3,
        "online": 1,
        "offline": 0,
        "degraded": 1,
        "generated_at": market.now(),
    }
    assert shown["providers"][0] == {
        "id": 1,
        "gpu_model": "NVIDIA GeForce RTX 4090",
        "gpu_source": "reported",
        "vram_mb": 24564,
        "gpu_count": 1,
        "last_heartbeat": market.now(),
        "heartbeat_age_seconds": 0,
        "status": "online",
        "jobs_running": 1,
        "jobs_failed_24h": 1,
        "container_restart_count": 2,
        "model_cache_disk_mb": 1234.5,
    }
    assert show(shown["providers"][1], "status", "last_heartbeat", "heartbeat_age_seconds") == {
        "status": "registered",
        "last_heartbeat": None,
        "heartbeat_age_seconds": None,
    }
    assert show(shown["providers"][2], "status", "heartbeat_age_seconds") == {
        "status": "degraded",
        "heartbeat_age_seconds": 150,
    }
    page = answered(admin.get("/admin/fleet/health?page=2&limit=2"))
    assert [each["id"] for each in page["providers"]] == [quiet.id]
    assert page["pagination"] == {"page": 2, "limit": 2, "total": 3, "pages": 2}
    assert page["degraded"] == 1


def test_alerts_oldest_first(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    lost, late = market.add_provider(), market.add_provider()
    hot = market.add_provider({"gpu_status": {"temp_c": 85, "daemon_version": "3.2.9"}, "container_restart_count": 3})
    market.advance(301, silent=[lost])
    market.advance(300, silent=[lost, late])
    for daemon in (provider, hot):
        daemon.heartbeat({})
    assert alerts(admin) == [
        (late.id, "PROVIDER_DEGRADED", market.now(-180)),
        (lost.id, "PROVIDER_OFFLINE", market.now(-1)),
        *[(hot.id, reason, market.now()) for reason in ("GPU_HOT", "DAEMON_OUTDATED", "CONTAINER_RESTARTING")],
    ]
    page = answered(admin.get("/admin/fleet/alerts?page=2&limit=2"))
    assert [alert["reason"] for alert in page["alerts"]] == ["GPU_HOT", "DAEMON_OUTDATED"]
    assert page["pagination"] == {"page": 2, "limit": 2, "total": 5, "pages": 3}
    for daemon in (lost, late, hot):
        answered(admin.post(f"/admin/providers/{daemon.id}/suspend"))
    assert alerts(admin) == []


def test_a_provider_that_lost_its_only_card_is_told_of_and_given_no_work(
    market: LocalMarket, admin: Admin, renter: Renter
) -> None:
    found: Json = {"gpu_status": {"gpu_name": "RTX 4090", "gpus_present": 1, "daemon_version": "3.3.0"}}
    lost: Json = {"gpu_status": {"gpus_present": 0, "daemon_version": "3.3.0"}}
    never: Json = {"gpu_status": {"gpus_present": 0, "daemon_version": "3.3.0"}}
    provider = market.add_provider(found)
    provider.heartbeat(lost)
    assert alerts(admin) == [(provider.id, "GPU_LOST", market.now())]
    renter.submit()
    assert provider.ask()["job"] is None
    provider.heartbeat(found)
    assert alerts(admin) == []
    assert market.next_job(provider)["id"] == 1
    market.add_provider(never)
    assert alerts(admin) == []


def test_two_polling_daemons_with_one_key_are_told_of(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    for host in ("gpu-1", "gpu-1", "gpu-1-renamed"):
        provider.heartbeat({"provider_hostname": host})
    assert alerts(admin) == []
    assert provider.account()["second_daemon_at"] is None
    provider.heartbeat({"provider_hostname": "gpu-1"})
    assert alerts(admin) == [(1, "KEY_SHARED", market.now())]
    assert provider.account()["second_daemon_at"] == market.now()
    market.clock.advance(86_400)
    provider.heartbeat()
    assert alerts(admin) == []
    assert provider.account()["second_daemon_at"] is None


def test_a_provider_on_which_jobs_fail(market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    for index in range(3):
        renter.submit(provider_id=1)
        market.next_job(provider)
        answered(provider.try_result(index + 1, error="no"))
        market.advance(10)
    assert alerts(admin) == [(1, "JOBS_FAILING", market.now(-30))]
    market.clock.advance(86_400)
    provider.heartbeat()
    assert alerts(admin) == []


def test_what_daemons_reported(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    other = market.add_provider()
    now_ms = market.clock.now_ms()
    told = [
        NewDaemonEvent(1, "crash", EventSeverity.CRITICAL, {"code": 137}, now_ms - 25 * 3_600_000),
        NewDaemonEvent(1, "gpu_lost", EventSeverity.ERROR, "Xid 79", now_ms - 3_600_000),
        NewDaemonEvent(other.id, "started", EventSeverity.INFO, None, now_ms),
    ]

    def work(conn: Connection) -> None:
        for event in told:
            daemon_events.record(conn, event)

    market.edge.loop.run(market.server.database.write(work))
    shown = answered(admin.get("/admin/daemon-health"))
    fits(shown, EVENTS)
    assert [event["event_type"] for event in shown["events"]] == ["started", "gpu_lost"]
    assert [event["details"] for event in shown["events"]] == [None, "Xid 79"]
    assert shown["counts"] == {"info": 1, "warning": 0, "error": 1, "critical": 0}
    mine = answered(admin.get("/admin/daemon-health", params={"hours": 720, "provider_id": 1}))
    assert [event["details"] for event in mine["events"]] == ["Xid 79", {"code": 137}]
    for bad in ({"hours": 0}, {"hours": 721}, {"hours": "x"}, {"provider_id": 0}):
        refused(admin.get("/admin/daemon-health", params=bad), 400)


def test_the_audit_trail_tells_who_what_and_how_it_ended(market: LocalMarket, admin: Admin) -> None:
    market.register_provider()
    admin.approve(1)
    refused(admin.post("/admin/providers/999/suspend"), 404)
    answered(admin.get("/admin/jobs", params={"search": "secret"}))
    shown = answered(admin.get("/admin/audit"))
    entry: Json = {
        "id": integer,
        "at": time,
        "actor": text,
        "method": text,
        "path": text,
        "status": integer,
        "address": text,
        "reason": nothing,
        "calls": integer,
    }
    fits(shown, {"entries": [entry], "total": integer, "pagination": free_object})
    assert [(item["method"], item["path"], item["status"]) for item in shown["entries"]] == [
        ("GET", "/admin/jobs", 200),
        ("POST", "/admin/providers/999/suspend", 404),
        ("PATCH", "/admin/providers/1/approve", 200),
    ]
    assert shown["total"] == 3
    assert len({item["actor"] for item in shown["entries"]}) == 1
    assert ADMIN_TOKEN not in str(shown)
    # Reading the trail is an admin call too.
    second = answered(admin.get("/admin/audit", params={"page": 2, "limit": 3}))
    assert [item["path"] for item in second["entries"]] == ["/admin/providers/1/approve"]
    assert second["pagination"] == {"page": 2, "limit": 3, "total": 4, "pages": 2}
    for bad in ({"page": 0}, {"limit": 0}, {"page": "x"}):
        refused(admin.get("/admin/audit", params=bad), 400)


def test_refusals_are_as_visible_as_acts(market: LocalMarket, admin: Admin) -> None:
    for _ in range(3):
        refused(
            market.rest.post("/admin/renters/1/credit", {"amount_halala": 5}, headers={"x-admin-token": "guess"}), 401
        )
    refused(market.rest.get("/renters/balance"), 401)
    refused(market.rest.post("/admin/renters/1/credit", {"amount_halala": 5}), 401)
    shown = metrics(admin)["refusals"]
    assert shown == [
        {"method": "AdminRenterService/CreditRenter", "reason": "unauthenticated", "count": 4},
        {"method": "RenterService/GetBalance", "reason": "unauthenticated", "count": 1},
    ]
    _, entry = answered(admin.get("/admin/audit"))["entries"]
    assert show(entry, "method", "path", "status", "reason") == {
        "method": "POST",
        "path": "/admin/renters/1/credit",
        "status": 401,
        "reason": "unauthenticated",
    }


@pytest.mark.settings(rate_limits_enabled=True)
def test_all_admin_routes_share_one_bucket(admin: Admin) -> None:
    for path in ("/admin/jobs", "/admin/audit", "/admin/overview") * 10:
        answered(admin.get(path))
    body = refused(admin.get("/admin/fleet/health"), 429, "Rate limit exceeded")
    assert body["retryAfterMs"] == body["retryAfterSeconds"] * 1000

"""The wallet's entries, and what a renter spent and on what (contract 3.2)."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import ComputeType, JobSource, JobType
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import lifecycle
from dc1.storage.jobs.lifecycle import JobSpec, NewJob, SubmissionLimits
from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, REPORT, PollDaemon
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits, flag, integer, number, text, time
from tests.contract.renters.test_accounts import ENTRY

ENTRIES: Json = {"entries": [ENTRY], "total": integer, "limit": integer, "offset": integer}
SPEND: Json = {"jobs": integer, "total_halala": integer, "total_sar": number}
SPENDING: Json = {
    "all_time": {"total_jobs": integer, "total_halala": integer, "total_sar": number},
    "monthly": [{"month": text, **SPEND}],
    "last_30_days": [{"date": text, **SPEND}],
}
ANALYTICS: Json = {
    "period": text,
    "daily_spend": [{"date": text, **SPEND}],
    "status_counts": [{"status": text, "count": integer}],
    "avg_duration_minutes": number,
    "completed_job_count": integer,
    "top_gpus": [{"gpu_model": text, "jobs": integer, "total_halala": integer}],
}
USAGE: Json = {
    "usage": [
        {
            "job_id": text,
            "model": text,
            "prompt_tokens": integer,
            "completion_tokens": integer,
            "cost_halala": integer,
            "created_at": time,
        }
    ],
    "totals": dict.fromkeys(
        ("total_requests", "prompt_tokens", "completion_tokens", "total_tokens", "total_cost_halala"), integer
    ),
    "pagination": {"limit": integer, "offset": integer, "has_more": flag},
}

Finish = Callable[[float], None]


@pytest.fixture
def run(market: LocalMarket, renter: Renter, provider: PollDaemon) -> Finish:
    """Runs a J3 of R on P for some seconds."""

    def finish(seconds: float) -> None:
        provider.heartbeat()
        job = renter.submit()
        provider.next()
        market.advance(seconds)
        provider.result(job["id"])

    return finish


def test_the_wallet_s_entries_newest_first(market: LocalMarket, renter: Renter, admin: Admin, run: Finish) -> None:
    run(95)
    renter.top_up(7)
    answered(admin.post("/admin/renters/1/balance", {"amount_halala": -3, "reason": "a mistake"}))
    page = answered(renter.get("/renters/me/transactions"))
    assert fits(page, ENTRIES)
    assert show(page, "total", "limit", "offset") == {"total": 5, "limit": 20, "offset": 0}
    assert [
        (row["kind"], row["direction"], row["amount_halala"], row["balance_after_halala"]) for row in page["entries"]
    ] == [
        ("admin_adjustment", "debit", 3, 980),
        ("topup", "credit", 7, 983),
        ("refund", "credit", 21, 976),
        ("hold", "debit", 45, 955),
        ("starter_credit", "credit", 1000, 1000),
    ]
    adjustment, top_up, refund = page["entries"][:3]
    assert show(adjustment, "note", "job_id", "amount_sar") == {"note": "a mistake", "job_id": None, "amount_sar": 0.03}
    assert (top_up["note"], refund["job_id"]) == (None, renter.job(1)["job_id"])
    assert answered(admin.get("/admin/renters/1/ledger")) == answered(admin.get("/renters/1/transactions")) == page
    assert answered(renter.get("/renters/1/transactions")) == page
    debits = answered(renter.get("/renters/me/transactions", params={"direction": "debit", "limit": 1, "offset": 1}))
    assert [row["kind"] for row in debits["entries"]] == ["hold"]
    assert show(debits, "total", "limit", "offset") == {"total": 2, "limit": 1, "offset": 1}
    assert answered(renter.get("/renters/me/transactions", params={"limit": 5000}))["limit"] == 100


def test_whose_entries(market: LocalMarket, renter: Renter, provider: PollDaemon, admin: Admin) -> None:
    stranger = market.add_renter()
    refused(stranger.get("/renters/1/transactions"), 403, "Forbidden")
    for nobody in ("99", "0", "x", "1e3"):
        refused(renter.get(f"/renters/{nobody}/transactions"), 404, "Renter not found")
        refused(admin.get(f"/admin/renters/{nobody}/ledger"), 404, "Renter not found")
    refused(admin.get("/renters/me/transactions"), 404, "Renter not found")
    refused(provider.get("/renters/1/transactions"), 401)
    for bad in ({"direction": "up"}, {"limit": 0}, {"limit": "x"}, {"offset": -1}):
        refused(renter.get("/renters/me/transactions", params=bad), 400)
        refused(admin.get("/admin/renters/1/ledger", params=bad), 400)


def test_spending_by_month_and_day(market: LocalMarket, renter: Renter, run: Finish) -> None:
    run(95)
    market.clock.advance(15 * 86400)
    run(30)
    run(4)
    spending = answered(renter.get("/renters/me/spending"))
    assert fits(spending, SPENDING)
    assert spending["all_time"] == {"total_jobs": 3, "total_halala": 33, "total_sar": 0.33}
    months = {row["month"]: row["total_halala"] for row in spending["monthly"]}
    assert next(iter(months)) == "2025-05"
    assert len(months) == 12
    assert {month: halala for month, halala in months.items() if halala} == {"2026-03": 24, "2026-04": 9}
    days = spending["last_30_days"]
    assert (len(days), days[0]["date"], days[-1]["date"]) == (30, "2026-03-08", "2026-04-06")
    assert [row for row in days if row["jobs"]] == [
        {"date": "2026-03-22", "jobs": 1, "total_halala": 24, "total_sar": 0.24},
        {"date": "2026-04-06", "jobs": 2, "total_halala": 9, "total_sar": 0.09},
    ]
    assert spending["all_time"]["total_halala"] == renter.wallet()["total_spent_halala"]


def test_cancelled_runs_are_spending_and_free_ones_are_not(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    answered(renter.cancel(renter.submit()["id"]))
    job = renter.submit()
    provider.next()
    market.advance(60)
    answered(renter.cancel(job["id"]))
    assert answered(renter.get("/renters/me/spending"))["all_time"] == {
        "total_jobs": 1,
        "total_halala": 15,
        "total_sar": 0.15,
    }


def test_analytics_of_a_period(market: LocalMarket, renter: Renter, provider: PollDaemon, run: Finish) -> None:
    run(60)
    market.clock.advance(8 * 86400)
    run(120)
    renter.submit(model="nobody/offers-this")
    model = REPORT["gpu_status"]["gpu_name"]

    def with_model() -> Json | None:
        answer = answered(renter.get("/renters/me/analytics"))
        return answer if answer["top_gpus"][0]["gpu_model"] == model else None

    month = eventually(with_model, "the daemon's report stored")
    assert month is not None
    assert fits(month, ANALYTICS)
    assert show(month, "period", "avg_duration_minutes", "completed_job_count", "status_counts", "top_gpus") == {
        "period": "30d",
        "avg_duration_minutes": 1.5,
        "completed_job_count": 2,
        "status_counts": [{"status": "completed", "count": 2}, {"status": "queued", "count": 1}],
        "top_gpus": [{"gpu_model": model, "jobs": 2, "total_halala": 45}],
    }
    assert (len(month["daily_spend"]), sum(row["total_halala"] for row in month["daily_spend"])) == (30, 45)
    week = answered(renter.get("/renters/me/analytics", params={"period": "7d"}))
    assert (week["period"], len(week["daily_spend"]), week["completed_job_count"]) == ("7d", 7, 1)
    refused(renter.get("/renters/me/analytics", params={"period": "1y"}), 400, "Invalid period. Allowed: 7d, 30d, 90d")
    nothing = answered(market.add_renter().get("/renters/me/analytics", params={"period": "90d"}))
    assert show(nothing, "avg_duration_minutes", "completed_job_count", "status_counts", "top_gpus") == {
        "avg_duration_minutes": 0,
        "completed_job_count": 0,
        "status_counts": [],
        "top_gpus": [],
    }


def token_call(market: LocalMarket, renter_id: int, provider_id: int, number: int) -> None:
    """A call that is billed by tokens, as it is stored."""
    now_ms = market.clock.now_ms()
    call = NewJob(
        job_id=f"job-{now_ms}-call{number:02}",
        renter_id=renter_id,
        job_type=JobType.LLM_INFERENCE,
        spec=JobSpec(
            container_spec={"image_type": "llm", "gpu_count": 1},
            params={"messages": [{"role": "user", "content": "x" * 120}], "max_tokens": 512},
        ),
        duration_minutes=None,
        max_duration_seconds=300,
        rate_halala_per_minute=15,
        class_multiplier=Decimal(1),
        cost_halala=2,
        fee_bps=2500,
        compute_type=ComputeType.INFERENCE,
        model=MODEL,
        provider_id=provider_id,
        slots=64,
        token_price_halala=19,
        source=JobSource.V1,
    )

    def work(conn: Connection) -> None:
        job = lifecycle.submit(conn, call, SubmissionLimits(), now_ms)
        lifecycle.start(conn, job.id, provider_id, 0, 64, now_ms)
        answer = AttemptReport(completed=True, result="y" * 380, prompt_tokens=120, completion_tokens=380)
        assert lifecycle.finish(conn, job.id, answer, now_ms) is not None

    market.edge.loop.run(market.server.database.write(work))


def test_token_billed_calls(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    none = answered(renter.get("/renters/me/usage"))
    assert fits(none, USAGE)
    assert none["usage"] == []
    renter.submit()
    for number_ in range(3):
        token_call(market, renter.id, provider.id, number_)
    page = answered(renter.get("/renters/me/usage", params={"limit": 2}))
    assert fits(page, USAGE)
    assert [row["job_id"][-6:] for row in page["usage"]] == ["call02", "call01"]
    assert show(page["usage"][0], "model", "prompt_tokens", "completion_tokens", "cost_halala", "created_at") == {
        "model": MODEL,
        "prompt_tokens": 120,
        "completion_tokens": 380,
        # The halala of the first call pays for a hundred like it.
        "cost_halala": 0,
        "created_at": market.now(),
    }
    assert page["totals"] == {
        "total_requests": 3,
        "prompt_tokens": 360,
        "completion_tokens": 1140,
        "total_tokens": 1500,
        "total_cost_halala": 1,
    }
    assert page["pagination"] == {"limit": 2, "offset": 0, "has_more": True}
    rest = answered(renter.get("/renters/me/usage", params={"limit": 2, "offset": 2}))
    assert [(row["job_id"][-6:], row["cost_halala"]) for row in rest["usage"]] == [("call00", 1)]
    assert rest["pagination"] == {"limit": 2, "offset": 2, "has_more": False}
    assert answered(renter.get("/renters/me/usage", params={"limit": 5000}))["pagination"]["limit"] == 200
    assert answered(market.add_renter().get("/renters/me/usage"))["usage"] == []
    refused(renter.get("/renters/me/usage", params={"limit": "many"}), 400)

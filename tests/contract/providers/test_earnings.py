"""What a provider earned, day by day and job by job."""

from collections.abc import Callable

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits, integer, number, text, time

HISTORY: Json = {
    "period": text,
    "days": [{"date": text, "jobs": integer, "earned_halala": number, "earned_sar": number}],
}
JOBS: Json = {
    "jobs": [
        {
            "job_id": text,
            "job_type": text,
            "status": text,
            "completed_at": time,
            "used_seconds": number,
            "earned_halala": integer,
            "earned_sar": number,
        }
    ],
    "total": integer,
}


def test_nothing_earned_yet(provider: PollDaemon) -> None:
    assert answered(provider.get("/providers/earnings/summary")) == {
        "total_earned": 0,
        "pending": 0,
        "last_payout": None,
    }
    assert answered(provider.get("/providers/job-history")) == {"jobs": [], "total": 0}


@pytest.mark.parametrize(("period", "days"), [("7d", 7), ("30d", 30), ("90d", 90), (None, 30)])
def test_every_day_of_a_period_is_there(
    provider: PollDaemon, finished_job: Callable[[], int], period: str | None, days: int
) -> None:
    finished_job()
    body = answered(provider.get("/providers/me/earnings/history", params={"period": period} if period else {}))
    assert fits(body, HISTORY)
    assert body["period"] == period or "30d"
    assert len(body["days"]) == days
    assert body["days"][-1] == {"date": "2026-03-22", "jobs": 1, "earned_halala": 1, "earned_sar": 0.01}
    assert sum(day["earned_halala"] for day in body["days"]) == 1


def test_a_day_ends_at_midnight_utc(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    for duration, silent in ((95, []), (5 * 3600, [provider])):
        job = renter.submit()
        market.next_job(provider)
        market.advance(95)
        provider.result(job["id"])
        market.advance(duration, silent=silent)
    days = answered(provider.get("/providers/me/earnings/history?period=7d"))["days"]
    assert days[-2] == {"date": "2026-03-22", "jobs": 2, "earned_halala": 36, "earned_sar": 0.36}
    assert days[-1] == {"date": "2026-03-23", "jobs": 0, "earned_halala": 0, "earned_sar": 0}


def test_ended_jobs_newest_first(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    ids = []
    for outcome in ({"result": "ok"}, {"error": "broken"}):
        job = renter.submit()
        ids.append(job["job_id"])
        market.next_job(provider)
        market.advance(95)
        answered(provider.try_result(job["id"], **outcome))
    renter.submit()
    body = answered(provider.get("/providers/job-history"))
    assert fits(body, JOBS)
    assert body["total"] == 2
    assert [show(job, "job_id", "status", "used_seconds", "earned_halala", "earned_sar") for job in body["jobs"]] == [
        {"job_id": ids[1], "status": "failed", "used_seconds": 95, "earned_halala": 0, "earned_sar": 0},
        {"job_id": ids[0], "status": "completed", "used_seconds": 95, "earned_halala": 18, "earned_sar": 0.18},
    ]
    newest = answered(provider.get("/providers/job-history", params={"limit": 1}))
    assert ([job["job_id"] for job in newest["jobs"]], newest["total"]) == ([ids[1]], 2)
    stranger = market.add_provider()
    assert answered(stranger.get("/providers/job-history")) == {"jobs": [], "total": 0}


@pytest.mark.parametrize(
    "path", ["/providers/earnings/summary", "/providers/me/earnings/history", "/providers/job-history"]
)
def test_earnings_are_the_providers_own(market: LocalMarket, renter: Renter, provider: PollDaemon, path: str) -> None:
    refused(market.rest.get(path), 401, "API key required")
    refused(market.rest.get(path, headers={"x-provider-key": "bad"}), 401, "Invalid API key")
    refused(renter.get(path, headers={"x-provider-key": renter.key}), 401, code="WRONG_KEY_TYPE")
    answered(provider.get(path))


def test_refusals(provider: PollDaemon) -> None:
    text = "Invalid period. Allowed: 7d, 30d, 90d"
    refused(provider.get("/providers/me/earnings/history?period=24h"), 400, text, code="INVALID_ENUM")
    for limit in ("0", "-1", "x"):
        refused(provider.get("/providers/job-history", params={"limit": limit}), 400)
        refused(provider.get("/providers/me/withdrawals", params={"limit": limit}), 400)
    answered(provider.get("/providers/job-history", params={"limit": 1_000_000}))

"""The market at a glance for anybody, and its past for operators (contract 3.1 and 3.5)."""

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Renter
from dc1.testing.poll_daemon import REPORT
from dc1.testing.rest import Json, Rest
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused, show

T4: Json = {**REPORT, "gpu_status": {**REPORT["gpu_status"], "gpu_name": "Tesla T4", "gpu_vram_mib": 15360}}


def test_the_market_at_a_glance(market: LocalMarket, rest: Rest, renter: Renter) -> None:
    busy, _, cheap = market.add_provider(), market.add_provider(), market.add_provider(T4)
    job = renter.submit(J3, provider_id=busy.id)
    assert market.next_job(busy)["id"] == job["id"]

    response = rest.get("/market/summary")

    assert response.headers["cache-control"] == "public, max-age=15"
    summary = answered(response)
    assert show(summary, "machines", "machines_free", "jobs_queued", "jobs_running") == {
        "machines": 3,
        "machines_free": 2,
        "jobs_queued": 0,
        "jobs_running": 1,
    }
    prices = {row["id"]: row["price_per_hour_sar"] for row in answered(rest.get("/providers/available"))["providers"]}
    assert summary["median_price_per_hour_sar"] == prices[busy.id] > prices[cheap.id] > 0
    assert [show(row, "gpu_type", "machines", "machines_free", "gpus") for row in summary["gpu_types"]] == [
        {"gpu_type": "RTX 4090", "machines": 2, "machines_free": 1, "gpus": 2},
        {"gpu_type": "T4", "machines": 1, "machines_free": 1, "gpus": 1},
    ]
    assert len(summary["days"]) == 30

    # Kept for a while, whatever happens, and then told anew.
    busy.result(job["id"])
    assert answered(rest.get("/market/summary")) == summary
    market.advance(15)
    told = answered(rest.get("/market/summary"))
    today = {"date": market.now()[:10], "jobs": 1, "median_price_per_hour_sar": None}
    assert (told["machines_free"], told["days"][-1]) == (3, today)

    # The mean of the day's minutes, once one with these machines is kept.
    def minutes() -> list[Json]:
        points: list[Json] = answered(market.admin.get("/admin/series", params={"period": "1h"}))["points"]
        return [point for point in points if point["online"] == 3]

    market.advance(60)
    eventually(minutes)
    market.advance(15)
    *before, today = [day["median_price_per_hour_sar"] for day in answered(rest.get("/market/summary"))["days"]]
    assert (set(before), today) == ({None}, summary["median_price_per_hour_sar"])


def test_the_markets_past_by_the_minute(market: LocalMarket, renter: Renter) -> None:
    def points(period: str = "1h") -> list[Json]:
        found: list[Json] = answered(market.admin.get("/admin/series", params={"period": period}))["points"]
        return found

    first = eventually(points)
    provider = market.add_provider()
    # Who closed its account is not a machine of the market any more.
    answered(market.add_provider().delete("/providers/me", {"confirm": "DELETE_MY_ACCOUNT"}))
    job = renter.submit(J3, provider_id=provider.id)
    renter.submit(J3, gpu_requirements={"gpu_type": "H200"})
    assert market.next_job(provider)["id"] == job["id"]
    market.advance(60)
    running = eventually(lambda: points()[1:])
    provider.result(job["id"])
    charged = renter.job(job["id"])["actual_cost_halala"]
    market.advance(60)
    ended = eventually(lambda: points()[2:])

    told = ("machines", "online", "queued", "running", "jobs_completed", "charged_halala")
    assert [tuple(point[name] for name in told) for point in (*first, *running, *ended)] == [
        (0, 0, 0, 0, 0, 0),
        (1, 1, 1, 1, 0, 0),
        (1, 1, 1, 0, 1, charged),
    ]
    assert ended[0]["at"] == f"{market.now()[:16]}:00.000Z"
    # Minutes of one span are one point, which has what was done in all of them.
    assert sum(point["jobs_completed"] for point in points("24h")) <= 1
    refused(market.admin.get("/admin/series", params={"period": "1y"}), 400)

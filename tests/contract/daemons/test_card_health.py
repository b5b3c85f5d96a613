"""What cards go through is shown to owners, renters and admins, and decides on work and faults (contract 4.9)."""

import pytest

from dc1.domain.gpus.clock_history import LEAST_SAMPLES
from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import REPORT
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, show

XID = {"xid_errors": [{"xid": 79, "count": 1, "seconds_ago": 3}]}
WORDS = "Xid 79, the GPU has fallen off the bus"


def report(*cards: Json, **first: object) -> Json:
    """A machine of as many cards as say something of themselves."""
    listed = [
        {"gpu_uuid": f"GPU-{number}", "gpu_name": "NVIDIA GeForce RTX 4090", "gpu_vram_mib": 24564, **told}
        for number, told in enumerate(cards, 1)
    ]
    more = {"gpu_count": len(cards), "gpus_present": len(cards), "all_gpus": listed}
    return {**REPORT, "gpu_status": {**REPORT["gpu_status"], **more, **first}}


def alerts(admin: Admin) -> list[tuple[str, str | None]]:
    shown = answered(admin.get("/admin/fleet/alerts"))["alerts"]
    return [(alert["reason"], alert["detail"]) for alert in shown]


def audited(admin: Admin) -> list[str]:
    entries = answered(admin.get("/admin/audit"))["entries"]
    return [entry["path"] for entry in entries if "GPU" in entry["path"]]


def detail_of(renter: Renter, job_id: int) -> Json:
    return show(renter.job(job_id), "performance_ratio", "throttled", "throttle_reasons", "gpu_lost")


def test_a_card_that_fails_is_given_no_work_until_it_reports_well_again(
    market: LocalMarket, admin: Admin, renter: Renter
) -> None:
    provider = market.add_provider(report({}, {}))
    provider.heartbeat(report(XID, {}))
    assert alerts(admin) == [("GPU_ERRORS", f"GPU GPU-1 is given no work: {WORDS}")]
    shown = provider.account()
    assert shown["hardware_notice"] == f"GPU GPU-1 is given no work: {WORDS}"
    assert [(card["gpu"], card["xids"], card["failure"]) for card in shown["gpus"]] == [
        ("GPU-1", [79], WORDS),
        ("GPU-2", None, None),
    ]
    inspected = answered(admin.get(f"/admin/providers/{provider.id}"))["provider"]
    assert inspected["gpus"] == shown["gpus"]
    eventually(lambda: audited(admin), "the entry in the audit trail")
    # One card is left, for one job.
    first, second = renter.submit(), renter.submit()
    assert provider.next()["id"] == first["id"]
    assert provider.ask()["job"] is None
    provider.heartbeat(report({}, {}))
    assert alerts(admin) == []
    assert provider.account()["hardware_notice"] is None
    assert market.next_job(provider)["id"] == second["id"]


def test_a_machine_whose_cards_all_fail_is_given_nothing(market: LocalMarket, admin: Admin, renter: Renter) -> None:
    provider = market.add_provider(report({}))
    provider.heartbeat(report({"ecc_uncorrected_new": 1}))
    renter.submit()
    assert provider.ask()["job"] is None
    provider.heartbeat(report({"ecc_uncorrected_new": 0}))
    assert market.next_job(provider)["id"] == 1


@pytest.mark.parametrize(("told", "fault", "category"), [({}, "renter", "execution"), (XID, "provider", "gpu_lost")])
def test_a_run_that_fails_when_its_card_does_is_its_providers_fault(
    market: LocalMarket, renter: Renter, told: Json, fault: str, category: str
) -> None:
    provider = market.add_provider(report({}))
    job = renter.submit()
    provider.next()
    provider.logs(job["id"], ["step 1"])
    market.advance(60)
    provider.heartbeat(report(told))
    answered(provider.try_result(job["id"], error="it ended with exit code 1", exit_code=1))
    ended = renter.job(job["id"])
    assert (ended["fault"], ended["error_category"], ended["status"]) == (fault, category, "failed")
    assert (ended["actual_cost_halala"] == 0) is (fault == "provider")
    if told:
        eventually(lambda: renter.job(job["id"])["gpu_lost"], "what the card went through")


def test_a_renter_sees_how_the_card_did_under_its_job(market: LocalMarket, renter: Renter) -> None:
    busy = {"gpu_util_pct": 99, "sm_clock_mhz": 2400, "throttle_reasons": ["sw_power_cap"]}
    provider = market.add_provider(report(busy))
    market.server.market.fleet.known(provider.id).cards.clocks.samples = [2400] * LEAST_SAMPLES
    job = renter.submit()
    nothing = dict.fromkeys(("performance_ratio", "throttled", "throttle_reasons", "gpu_lost"))
    assert detail_of(renter, job["id"]) == nothing
    provider.next()
    hot = busy | {"sm_clock_mhz": 1200, "throttle_reasons": ["hw_thermal_slowdown"]}
    provider.heartbeat(report(hot))
    seen = {
        "performance_ratio": 0.5,
        "throttled": True,
        "throttle_reasons": ["hw_thermal_slowdown"],
        "gpu_lost": False,
    }
    eventually(lambda: detail_of(renter, job["id"]) == seen or None, "what the card goes through")
    provider.result(job["id"])
    ended = renter.job(job["id"])
    assert (ended["status"], show(ended, *seen)) == ("completed", seen)


def test_what_was_learnt_of_a_machine_outlives_the_server(market: LocalMarket, admin: Admin) -> None:
    provider = market.add_provider(report({}, XID))
    market.server.market.fleet.known(provider.id).cards.clocks.samples = [2400] * LEAST_SAMPLES
    market.restart()
    cards = market.server.market.fleet.known(provider.id).cards
    assert cards.clocks.median_mhz == 2400
    assert alerts(admin) == [("GPU_ERRORS", f"GPU GPU-2 is given no work: {WORDS}")]

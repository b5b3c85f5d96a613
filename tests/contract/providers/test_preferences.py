"""When and how far owners let their machines be used, and how placement respects it."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json, Rest
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, fields, refused, show
from tests.contract.fitting import fits
from tests.contract.shapes.providers import PREFERENCES

# The clock of the market starts at 19:00:10 UTC.
NIGHT: Json = {"run_mode": "scheduled", "scheduled_start": "19:10", "scheduled_end": "06:00"}


def prefer(provider: PollDaemon, **wishes: object) -> Json:
    answer = answered(provider.post("/providers/preferences", wishes))
    fits(answer, PREFERENCES)
    shown: Json = answer["preferences"]
    return shown


def verdict(provider: PollDaemon) -> tuple[bool, str]:
    admission = provider.ask()["admission"]
    return admission["accepted"], admission["reason_code"]


def test_absent_wishes_stay_and_zero_is_one(provider: PollDaemon, rest: Rest) -> None:
    assert prefer(provider)["run_mode"] == "always-on"
    prefer(provider, gpu_usage_cap_pct=62.5, temp_limit_c=82.5, vram_reserve_gb=2)
    wishes = {"gpu_usage_cap_pct": 0, "temp_limit_c": 82.5, "vram_reserve_gb": 2}
    shown = answered(rest.post("/providers/preferences", {"key": provider.key, "gpu_usage_cap_pct": 0}))["preferences"]
    assert show(shown, *wishes) == wishes
    assert show(provider.account(), *wishes) == wishes


def test_wishes_outlive_the_server(market: LocalMarket, provider: PollDaemon) -> None:
    before = prefer(provider, **NIGHT, temp_limit_c=80)
    market.restart()
    assert show(provider.account(), *before) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scheduled_start", "24:00"),
        ("scheduled_end", "6:00"),
        ("gpu_usage_cap_pct", 101),
        ("gpu_usage_cap_pct", -1),
        ("vram_reserve_gb", 16.5),
        ("temp_limit_c", 49),
        ("temp_limit_c", 101),
    ],
)
def test_bad_wishes_change_nothing(provider: PollDaemon, field: str, value: object) -> None:
    before = prefer(provider)
    response = provider.post("/providers/preferences", {"run_mode": "manual", field: value})
    assert fields(refused(response, 400, "Validation failed")) == [field]
    assert prefer(provider) == before


def test_a_mode_is_one_of_three(provider: PollDaemon, renter: Renter, rest: Rest) -> None:
    text = "Invalid run_mode. Allowed: always-on, manual, scheduled"
    refused(provider.post("/providers/preferences", {"run_mode": "sometimes"}), 400, text, code="INVALID_ENUM")
    refused(rest.post("/providers/preferences", {"run_mode": "manual"}), 401, "API key required")
    refused(rest.post("/providers/preferences", {"key": "nope"}), 401, "Invalid API key")
    refused(rest.post("/providers/preferences", {"key": renter.key}), 401, code="WRONG_KEY_TYPE")


def test_a_schedule_opens_and_closes(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    prefer(provider, **NIGHT)
    assert renter.submit()["status"] == "queued"
    assert renter.submit(provider_id=1)["status"] == "queued"
    assert verdict(provider) == (False, "PROVIDER_PAUSED")
    assert provider.account()["status"] == "online"
    market.advance(600)
    market.next_job(provider)


def test_an_offer_is_taken_back_when_the_schedule_closes(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    prefer(provider, run_mode="scheduled", scheduled_start="18:00", scheduled_end="19:05")
    assert renter.submit()["status"] == "pending"
    other = market.add_provider()
    market.advance(300)
    assert market.next_job(other)["id"] == 1
    assert verdict(provider) == (False, "PROVIDER_PAUSED")


def test_a_running_job_goes_on_after_the_schedule(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    prefer(provider, run_mode="scheduled", scheduled_start="18:00", scheduled_end="19:01")
    renter.submit(duration_minutes=10)
    provider.next()
    market.advance(120)
    assert provider.result(1)["job"]["status"] == "completed"


def test_a_manual_machine_runs_what_names_it(renter: Renter, provider: PollDaemon) -> None:
    prefer(provider, run_mode="manual")
    assert renter.submit()["status"] == "queued"
    assert verdict(provider) == (False, "NO_ELIGIBLE_JOB_FOR_PROVIDER")
    assert renter.submit(provider_id=1)["status"] == "pending"
    assert provider.next()["id"] == 2


def test_a_hot_machine_cools_down_first(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    prefer(provider, temp_limit_c=70)
    provider.heartbeat({"gpu_status": {"temp_c": 71}})
    assert renter.submit()["status"] == "queued"
    assert verdict(provider) == (False, "PROVIDER_BUSY")
    provider.heartbeat({"gpu_status": {"temp_c": 70}})
    market.next_job(provider)


def test_a_machine_that_gets_hot_gives_its_offer_back(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    prefer(provider, temp_limit_c=70)
    assert renter.submit()["status"] == "pending"
    provider.heartbeat({"gpu_status": {"temp_c": 90}})
    eventually(lambda: renter.job(1)["status"] == "queued", "the offer being taken back")


def test_use_by_others_counts_and_use_by_our_jobs_does_not(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    prefer(provider, gpu_usage_cap_pct=50)
    renter.submit()
    provider.next()
    provider.heartbeat({"gpu_status": {"gpu_util_pct": 99}})
    provider.result(1)
    assert renter.submit()["status"] == "pending"
    provider.next()
    provider.result(2)
    provider.heartbeat({"gpu_status": {"gpu_util_pct": 51}})
    assert renter.submit()["status"] == "queued"
    assert verdict(provider) == (False, "PROVIDER_BUSY")


def test_reserved_vram_is_not_there_for_jobs(renter: Renter, provider: PollDaemon) -> None:
    prefer(provider, vram_reserve_gb=4)
    refused(renter.try_submit(provider_id=1, min_vram_gb=24), 400, required_vram_gb=24, provider_vram_gb=20)
    assert renter.submit(min_vram_gb=24)["status"] == "queued"
    assert verdict(provider) == (False, "INSUFFICIENT_VRAM")
    assert renter.submit(min_vram_gb=20)["status"] == "pending"
    assert provider.account()["gpu_vram_mib"] == 24564

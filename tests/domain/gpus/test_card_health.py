"""Which cards fail, which are throttled, and what is shown of reports that may say anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.gpus.card_health import (
    FATAL_XIDS,
    failing_cards,
    failure_of,
    is_throttled,
    shown_cards,
    slowed_by,
    throttle_reasons,
)
from dc1.domain.gpus.card_record import CardRecord
from dc1.domain.gpus.clock_history import LEAST_SAMPLES, READINGS_A_SAMPLE, ClockHistory
from dc1.domain.gpus.run_conditions import RunConditions
from dc1.domain.providers.reports import read_report

ANYTHING: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FIELDS = (
    *("index", "gpu_uuid", "gpu_name", "gpu_vram_mib", "gpu_util_pct", "sm_clock_mhz", "throttle_reasons"),
    *("power_limit_w", "power_limit_default_w", "ecc_uncorrected", "ecc_uncorrected_new", "xid_errors"),
)
CARDS = st.dictionaries(st.sampled_from(FIELDS), ANYTHING)


def card(uuid: str = "GPU-1", **told: JsonValue) -> JsonObject:
    return {"gpu_uuid": uuid, "gpu_name": "L40S", "gpu_vram_mib": 46068, **told}


def status(*cards: JsonObject) -> JsonObject:
    return {"gpu_name": "L40S", "gpu_vram_mib": 46068, "gpu_count": len(cards), "all_gpus": [*cards]}


@pytest.mark.parametrize("xid", FATAL_XIDS)
def test_an_error_of_the_card_itself_is_fatal(xid: int) -> None:
    assert str(xid) in (failure_of(card(xid_errors=[{"xid": xid, "count": 1}])) or "")


@pytest.mark.parametrize("xid", [13, 31, 43, 45, 63])
def test_an_error_that_a_program_can_cause_is_not(xid: int) -> None:
    assert failure_of(card(xid_errors=[{"xid": xid, "count": 1}], ecc_uncorrected=9, ecc_uncorrected_new=0)) is None


def test_a_power_cap_is_throttling_only_where_the_limit_was_lowered() -> None:
    capped = card(throttle_reasons=["sw_power_cap", "gpu_idle"], power_limit_w=450, power_limit_default_w=450)
    assert throttle_reasons(capped) == {"sw_power_cap"}
    assert not is_throttled(capped, throttle_reasons(capped))
    lowered = capped | {"power_limit_w": 200}
    assert is_throttled(lowered, throttle_reasons(lowered))
    assert is_throttled(card(), {"hw_thermal_slowdown"})


def test_an_owner_is_told_what_slows_a_card_down() -> None:
    slow = card(
        throttle_reasons=["hw_thermal_slowdown"], power_limit_w=200, power_limit_default_w=350, ecc_uncorrected=3
    )
    assert slowed_by(status(slow)) == (
        "throttled by hw_thermal_slowdown; its power limit is 200 W and by default 350 W; 3 uncorrected ECC errors"
    )
    assert slowed_by(status(card(throttle_reasons=["gpu_idle"]))) is None


@given(sent=CARDS, listed=st.lists(CARDS | ANYTHING, max_size=4))
def test_a_report_may_say_anything(sent: JsonObject, listed: list[JsonValue]) -> None:
    report = read_report({"gpu_status": {**sent, "all_gpus": listed}}).gpu_status
    assert report is not None
    record, run = CardRecord(), RunConditions()
    record.take(report, 1)
    run.note(report, record.clocks)
    assert len(shown_cards(report)) <= 32
    assert set(failing_cards(report).values()) == set(record.failing.values())
    slowed_by(report)
    run.to_json(1)


def test_cards_of_another_model_are_not_counted_with_those_that_are_sold() -> None:
    mixed = status(card(), card("GPU-2"), card("GPU-3") | {"gpu_name": "T4"})
    assert read_report({"gpu_status": mixed}).facts.gpu_count == 2


def failed_at(record: CardRecord) -> int | None:
    return record.failed_at_ms


def test_a_card_that_fails_or_vanishes_is_remembered_in_whatever_order_cards_come() -> None:
    record = CardRecord(status(card(), card("GPU-2")))
    record.take(status(card("GPU-2"), card()), 10)
    assert failed_at(record) is None
    record.take(status(card(), card("GPU-2", ecc_uncorrected_new=2)), 20)
    assert failed_at(record) == 20
    assert record.to_tell == "GPU GPU-2 is given no work: 2 new uncorrected ECC errors"
    record.take(status(card(), card("GPU-2")), 30)
    assert not record.failing
    record.take({"status": "idle"}, 35)
    assert failed_at(record) == 20
    record.take(status(card()), 40)
    assert failed_at(record) == 40


def loaded(clock_mhz: int) -> JsonObject:
    return status(card(gpu_util_pct=98, sm_clock_mhz=clock_mhz), card("GPU-2", gpu_util_pct=0, sm_clock_mhz=210))


def test_a_run_is_held_against_the_clock_that_is_usual_for_its_machine() -> None:
    record = CardRecord()
    run = RunConditions()
    run.note(loaded(2000), record.clocks)
    assert run.performance_ratio is None
    for at in range(READINGS_A_SAMPLE * LEAST_SAMPLES):
        record.take(loaded(2000), at)
    slow = RunConditions()
    # Long enough to become the usual itself, if it were looked at again.
    for at in range(READINGS_A_SAMPLE * 100):
        slow.note(loaded(1500), record.clocks)
        record.take(loaded(1500), at)
    assert slow.performance_ratio == 0.75
    assert ClockHistory(record.clocks.samples).median_mhz == 1500
    assert slow.to_json(2) == {
        "attempt": 2,
        "performance_ratio": 0.75,
        "throttled": None,
        "throttle_reasons": None,
        "gpu_lost": False,
    }

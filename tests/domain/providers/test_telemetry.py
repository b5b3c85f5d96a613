import pytest

from dc1.domain.base.json_types import JsonObject
from dc1.domain.providers.telemetry import MINUTE_MS, PERIODS, RETENTION_MS, Rollup, has_readings

NOW = 1_774_206_010_000


@pytest.mark.parametrize(
    ("gpu_status", "found"),
    [
        ({}, False),
        ({"gpu_util_pct": None, "gpu_name": "RTX 4090"}, False),
        ({"gpu_util_pct": 0}, True),
        ({"free_vram_mib": 12.5}, True),
    ],
)
def test_reports_with_and_without_readings(gpu_status: JsonObject, found: bool) -> None:
    assert has_readings(gpu_status) is found


def test_means_of_what_was_reported() -> None:
    rollup = Rollup()
    reports: list[JsonObject] = [
        {"gpu_util_pct": 10, "temp_c": -5},
        {"gpu_util_pct": 15, "temp_c": None},
        {"gpu_util_pct": 15},
    ]
    for gpu_status in reports:
        rollup.fold(gpu_status)
    assert rollup.means() == {"gpu_util_pct": 13.33, "temp_c": -5, "power_w": None, "free_vram_mib": None}


def test_rollups_add_up() -> None:
    first, second = Rollup(), Rollup()
    first.fold({"power_w": 100})
    second.fold({"power_w": 200})
    second.fold({"power_w": 300, "temp_c": 0})
    first.add(second)
    assert first.means() == {"gpu_util_pct": None, "temp_c": 0, "power_w": 200, "free_vram_mib": None}


@pytest.mark.parametrize("name", PERIODS)
def test_a_period_is_covered_by_whole_spans(name: str) -> None:
    period = PERIODS[name]
    first_ms = period.first_ms(NOW)
    assert period.span_ms % MINUTE_MS == 0
    assert first_ms == period.start_of(first_ms) <= NOW - period.length_ms < first_ms + period.span_ms
    assert period.length_ms // period.span_ms <= 100
    assert period.length_ms <= RETENTION_MS

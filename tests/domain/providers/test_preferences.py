"""When and how far a machine may be used."""

import pytest

from dc1.domain.base.clock import parse_iso
from dc1.domain.providers.preferences import Preferences, Reluctance, RunMode

NOON = parse_iso("2026-03-22T12:00:00.000Z")


def at(time: str) -> int:
    return parse_iso(f"2026-03-22T{time}:59.999Z")


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        ("09:00", "17:30", ["09:00", "17:29"], ["08:59", "17:30", "00:00"]),
        ("22:00", "06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "21:59"]),
        ("08:00", "08:00", ["00:00", "08:00"], []),
        ("08:00", None, ["00:00", "08:00"], []),
        (None, "08:00", ["00:00", "08:00"], []),
    ],
)
def test_schedules(start: str | None, end: str | None, inside: list[str], outside: list[str]) -> None:
    wishes = Preferences(RunMode.SCHEDULED, start, end)
    assert all(wishes.is_scheduled_at(at(time)) for time in inside)
    assert not any(wishes.is_scheduled_at(at(time)) for time in outside)


@pytest.mark.parametrize("mode", [RunMode.ALWAYS_ON, RunMode.MANUAL])
def test_other_modes_have_no_schedule(mode: RunMode) -> None:
    assert Preferences(mode, "22:00", "06:00").is_scheduled_at(NOON)


@pytest.mark.parametrize(
    ("wishes", "temp_c", "used_pct", "expected"),
    [
        (Preferences(), 150, 100, None),
        (Preferences(temp_limit_c=80), 80, None, None),
        (Preferences(temp_limit_c=80), 80.5, None, Reluctance.TOO_HOT),
        (Preferences(temp_limit_c=80), None, None, None),
        (Preferences(gpu_usage_cap_pct=0), None, 0, None),
        (Preferences(gpu_usage_cap_pct=0), None, 1, Reluctance.GPU_IN_USE),
        (Preferences(gpu_usage_cap_pct=0), None, None, None),
        (Preferences(RunMode.SCHEDULED, "22:00", "06:00", temp_limit_c=50), 90, None, Reluctance.OFF_SCHEDULE),
    ],
)
def test_reluctance(
    wishes: Preferences, temp_c: float | None, used_pct: float | None, expected: Reluctance | None
) -> None:
    assert wishes.reluctance(NOON, temp_c, used_pct) is expected


@pytest.mark.parametrize(
    ("reserve", "vram", "usable"), [(None, 24564, 24564), (2, 24564, 22516), (0.5, 1024, 512), (16, 8192, 0)]
)
def test_the_reserve_is_taken_from_each_gpu(reserve: float | None, vram: int, usable: int) -> None:
    wishes = Preferences(vram_reserve_gb=reserve)
    assert wishes.usable_vram_mib(vram) == usable
    assert wishes.usable_vram_mib(None) is None

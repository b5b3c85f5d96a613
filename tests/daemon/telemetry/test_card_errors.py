"""What a card goes through is told with its readings: what holds its clock down, and errors that are fatal to it."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pynvml
import pytest

from dc1.daemon.telemetry import card_errors, xid_watch
from dc1.daemon.telemetry.machine import MachineTelemetry
from dc1.domain.base.json_types import JsonObject
from dc1.domain.gpus.card_health import cards, failing_cards
from tests.daemon.telemetry.nvml_library import Device, NvmlLibrary

L40S = "NVIDIA L40S"
UNCORRECTED = (pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC)


@pytest.fixture
def telemetry() -> Iterator[MachineTelemetry]:
    made = MachineTelemetry("3.3.0")
    yield made
    made.close()


def until(telemetry: MachineTelemetry, holds: Callable[[JsonObject], object]) -> JsonObject:
    deadline = time.monotonic() + 20
    while not holds(status := telemetry.read().to_gpu_status()):
        assert time.monotonic() < deadline, status
        threading.Event().wait(0.01)
    return status


def test_what_holds_the_clock_down_is_named(monkeypatch: pytest.MonkeyPatch, telemetry: MachineTelemetry) -> None:
    # A bit that nobody has named yet is among them.
    slow = Device(L40S, "GPU-1", sm_clock_mhz=900, throttle_mask=0x4 | 0x40 | 1 << 40, limit_milliwatts=200_000)
    NvmlLibrary(slow).install(monkeypatch)
    status = telemetry.read().to_gpu_status()
    assert status["throttle_reasons"] == ["sw_power_cap", "hw_thermal_slowdown"]
    assert (status["sm_clock_mhz"], status["power_limit_w"], status["power_limit_default_w"]) == (900, 200.0, 450.0)


def test_an_older_driver_names_them_too(monkeypatch: pytest.MonkeyPatch, telemetry: MachineTelemetry) -> None:
    library = NvmlLibrary(Device(L40S, "GPU-1", throttle_mask=0x80)).install(monkeypatch)
    library.missing = {"nvmlDeviceGetCurrentClocksEventReasons"}
    assert telemetry.read().to_gpu_status()["throttle_reasons"] == ["hw_power_brake_slowdown"]


def test_a_number_that_cannot_be_costs_that_number(
    monkeypatch: pytest.MonkeyPatch, telemetry: MachineTelemetry
) -> None:
    odd = Device(
        L40S,
        "GPU-1",
        util_pct=2**32 - 1,
        temp_c=-2000,
        milliwatts=2**32 - 1,
        sm_clock_mhz=2**32 - 1,
        limit_milliwatts=0,
        ecc={UNCORRECTED: 2**64 - 1},
        errors={"nvmlDeviceGetCurrentClocksEventReasons": 4711, "nvmlDeviceGetCurrentClocksThrottleReasons": 4711},
    )
    NvmlLibrary(odd).install(monkeypatch)
    status = telemetry.read().to_gpu_status()
    odd_ones = {"gpu_util_pct", "temp_c", "power_w", "sm_clock_mhz", "power_limit_w", "ecc_uncorrected"}
    assert not (odd_ones | {"throttle_reasons"}) & status.keys()
    assert (status["gpu_vram_mib"], status["sm_clock_max_mhz"]) == (24564, 3105)


def test_a_fatal_xid_takes_its_card_out_until_it_was_reset(
    monkeypatch: pytest.MonkeyPatch, telemetry: MachineTelemetry
) -> None:
    first, second = Device(L40S, "GPU-1"), Device(L40S, "GPU-2")
    library = NvmlLibrary(first, second).install(monkeypatch)
    started = time.monotonic()
    assert telemetry.read().to_gpu_status()["gpu_count"] == 2
    assert library.waits.wait(20)
    # 31 is a program's own mistake, and 0 no Xid.
    for xid in (31, 0, 2**40, 79):
        library.events.put((first, xid))
    status = until(telemetry, failing_cards)
    assert failing_cards(status) == {"GPU-1": "Xid 79, the GPU has fallen off the bus"}
    # What is told in short is told of a card that works.
    assert [cards(status)[place].get("xid_errors") for place in (0, 1)] == [
        [{"xid": 31, "count": 1, "seconds_ago": 0}, {"xid": 79, "count": 1, "seconds_ago": 0}],
        [],
    ]
    assert status["xid_errors"] == []
    assert status["problems"] == ["GPU 0 is given no work: Xid 79, the GPU has fallen off the bus"]
    assert telemetry.gpu_failure_since(started) == "Xid 79, the GPU has fallen off the bus"
    assert telemetry.gpu_failure_since(time.monotonic()) is None

    # Reset: it is away for a reading, and back.
    first.errors["handle"] = int(pynvml.NVML_ERROR_GPU_IS_LOST)
    assert telemetry.read().to_gpu_status()["gpu_count"] == 1
    first.errors.clear()
    assert not failing_cards(telemetry.read().to_gpu_status())


def test_new_uncorrected_errors_take_a_card_out_and_old_ones_do_not(
    monkeypatch: pytest.MonkeyPatch, telemetry: MachineTelemetry
) -> None:
    card = Device(L40S, "GPU-1", ecc={UNCORRECTED: 7})
    NvmlLibrary(card).install(monkeypatch)
    assert not failing_cards(telemetry.read().to_gpu_status())
    card.ecc[UNCORRECTED] = 9
    assert failing_cards(telemetry.read().to_gpu_status()) == {"GPU-1": "2 new uncorrected ECC errors"}
    monkeypatch.setattr(card_errors, "KEPT_SECONDS", 0.0)
    status = telemetry.read().to_gpu_status()
    assert (status["ecc_uncorrected"], failing_cards(status)) == (9, {})


def test_a_watch_that_hangs_or_dies_takes_nothing_with_it(
    monkeypatch: pytest.MonkeyPatch, telemetry: MachineTelemetry
) -> None:
    library = NvmlLibrary(Device(L40S, "GPU-1")).install(monkeypatch)
    answers, hangs = threading.Event(), threading.Event()

    def hang(*_: object) -> int:
        hangs.set()
        answers.wait(30)
        return int(pynvml.NVML_ERROR_UNKNOWN)

    monkeypatch.setitem(library._functions, "nvmlEventSetWait_v2", hang)
    assert telemetry.read().to_gpu_status()["gpu_count"] == 1
    assert hangs.wait(20)
    for _ in range(3):
        assert telemetry.read().to_gpu_status()["gpu_count"] == 1
    assert sum(thread.name == "xid-watch" for thread in threading.enumerate()) == 1
    answers.set()


def test_a_driver_that_always_has_an_answer_is_not_asked_as_fast_as_it_can(
    monkeypatch: pytest.MonkeyPatch, telemetry: MachineTelemetry
) -> None:
    """An error that comes again and again, or none at all, would take a core and fill the log."""
    library = NvmlLibrary(Device(L40S, "GPU-1")).install(monkeypatch)
    asked: list[float] = []

    def wait(events: Any, out: Any, milliseconds: Any) -> int:
        asked.append(time.monotonic())
        return 0

    monkeypatch.setitem(library._functions, "nvmlEventSetWait_v2", wait)
    until(telemetry, lambda _: len(asked) > 10)
    assert asked[10] - asked[0] >= 10 * xid_watch._PAUSE_SECONDS


@pytest.mark.parametrize("function", ["nvmlEventSetCreate", "nvmlDeviceRegisterEvents", "nvmlEventSetWait_v2"])
def test_a_driver_that_tells_no_xids_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch, telemetry: MachineTelemetry, function: str
) -> None:
    library = NvmlLibrary(Device(L40S, "GPU-1")).install(monkeypatch)
    library.missing = {function}
    status = until(telemetry, lambda _: all(thread.name != "xid-watch" for thread in threading.enumerate()))
    assert status["gpu_count"] == 1
    assert "xid_errors" not in telemetry.read().to_gpu_status()

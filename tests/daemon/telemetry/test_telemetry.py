"""Telemetry through the real binding, on a stand-in for the driver's library, and on a real card where there is one."""

import platform
from typing import cast

import pynvml
import pytest

from dc1.daemon.telemetry.machine import MachineTelemetry
from dc1.domain.gpus.card_health import offered_cards
from tests.daemon.telemetry.nvml_library import Device, NvmlLibrary

RTX_4090 = "NVIDIA GeForce RTX 4090"
HEALTH = {
    "sm_clock_mhz": 2520,
    "sm_clock_max_mhz": 3105,
    "throttle_reasons": ["gpu_idle"],
    "power_limit_w": 450.0,
    "power_limit_default_w": 450.0,
    "ecc_corrected": 0,
    "ecc_uncorrected": 0,
    "ecc_corrected_total": 0,
    "ecc_uncorrected_total": 0,
    "ecc_uncorrected_new": 0,
}
"""Of a card that nothing is wrong with."""
UNHEARD = {"nvmlDeviceRegisterEvents": int(pynvml.NVML_ERROR_NOT_SUPPORTED)}
"""Of a card that tells no Xids, as on Windows."""


def test_one_card_fills_the_heartbeats_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    NvmlLibrary(Device(RTX_4090, "GPU-1", errors=UNHEARD)).install(monkeypatch)
    status = MachineTelemetry("3.3.0").read().to_gpu_status()
    machine = {"os_info", "python_version", "cpu_count", "memory_mib", "free_memory_mib"}
    assert {name: value for name, value in status.items() if name not in machine} == {
        "daemon_version": "3.3.0",
        "driver_version": "580.95.05",
        "cuda_version": "13.0",
        "gpu_name": RTX_4090,
        "gpu_vram_mib": 24564,
        "free_vram_mib": 24000,
        "gpu_util_pct": 37,
        "temp_c": 61,
        "power_w": 215.4,
        "compute_capability": "8.9",
        **HEALTH,
        "gpu_count": 1,
        "gpus_present": 1,
        "all_gpus": [
            {
                "index": 0,
                "gpu_uuid": "GPU-1",
                "gpu_name": RTX_4090,
                "gpu_vram_mib": 24564,
                "free_vram_mib": 24000,
                "gpu_util_pct": 37,
                "temp_c": 61,
                "power_w": 215.4,
                "compute_capability": "8.9",
                **HEALTH,
            }
        ],
    }


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_of_cards_of_two_models_one_is_offered_in_whatever_order(
    monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    cards = [Device(RTX_4090, "GPU-1"), Device(RTX_4090, "GPU-2"), Device("NVIDIA L40S", "GPU-3", vram_mib=46068)]
    NvmlLibrary(*(cards[place] for place in order)).install(monkeypatch)
    status = MachineTelemetry("3.3.0").read().to_gpu_status()
    assert (status["gpu_name"], status["gpu_count"], status["gpus_present"]) == (RTX_4090, 2, 2)
    assert len(cast("list[object]", status["all_gpus"])) == 3
    other = f"GPU {order.index(2)} is not offered: it is a NVIDIA L40S, and this machine offers its {RTX_4090}"
    assert status["problems"] == [other]
    assert sorted(str(card["gpu_uuid"]) for card in offered_cards(status)) == ["GPU-1", "GPU-2"]


@pytest.mark.parametrize(("cuda", "text"), [(12080, "12.8"), (13000, "13.0"), (11040, "11.4")])
def test_cuda_version_is_dotted(monkeypatch: pytest.MonkeyPatch, cuda: int, text: str) -> None:
    NvmlLibrary(Device(RTX_4090, "GPU-1"), cuda=cuda).install(monkeypatch)
    assert MachineTelemetry("3.3.0").read().nvml.cuda_version == text


def test_a_value_the_card_lacks_loses_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    unsupported = {
        "nvmlDeviceGetPowerUsage": pynvml.NVML_ERROR_NOT_SUPPORTED,
        "nvmlDeviceGetUtilizationRates": pynvml.NVML_ERROR_NO_PERMISSION,
        "nvmlDeviceGetMigMode": pynvml.NVML_ERROR_NOT_SUPPORTED,
    }
    NvmlLibrary(Device(RTX_4090, "GPU-1", errors=unsupported)).install(monkeypatch)
    status = MachineTelemetry("3.3.0").read().to_gpu_status()
    assert "power_w" not in status
    assert "gpu_util_pct" not in status
    assert status["temp_c"] == 61
    assert status["gpu_vram_mib"] == 24564
    assert "problems" not in status


def test_older_driver_without_the_new_temperature_call(monkeypatch: pytest.MonkeyPatch) -> None:
    library = NvmlLibrary(Device(RTX_4090, "GPU-1", temp_c=44)).install(monkeypatch)
    library.missing = {"nvmlDeviceGetTemperatureV"}
    assert MachineTelemetry("3.3.0").read().gpus[0].temp_c == 44


@pytest.mark.parametrize("function", ["handle", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetName"])
def test_lost_card_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    lost = Device(RTX_4090, "GPU-1", errors={function: pynvml.NVML_ERROR_GPU_IS_LOST})
    library = NvmlLibrary(lost, Device(RTX_4090, "GPU-2")).install(monkeypatch)
    telemetry = MachineTelemetry("3.3.0")
    status = telemetry.read().to_gpu_status()
    assert status["gpu_count"] == 1
    assert status["problems"] == ["GPU 0 is left out: GPU is lost"]

    lost.errors.clear()
    assert telemetry.read().to_gpu_status()["gpu_count"] == 2
    telemetry.close()
    assert library.open_count == 0


def test_mig_instances_stand_in_for_their_card(monkeypatch: pytest.MonkeyPatch) -> None:
    not_on_an_instance = dict.fromkeys(
        (
            "nvmlDeviceGetUtilizationRates",
            "nvmlDeviceGetTemperatureV",
            "nvmlDeviceGetTemperature",
            "nvmlDeviceGetPowerUsage",
            "nvmlDeviceGetCudaComputeCapability",
        ),
        pynvml.NVML_ERROR_NOT_SUPPORTED,
    )
    cut = Device(
        "NVIDIA A100-SXM4-40GB",
        "GPU-1",
        capability=(8, 0),
        temp_c=50,
        mig_enabled=True,
        instances={
            slot: Device("NVIDIA A100-SXM4-40GB MIG 1g.5gb", f"MIG-{slot}", 4864, 64, errors=not_on_an_instance)
            for slot in (0, 3)
        },
    )
    NvmlLibrary(cut, Device("NVIDIA A100-SXM4-40GB", "GPU-2")).install(monkeypatch)
    reading = MachineTelemetry("3.3.0").read()
    assert [(gpu.uuid, gpu.index, gpu.mig_parent_uuid) for gpu in reading.gpus] == [
        ("MIG-0", 0, "GPU-1"),
        ("MIG-3", 0, "GPU-1"),
        ("GPU-2", 1, None),
    ]
    first = reading.gpus[0]
    assert (first.vram_mib, first.free_vram_mib, first.util_pct) == (4864, 4800, None)
    assert (first.temp_c, first.power_w, first.compute_capability) == (50, 215.4, "8.0")
    # A slice is sold as what it is, and the whole card has more to sell.
    status = reading.to_gpu_status()
    assert (status["gpu_name"], status["gpu_count"]) == ("NVIDIA A100-SXM4-40GB", 1)


def test_mig_card_without_instances_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    NvmlLibrary(Device("NVIDIA A100-SXM4-40GB", "GPU-1", mig_enabled=True)).install(monkeypatch)
    status = MachineTelemetry("3.3.0").read().to_gpu_status()
    assert "gpu_count" not in status
    assert status["problems"] == ["GPU 0 is left out: MIG is enabled and no instance is set up"]


def test_driver_trouble_means_no_gpus_until_it_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    library = NvmlLibrary(Device(RTX_4090, "GPU-1")).install(monkeypatch)
    library.init_error = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    telemetry = MachineTelemetry("3.3.0")
    reading = telemetry.read()
    assert reading.gpus == ()
    assert "version mismatch" in reading.nvml.problems[0]
    library.init_error = pynvml.NVML_SUCCESS
    assert len(telemetry.read().gpus) == 1


def test_machine_without_a_driver_reports_itself_and_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "CDLL", no_library)
    status = MachineTelemetry("3.3.0").read().to_gpu_status()
    assert status["daemon_version"] == "3.3.0"
    assert status["python_version"] == platform.python_version()
    assert platform.system() in str(status["os_info"])
    assert isinstance(status["cpu_count"], int)
    assert isinstance(status["memory_mib"], int)
    assert status["gpus_present"] == 0
    assert status["memory_mib"] > 100
    assert status["problems"] == ["no NVIDIA driver in use: NVML Shared Library Not Found"]
    assert not {"gpu_count", "gpu_name", "gpu_vram_mib", "all_gpus", "driver_version"} & status.keys()


@pytest.mark.gpu
def test_real_card() -> None:
    telemetry = MachineTelemetry("3.3.0")
    reading = telemetry.read()
    telemetry.close()
    if not reading.gpus:
        pytest.skip(f"no NVIDIA GPU to test with: {'; '.join(reading.nvml.problems)}")
    gpu = reading.gpus[0]
    assert gpu.uuid.startswith(("GPU-", "MIG-"))
    assert gpu.vram_mib is not None
    assert gpu.free_vram_mib is not None
    assert 0 < gpu.free_vram_mib <= gpu.vram_mib
    assert gpu.compute_capability is not None
    assert reading.nvml.driver_version
    assert reading.nvml.cuda_version

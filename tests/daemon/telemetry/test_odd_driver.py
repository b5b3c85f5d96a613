"""A driver that answers nonsense loses its card, never the reading."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dc1.daemon.telemetry.nvml import NvmlReader
from tests.daemon.telemetry.nvml_library import Device, NvmlLibrary

FUNCTIONS = [
    "handle",
    "nvmlDeviceGetName",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetCudaComputeCapability",
    "nvmlDeviceGetMigMode",
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    errors=st.dictionaries(st.sampled_from(FUNCTIONS), st.integers(1, 2**31 - 1), max_size=3),
    init_error=st.just(0) | st.integers(0, 2**31 - 1),
    cuda=st.integers(-(2**31), 2**31 - 1),
)
def test_a_driver_may_answer_anything(
    monkeypatch: pytest.MonkeyPatch, errors: dict[str, int], init_error: int, cuda: int
) -> None:
    library = NvmlLibrary(Device("odd", "GPU-1", errors=errors), Device("L4", "GPU-2"), cuda=cuda).install(monkeypatch)
    library.init_error = init_error
    reading = NvmlReader().read()
    # The card beside an odd one is still there, unless there is no driver at all.
    assert ("GPU-2" in [gpu.uuid for gpu in reading.gpus]) is (init_error == 0)


@pytest.mark.parametrize("function", ["nvmlDeviceGetName", "nvmlDeviceGetUUID"])
def test_a_name_that_is_no_text_leaves_its_card_out(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    library = NvmlLibrary(Device("odd", "GPU-1"), Device("L4", "GPU-2")).install(monkeypatch)
    honest = library._functions[function]

    def garbled(handle: Any, text: Any, size: Any) -> int:
        answer = honest(handle, text, size)
        if text.value in (b"odd", b"GPU-1"):
            text.value = b"\xff\xfe\x80"
        return answer

    library._functions[function] = garbled
    reading = NvmlReader().read()
    assert [gpu.uuid for gpu in reading.gpus] == ["GPU-2"]
    assert reading.problems == ("GPU 0 is left out: its driver cannot be understood (UnicodeDecodeError)",)

"""Benchmark jobs, really multiplied."""

import asyncio
import time

import pytest

from dc1.daemon.runners.base import RunFailed, Work
from dc1.daemon.runners.benchmark import BenchmarkRunner
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import ErrorCategory, JobType, Phase
from tests.daemon.runners.sinks import RecordingSink


def benchmark(params: JsonObject, deadline: float = 120) -> Work:
    return Work("test-1", 1, JobType.BENCHMARK, deadline, params=params)


async def test_probe_names_what_it_multiplies_with() -> None:
    availability = await BenchmarkRunner().probe()
    assert availability.available
    assert "on" in availability.reason


async def test_measures_what_was_asked() -> None:
    sink = RecordingSink()
    result = await BenchmarkRunner().run(benchmark({"matrix_size": 256, "iterations": "3"}), sink)
    payload = result.payload
    assert isinstance(payload, dict)
    assert payload["type"] == "benchmark"
    assert payload["matrix_size"] == 256
    assert payload["iterations"] == 3
    gflops, seconds = payload["gflops"], payload["seconds"]
    assert isinstance(gflops, float)
    assert isinstance(seconds, float)
    assert gflops == pytest.approx((2 * 256**3 - 256**2) * 3 / seconds / 1e9, rel=0.05)
    assert {"device", "dtype"} <= payload.keys()
    assert sum("iteration" in line for line in sink.lines) == 3
    assert sink.phases == [Phase.GENERATING]


@pytest.mark.parametrize("params", [{"matrix_size": 127}, {"matrix_size": "big"}, {"iterations": 101}])
async def test_out_of_range_params_fail(params: JsonObject) -> None:
    with pytest.raises(RunFailed, match=r"params\.\w+ must be a number from") as failure:
        await BenchmarkRunner().run(benchmark(params), RecordingSink())
    assert failure.value.category == ErrorCategory.INVALID_PARAMS


async def test_cancelling_ends_a_product_under_way() -> None:
    sink = RecordingSink()
    running = asyncio.create_task(BenchmarkRunner().run(benchmark({"matrix_size": 4096, "iterations": 100}), sink))
    async with asyncio.timeout(60), sink.changed:
        await sink.changed.wait_for(lambda: sink.phases)
    started = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - started < 1


async def test_deadline_is_a_timeout() -> None:
    with pytest.raises(RunFailed) as failure:
        await BenchmarkRunner().run(benchmark({"iterations": 100}, deadline=0.5), RecordingSink())
    assert failure.value.category == ErrorCategory.TIMEOUT

"""What is seen of cards under a run is kept, whatever happens while it is stored."""

from typing import Any

import pytest

from dc1.control.background.run_watch import RunWatch
from dc1.domain.base.json_types import JsonObject
from dc1.storage.jobs import jobs
from tests.control.small_market import SmallMarket

COOL: JsonObject = {"gpu_name": "NVIDIA H100", "gpu_uuid": "GPU-1", "gpus_present": 1, "throttle_reasons": []}
HOT: JsonObject = {**COOL, "throttle_reasons": ["hw_thermal_slowdown"]}


async def test_a_run_that_ends_while_it_is_stored_keeps_what_was_seen_before(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon(gpu_status=HOT)
    await market.submit(renter)
    lease = await daemon.accept()
    watch, now_ms = RunWatch(market.control.fleet, market.control.leases), market.clock.now_ms()
    daemon.beat(gpu_status=HOT)
    watch.note([daemon.provider])
    assert [item.conditions["throttled"] for item in watch.due(now_ms)] == [True]
    await daemon.finish(lease)
    watch.stored(now_ms)
    market.clock.advance(1)
    daemon.beat(gpu_status=COOL)
    watch.note([daemon.provider])
    assert not watch.due(now_ms), "nothing new, and nothing to begin with again"
    watch.stored(now_ms)
    assert not watch._runs


async def test_what_could_not_be_stored_is_stored_with_the_next_flush(
    market: SmallMarket, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = await market.daemon(gpu_status=HOT)
    job = await market.submit(renter)
    lease = await daemon.accept()
    daemon.beat(gpu_status=HOT)
    await daemon.finish(lease)

    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(jobs, "store_conditions", fail)
        with pytest.raises(OSError, match="full"):
            await market.control.report_flusher.flush()
    assert (await market.job(job.id)).gpu_conditions is None
    await market.control.report_flusher.flush()
    kept = (await market.job(job.id)).gpu_conditions
    assert kept is not None
    assert kept["throttled"] is True

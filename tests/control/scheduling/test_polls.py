"""What a poll is handed while the dispatcher is at work."""

import asyncio

import pytest

from dc1.control.scheduling import dispatcher
from dc1.domain.jobs.placement import Admission
from tests.control.small_market import SmallMarket


async def test_two_polls_at_the_same_time_get_one_job(market: SmallMarket, renter: int) -> None:
    provider = await market.provider()
    market.heartbeat(provider)
    job = await market.submit(renter)

    answers = await asyncio.gather(*(market.control.polling.next_for(provider) for _ in range(2)))

    assert [lease.row_id for lease, _ in answers if lease is not None] == [job.id]
    assert {admission for lease, admission in answers if lease is None} == {Admission.PROVIDER_BUSY}


@pytest.mark.parametrize("is_on_its_way", [False, True])
async def test_a_poll_gets_the_job_that_the_heartbeat_before_it_made_room_for(
    market: SmallMarket, renter: int, is_on_its_way: bool
) -> None:
    job = await market.submit(renter)
    provider = await market.provider()
    market.heartbeat(provider)
    dispatching = asyncio.create_task(market.dispatch()) if is_on_its_way else None
    await asyncio.sleep(0)
    assert (job.id in market.control.dispatcher.queue) is not is_on_its_way

    lease, admission = await market.control.polling.next_for(provider)

    assert admission is Admission.ADMISSION_OK
    assert lease is not None
    assert lease.row_id == job.id
    if dispatching is not None:
        await dispatching


async def test_a_poll_does_not_wait_until_nobody_else_wants_anything(
    market: SmallMarket, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_CLAIMS_PER_TRANSACTION", 1)
    big = await market.provider(gpus=8, cached_models=["acme/chat-7b"])
    for _ in range(8):
        await market.submit(renter, model="acme/chat-7b")
    polling = await market.provider(cached_models=["acme/paint-1b"])
    job = await market.submit(renter, model="acme/paint-1b")
    market.heartbeat(big)
    dispatching = asyncio.create_task(market.dispatch())
    await asyncio.sleep(0)
    market.heartbeat(polling)

    lease, _ = await market.control.polling.next_for(polling)

    assert lease is not None
    assert lease.row_id == job.id
    assert len(market.control.dispatcher.queue) > 0
    await dispatching
    assert len(market.control.dispatcher.queue) == 0

"""Callers of /v1 who wait cost the server little, however they choose among providers that are all busy."""

import asyncio
import json
import sys
from typing import Any

from dc1.domain.inference.kinds import read_call
from dc1.domain.jobs.placement import Room
from tests.control.small_market import SmallMarket

MODEL = "acme/Chat-7B"
MACHINES = 40
CALLS = 40


async def test_room_that_nobody_has_is_looked_for_once(market: SmallMarket, renter: int) -> None:
    daemons = [await market.daemon(cached_models=[MODEL]) for _ in range(MACHINES)]
    for daemon in daemons:
        daemon.beat(cached_models=[MODEL])
        market.control.fleet.occupy(daemon.provider_id, Room(0, 1))
    ids = [daemon.provider_id for daemon in daemons]
    completions = market.control.completions
    said = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    waiting = []
    for first in range(CALLS):
        choice = {"order": ids[first:] + ids[:first], "sort": "latency"}
        call = read_call("/v1/chat/completions", json.dumps({**said, "provider": choice}).encode(), 10_000)
        waiting.append(asyncio.ensure_future(completions.reserve(renter, call)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert completions.waiting == CALLS

    steps = 0

    def count(*_: Any) -> None:
        nonlocal steps
        steps += 1

    market.control.dispatcher.wake(ids[0])
    sys.setprofile(count)
    await asyncio.sleep(0)
    sys.setprofile(None)
    # Each by each it would be a quarter of a million.
    assert 0 < steps < 500 * CALLS

    market.control.dispatcher.unplace(ids[0], Room(0, 1))
    reserved, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result().id for task in reserved] == ids[:1]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for provider_id in ids:
        market.control.fleet.release(provider_id, Room(0, 1))

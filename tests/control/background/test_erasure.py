"""An account that was deleted long ago is erased a few jobs at a time, whatever happens in between."""

from functools import partial

import pytest

from dc1.control.background.renter_upkeep import RenterUpkeep
from dc1.control.operations.credentials import Credentials
from dc1.storage.accounts import data_erasure, renters
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from tests.control.small_market import SmallMarket


async def test_all_of_an_account_is_erased_before_the_account(
    market: SmallMarket, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = [(await market.submit(renter, params={"prompt": "me"})).id for _ in range(3)]
    await market.do(renters.schedule_erasure, renter, market.clock.now_ms())
    upkeep = RenterUpkeep(market.db, market.clock, Credentials(market.db, market.clock))

    async def prompts() -> list[object]:
        return [(await market.see(jobs.spec, job_id)).params for job_id in ordered]

    forget_work = partial(data_erasure.forget_work, limit=1)

    def fail_at_the_last(conn: Connection, renter_id: int, after_id: int) -> int | None:
        if after_id == ordered[1]:
            raise OSError("the disk is full")
        return forget_work(conn, renter_id, after_id)

    with monkeypatch.context() as patch:
        patch.setattr(data_erasure, "forget_work", fail_at_the_last)
        with pytest.raises(OSError, match="the disk is full"):
            await upkeep.erase()
    assert await prompts() == [None, None, {"prompt": "me"}]
    assert await market.see(renters.due_for_erasure, market.clock.now_ms()) == [renter]

    monkeypatch.setattr(data_erasure, "forget_work", forget_work)
    await upkeep.erase()
    assert await prompts() == [None, None, None]
    assert await market.see(renters.due_for_erasure, market.clock.now_ms()) == []

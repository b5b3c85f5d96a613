"""An account that was deleted long ago is erased a few jobs at a time, whatever happens in between."""

from functools import partial

import pytest

from dc1.control.background.records_upkeep import RecordsUpkeep
from dc1.control.background.renter_upkeep import RenterUpkeep
from dc1.control.operations.credentials import Credentials
from dc1.domain.access.keys import KeyRole, new_key
from dc1.domain.base.clock import DAY_MS
from dc1.domain.jobs.states import Actor
from dc1.storage.accounts import data_erasure, keys, renters
from dc1.storage.admin import audit
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

    def fail_at_the_last(conn: Connection, renter_id: int, now_ms: int, after_id: int) -> int | None:
        if after_id == ordered[1]:
            raise OSError("the disk is full")
        return forget_work(conn, renter_id, now_ms, after_id)

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


async def test_old_records_are_forgotten_by_the_days_that_the_operator_chose(market: SmallMarket, renter: int) -> None:
    now_ms = market.clock.now_ms()
    for days in (31, 29):
        await market.do(audit.record, audit.NewAuditEntry(now_ms - days * DAY_MS, "abc", "GET", f"/{days}", 200))
    refused = audit.NewAuditEntry(now_ms - 31 * DAY_MS, "none", "GET", "/guess", 401, reason="unauthenticated")
    await market.do(audit.record, refused)
    key = new_key(KeyRole.SCOPED)
    await market.do(keys.add, KeyRole.SCOPED, renter, key, now_ms, scopes=["billing"])
    await market.do(keys.revoke, KeyRole.SCOPED, renter, key.key_id, now_ms - 91 * DAY_MS)
    await RecordsUpkeep(market.db, market.clock, audit_days=30, documents_days=0).forget()
    assert [row.path for row in (await market.see(audit.page, limit=9)).rows] == ["/29"]
    assert await market.see(keys.list_of, KeyRole.SCOPED, renter) == []


async def test_what_jobs_were_about_is_kept_for_the_days_that_the_operator_chose(
    market: SmallMarket, renter: int
) -> None:
    ended = []
    for _ in range(30):
        ended.append(await market.submit(renter, params={"prompt": "me"}))
        await market.control.job_commands.cancel(ended[-1].id, Actor.RENTER)
    market.clock.advance(30 * DAY_MS / 1000 + 1)

    async def kept() -> int:
        specs = await market.see(jobs.specs, [job.id for job in ended])
        return sum(spec.params is not None for spec in specs.values())

    for days, left in ((0, 30), (31, 30), (30, 0)):
        await RecordsUpkeep(market.db, market.clock, audit_days=400, documents_days=days).erase()
        assert await kept() == left

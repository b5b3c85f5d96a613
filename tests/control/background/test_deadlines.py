"""Deadlines take effect soon, however many come at once and whatever is wrong with one of them."""

from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from dc1.control.background import reaper
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs, lifecycle
from dc1.storage.jobs.lifecycle import Transition
from tests.control.small_market import SmallMarket

TENTH = partial(SmallMarket.submit, duration_minutes=Decimal("0.1"))
HALF_AN_HOUR = 1800


async def test_one_round_ends_everything_that_is_due(
    market: SmallMarket, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "_DUE_AT_ONCE", 4)
    for _ in range(10):
        await TENTH(market, renter)

    await market.advance(HALF_AN_HOUR)

    assert await market.see(jobs.load_queue) == []


async def test_a_job_that_cannot_be_ended_keeps_no_other_from_its_end(
    market: SmallMarket, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, *good = [(await TENTH(market, renter)).id for _ in range(3)]
    expire = lifecycle.end_overdue

    def fail_for_one(conn: Connection, job_id: int, now_ms: int, **more: Any) -> Transition | None:
        if job_id == bad:
            raise OSError("the disk is full")
        return expire(conn, job_id, now_ms, **more)

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "end_overdue", fail_for_one)
        await market.advance(HALF_AN_HOUR)
    assert [(await market.job(job_id)).status for job_id in (bad, *good)] == ["queued", "failed", "failed"]

    await market.advance(1)
    assert (await market.job(bad)).status == "failed"


async def test_runs_that_wait_for_their_daemon_do_not_hide_what_else_is_due(
    market: SmallMarket, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = await TENTH(market, renter, model="acme/chat-7b")
    daemon = await market.daemon(gpus=3, cached_models=["acme/other-7b"])
    await market.advance(HALF_AN_HOUR - 7)
    awaited = [(await TENTH(market, renter)).id for _ in range(3)]
    for assignment in list(daemon.offers):
        await market.control.attempts.accept(daemon.provider_id, assignment.job.job_id, assignment.attempt)
    daemon.cut()
    await market.restart()
    monkeypatch.setattr(reaper, "_DUE_AT_ONCE", 2)

    await market.advance(8)

    assert {(await market.job(row_id)).status for row_id in awaited} == {"running"}
    assert (await market.job(queued.id)).status == "failed"

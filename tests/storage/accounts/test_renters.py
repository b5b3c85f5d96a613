"""Renter accounts on both engines: looking through them, and erasing them."""

from functools import partial

import pytest

from dc1.domain.access.keys import KeyRole, new_key
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import LogLevel
from dc1.storage.accounts import data_erasure, keys, renter_lists, renters
from dc1.storage.accounts.renters import NewRenter
from dc1.storage.engine.database import Database
from dc1.storage.jobs import job_logs, jobs, lifecycle
from dc1.storage.jobs.job_logs import LogLine
from dc1.storage.jobs.job_records import JobSpec
from tests.storage.market import NOW, Market


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def registered(market: Market, name: str, organization: str | None = None) -> int:
    new = NewRenter(name, f"{name.split(maxsplit=1)[0].lower()}@example.sa", organization, use_case="rendering")
    return await market.do(renters.register, new, 0, NOW)


async def test_accounts_are_found_whatever_the_case(market: Market) -> None:
    noura, sara = await registered(market, "Noura Salem", "Tuwaiq_Lab"), await registered(market, "Sara 100%")
    await market.do(renters.set_status, sara, "suspended")
    for search, found in (
        ("NOURA", [noura]),
        ("tuwaiq_", [noura]),
        ("0%", [sara]),
        ("", [sara, noura]),
        ("_", [noura]),
    ):
        page = await market.see(renter_lists.page, limit=9, search=search)
        assert ([row.id for row in page.rows], page.total) == (found, len(found)), search
    assert [row.id for row in (await market.see(renter_lists.page, limit=9, status="active")).rows] == [noura]
    assert await market.see(renter_lists.counts) == renter_lists.RenterCounts(total=2, active=1, suspended=1)


async def test_only_accounts_whose_time_has_come_are_erased(market: Market) -> None:
    gone, later, stays = [await registered(market, name) for name in ("Gone One", "Later Two", "Stays Three")]
    key = new_key(KeyRole.SCOPED)
    await market.do(keys.add, KeyRole.SCOPED, gone, key, NOW, scopes=["inference"], label="Gone's laptop")
    for renter, at_ms in ((gone, NOW + 10), (later, NOW + 11)):
        await market.do(renters.set_status, renter, "deleted")
        await market.do(renters.schedule_erasure, renter, at_ms)
    assert await market.see(renters.due_for_erasure, NOW + 9) == []
    assert await market.see(renters.due_for_erasure, NOW + 10) == [gone]
    await market.do(renters.erase, gone)
    assert await market.see(renters.due_for_erasure, NOW + 10) == []
    rows = [await market.see(renters.get, renter) for renter in (gone, later, stays)]
    shown = [(row.name, row.use_case) for row in rows if row is not None]
    assert shown == [("Deleted account", None), ("Later Two", "rendering"), ("Stays Three", "rendering")]
    stored = await market.see(keys.find, key.key_id)
    assert stored is not None
    assert stored.label is None
    await registered(market, "Gone Again")


async def test_what_jobs_were_asked_and_answered_is_erased_with_their_renter(market: Market) -> None:
    gone, stays, provider = await market.renter(), await market.renter(), await market.provider(gpus=8)
    spec = JobSpec(
        container_spec={"image_type": "llm", "gpu_count": 1, "job_cmd": "echo me"},
        params={"prompt": "me"},
        task_spec={"by": "me"},
        env_vars={"TOKEN": "mine"},
        gpu_requirements={"min_vram_gb": 8},
    )
    ended = []
    for renter in (gone, gone, stays):
        job = await market.running(renter, provider, spec=spec)
        await market.do(job_logs.append, job.id, 1, [LogLine(LogLevel.INFO, "me", NOW)], 1)
        await market.do(lifecycle.finish, job.id, AttemptReport(completed=True, result={"response": "me"}), NOW + 1)
        ended.append(job)

    erased = [job.id for job in ended[:2]]
    assert await market.do(data_erasure.forget_work, gone, NOW, limit=1) == erased[0]
    assert await market.see(jobs.spec, erased[1]) == spec
    assert await market.do(data_erasure.forget_work, gone, NOW, erased[0]) == erased[1]
    assert await market.do(data_erasure.forget_work, gone, NOW, erased[1]) is None

    emptied = JobSpec(container_spec={"image_type": "llm", "gpu_count": 1})
    for job, left in zip(ended, (emptied, emptied, spec), strict=True):
        assert await market.see(jobs.spec, job.id) == left
        assert (await market.see(jobs.result, job.id) is None) is (left is emptied)
        page = await market.see(job_logs.page, job.id)
        assert (len(page.rows), page.total) == ((0, 0) if left is emptied else (1, 1))
        kept = await market.see(jobs.get, job.id)
        assert kept is not None
        assert (kept.status, kept.actual_cost_halala) == ("completed", 1)
    await market.check_books()


async def test_what_jobs_were_about_is_erased_some_at_a_time(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider(gpus=8)
    ended = [await market.running(renter, provider) for _ in range(3)]
    still_open = await market.running(renter, provider)
    for number, job in enumerate(ended):
        lines = [LogLine(LogLevel.INFO, "me", NOW)] * 5
        await market.do(job_logs.append, job.id, 1, lines, 1)
        await market.do(lifecycle.finish, job.id, AttemptReport(completed=True, result={"a": 1}), NOW + number)

    async def kept() -> list[int]:
        return [job.id for job in ended if await market.see(jobs.result, job.id) is not None]

    before = NOW + 2
    step = partial(data_erasure.forget_old_work, ended_before_ms=before, now_ms=NOW + 9, limit=1, rows=2)

    # Of five lines two go at a time, and the job itself with the last.
    assert [await market.db.write(step) for _ in range(2)] == [True, True]
    assert await kept() == [job.id for job in ended]
    assert await market.db.write(step)
    assert await kept() == [job.id for job in ended[1:]]
    while await market.db.write(step):
        pass
    assert await kept() == [ended[2].id]
    rows = [await market.see(jobs.known, job.id) for job in (*ended, still_open)]
    assert [row.documents_erased_at_ms for row in rows] == [NOW + 9, NOW + 9, None, None]
    assert [row.actual_cost_halala for row in rows[:3]] == [1, 1, 1]
    await market.check_books()


async def test_long_logs_are_erased_over_several_calls(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred jobs with logs of 200,000 lines each went in one transaction, for which all others waited."""
    renter, provider = await market.renter(), await market.provider()
    job = await market.running(renter, provider)
    await market.do(job_logs.append, job.id, 1, [LogLine(LogLevel.INFO, "me", NOW)] * 5, 1)
    await market.do(lifecycle.finish, job.id, AttemptReport(completed=True, result={"a": 1}), NOW)
    monkeypatch.setattr(data_erasure, "_MOST_ROWS", 2)
    left = []
    after: int | None = 0
    for _ in range(3):
        after = await market.do(data_erasure.forget_work, renter, NOW, after)
        left.append(len((await market.see(job_logs.page, job.id)).rows))
    assert left == [3, 1, 0]
    assert after == job.id
    assert await market.do(data_erasure.forget_work, renter, NOW, after) is None

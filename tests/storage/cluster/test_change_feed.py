"""The feed by which replicas follow each other: it tells of everything, and of nothing for ever."""

import asyncio
import threading

import pytest

from dc1.domain.access.keys import KeyRole, new_key
from dc1.domain.jobs.states import Actor, JobSource
from dc1.storage.accounts import keys, renters
from dc1.storage.cluster import change_feed, replicas
from dc1.storage.cluster.held_jobs import HeldJobs, held_jobs, holders
from dc1.storage.cluster.machine_changes import MachineChanges
from dc1.storage.cluster.replicas import StreamChange
from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import jobs, lifecycle
from dc1.storage.providers import providers
from dc1.storage.providers.providers import StoredReport
from tests.storage.market import NOW, Market

pytestmark = pytest.mark.parametrize("engine_name", ["postgresql"])


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def news(market: Market, start: int) -> change_feed.Changes:
    return await market.see(change_feed.since, start)


async def test_it_tells_of_jobs_accounts_and_keys_once(market: Market) -> None:
    start = await market.see(change_feed.horizon)
    renter, provider = await market.renter(), await market.provider()
    job = await market.submit(renter)

    found = await news(market, start)

    assert [fact.row_id for fact in found.jobs] == [job.id]
    ((row, spec),) = await market.see(change_feed.followed, [job.id])
    assert (row, spec) == (job, None), "whoever gives out a job that waits reads its documents then"
    assert [row.id for row in found.providers] == [provider]
    assert found.renter_ids == [], "what nobody can have in memory is no news"
    after = await news(market, found.horizon)
    assert (after.jobs, after.providers, after.renter_ids, after.keys) == ([], [], [], {})
    await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW)
    await market.do(providers.set_paused, provider, True)
    await market.do(renters.set_status, renter, "suspended")
    found = await news(market, after.horizon)
    assert [(fact.row_id, fact.status) for fact in found.jobs] == [(job.id, "cancelled")]
    assert [row.is_paused for row in found.providers] == [True]
    assert found.renter_ids == [renter]


async def test_a_server_reads_nothing_again_that_it_stored_of_a_machine_itself(market: Market) -> None:
    """Ten thousand that come back would be read twice each, which costs more than to let them in."""
    provider = await market.provider()
    start = await market.see(change_feed.horizon)
    ours, others = MachineChanges("ours"), MachineChanges("other")
    await market.see(ours.load)
    await market.do(replicas.store_streams, "ours", [StreamChange(provider, NOW, None, "process")])

    async def says(gpu: str) -> None:
        report = StoredReport(provider, "stream", NOW, heartbeats=1, hardware_reported=True, gpu_name=gpu)
        await market.do(providers.flush_reports, [report], NOW)

    await says("RTX 4090")
    assert (await market.see(change_feed.since, start, ours)).providers == []
    (row,) = (await market.see(change_feed.since, start, others)).providers
    assert (row.gpu_name, row.stream_replica) == ("RTX 4090", "ours")

    await market.do(providers.set_paused, provider, True)
    for _ in range(2):
        # Until it could be followed.
        (row,) = (await market.see(change_feed.since, start, ours)).providers
        assert row.is_paused
    ours.followed([provider])
    await says("RTX 4080")
    assert (await market.see(change_feed.since, start, ours)).providers == []


async def test_what_was_decided_here_and_taken_back_elsewhere_is_read(market: Market) -> None:
    """It says what it said before, and this server knows it otherwise."""
    provider = await market.provider()
    ours = MachineChanges("ours")
    await market.see(ours.load)
    await market.do(replicas.store_streams, "ours", [StreamChange(provider, NOW, None, "process")])
    await market.do(providers.set_paused, provider, True)
    await market.do(providers.set_paused, provider, False)
    # As late as can be: after a look that saw both, and found nothing to read in them.
    start = (await market.see(change_feed.since, await market.see(change_feed.horizon), ours)).horizon
    ours.decided(provider)
    for _ in range(2):
        (row,) = (await market.see(change_feed.since, start, ours)).providers
        assert not row.is_paused
    ours.followed([provider])
    assert (await market.see(change_feed.since, start, ours)).providers == []


async def test_it_misses_nothing_that_was_under_way_when_it_was_read(market: Market) -> None:
    """What is stamped first may be committed last."""
    renter = await market.renter()
    slow, quick = await market.submit(renter), await market.submit(renter)
    start = await market.see(change_feed.horizon)
    stamped, go_on = threading.Event(), threading.Event()

    def cancel_slowly(conn: Connection) -> None:
        assert lifecycle.cancel(conn, slow.id, Actor.RENTER, NOW) is not None
        job = jobs.get(conn, slow.id)
        assert job is not None
        assert job.is_terminal
        stamped.set()
        go_on.wait(20)

    other_renter = await market.renter()
    committing = asyncio.create_task(market.db.write(cancel_slowly))
    assert await asyncio.to_thread(stamped.wait, 10)
    try:
        later = await market.submit(other_renter)
        found = await news(market, start)
        assert later.id in [fact.row_id for fact in found.jobs]
        assert slow.id not in [fact.row_id for fact in found.jobs]
    finally:
        go_on.set()
    await committing
    found = await news(market, found.horizon)
    assert (slow.id, "cancelled") in [(fact.row_id, fact.status) for fact in found.jobs]
    assert quick.id not in [fact.row_id for fact in found.jobs]
    assert (await news(market, found.horizon)).jobs == []


async def test_it_tells_of_keys_that_were_stopped_or_will_be(market: Market) -> None:
    renter = await market.renter()
    old = await market.do(keys.add, KeyRole.RENTER, renter, new_key(KeyRole.RENTER), NOW)
    start = await market.see(change_feed.horizon)
    new = await market.do(keys.rotate_with_grace, KeyRole.RENTER, renter, new_key(KeyRole.RENTER), NOW, NOW + 1000)
    found = await news(market, start)
    assert found.keys == {old.key_id: False}
    await market.do(keys.revoke, KeyRole.RENTER, renter, new.key_id, NOW)
    assert (await news(market, found.horizon)).keys == {new.key_id: True}


async def test_what_machines_hold_is_told_of_any_number_of_them(market: Market) -> None:
    """PostgreSQL takes 65,535 parameters."""
    renter, provider = await market.renter(), await market.provider()
    job = await market.running(renter, provider)
    many = range(100_000, 170_000)
    found = await market.see(held_jobs, [provider, *many], many)
    assert (found[provider], found[many[0]]) == (HeldJobs(1, 0, 1), HeldJobs())
    assert await market.see(held_jobs, [provider], [job.id, *many]) == {provider: HeldJobs()}
    ((held, spec),) = await market.see(change_feed.held, [provider, *many])
    assert (held, spec) == (job, await market.see(jobs.spec, job.id))
    assert await market.see(change_feed.followed, [job.id]) == [(held, spec)]


async def test_a_call_takes_no_gpu_of_a_machine_but_one_of_its_calls(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    job = await market.running(renter, provider)
    call = await market.running(renter, provider, source=JobSource.V1, call_slots=1)
    assert await market.see(held_jobs, [provider], []) == {provider: HeldJobs(1, 0, 2, 1)}
    waits = await market.submit(renter)
    found = await market.see(holders, [job.id, call.id, waits.id])
    assert found == {job.id: (provider, job.source), call.id: (provider, JobSource.V1)}

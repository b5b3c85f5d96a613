"""Live news of jobs, fast and slow readers of it."""

import asyncio

from dc1.control.scheduling.job_feed import JobFeed, Lagged, StateChanged, TokenChunk


async def test_everybody_who_watches_a_job_gets_its_news_in_order() -> None:
    job_feed = JobFeed()
    with job_feed.subscribe(1) as first, job_feed.subscribe(1) as second, job_feed.subscribe(2) as other:
        for number in range(3):
            job_feed.publish(1, TokenChunk(1, str(number), 1))
        told = [TokenChunk(1, str(number), 1) for number in range(3)]
        assert await first.next(1) == told
        assert await second.next(1) == told
        assert await other.next(0) == []


async def test_a_reader_that_waits_is_woken() -> None:
    job_feed = JobFeed()
    with job_feed.subscribe(1) as subscription:
        reading = asyncio.create_task(subscription.next(10))
        await asyncio.sleep(0)
        job_feed.publish(1, StateChanged())
        assert await reading == [StateChanged()]


async def test_a_slow_reader_is_told_that_it_is_behind_and_costs_no_memory() -> None:
    job_feed = JobFeed()
    with job_feed.subscribe(1) as slow, job_feed.subscribe(1) as fast:
        for number in range(10_000):
            job_feed.publish(1, TokenChunk(1, str(number), 1))
            if number % 100 == 99:
                assert len(await fast.next(0)) == 100
        news = await slow.next(0)
    assert news[0] == Lagged()
    assert len(news) < 10_000
    assert news[-1] == TokenChunk(1, "9999", 1)


async def test_text_that_came_before_its_first_reader_is_read_by_who_asks_for_it() -> None:
    """A daemon of another server may speak before the server that took the call has followed its own commit."""
    feed = JobFeed()
    feed.publish(1, TokenChunk(1, "One", 1, 0))
    feed.publish(2, TokenChunk(1, "other", 1, 0))
    feed.publish(1, StateChanged())
    with feed.subscribe(1, (TokenChunk,)) as late:
        assert await late.next(0) == []
    with feed.subscribe(1, (TokenChunk,), from_start=True) as caller:
        feed.publish(1, TokenChunk(1, " two", 1, 3))
        assert await caller.next(1) == [TokenChunk(1, "One", 1, 0), TokenChunk(1, " two", 1, 3)]


async def test_text_that_nobody_reads_is_kept_within_bounds() -> None:
    feed = JobFeed()
    for number in range(3_000):
        feed.publish(number, TokenChunk(1, "x" * 1_000, 1, 0))
    assert len(feed._unheard) < 300
    with feed.subscribe(0, (TokenChunk,), from_start=True) as oldest:
        assert await oldest.next(0) == []
    with feed.subscribe(2_999, (TokenChunk,), from_start=True) as newest:
        assert len(await newest.next(1)) == 1

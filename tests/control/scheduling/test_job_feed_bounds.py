"""What a reader's buffer holds, and what happens when it is full."""

from contextlib import ExitStack

import pytest

from dc1.control.scheduling.job_feed import (
    MOST_BUFFERED,
    MOST_OF_OWNER,
    JobFeed,
    JobUpdate,
    Lagged,
    LogLines,
    StateChanged,
    TokenChunk,
)
from dc1.domain.errors import ApiError
from dc1.domain.jobs.states import LogLevel
from dc1.storage.jobs.job_logs import LogRow

LIMIT = 512 * 1024


def lines(first: int, count: int, length: int = 10) -> LogLines:
    return LogLines([LogRow(1, number, 1, LogLevel.INFO, "x" * length, 0) for number in range(first, first + count)])


async def test_news_comes_in_order_and_once() -> None:
    job_feed = JobFeed()
    with job_feed.subscribe(1) as subscription:
        news: list[JobUpdate] = [lines(1, 2), StateChanged(), TokenChunk(1, "a", 1)]
        for item in news:
            job_feed.publish(1, item)
            job_feed.publish(2, item)
        assert await subscription.next(1) == news
        assert await subscription.next(0) == []
    assert job_feed.read_rows() == []


@pytest.mark.parametrize("length", [1, 200, 2000])
async def test_memory_a_reader_is_bounded_however_long_the_log_is(length: int) -> None:
    job_feed = JobFeed()
    with job_feed.subscribe(1) as slow, job_feed.subscribe(1) as quick:
        for batch in range(200):
            job_feed.publish(1, lines(batch * 500 + 1, 50, length))
            assert slow.size <= LIMIT
            (only,) = await quick.next(1)
            assert isinstance(only, LogLines)
        news = await slow.next(1)
    assert isinstance(news[0], Lagged)
    assert slow.size == 0


async def test_callers_who_read_nothing_have_no_more_than_so_much_together() -> None:
    """One may have 9 Mi of an answer, and who opens calls that it never reads may have any number of them."""
    job_feed = JobFeed()
    with ExitStack() as readers:
        subscribe = (job_feed.subscribe(row_id, (TokenChunk,), from_start=True) for row_id in range(1, 41))
        calls = [readers.enter_context(each) for each in subscribe]
        for row_id in range(1, 41):
            for _ in range(8):
                job_feed.publish(row_id, TokenChunk(1, "x" * 1_000_000, 1))
                assert job_feed.buffered.size <= MOST_BUFFERED + 41 * 1024
        behind = [any(isinstance(news, Lagged) for news in await call.next(1)) for call in calls]
        assert 20 < sum(behind) < 30
    assert job_feed.buffered.size == 0
    assert not job_feed.buffered.readers


async def test_who_reads_hears_all_of_it_while_others_read_nothing() -> None:
    """They would else take from every caller of the server what comes as it comes, for the price of a few calls."""
    job_feed = JobFeed()
    with ExitStack() as readers:
        for row_id in range(1, 20):
            readers.enter_context(job_feed.subscribe(row_id, (TokenChunk,), from_start=True))
            for _ in range(8):
                job_feed.publish(row_id, TokenChunk(1, "x" * 1_000_000, 1))
        reader = readers.enter_context(job_feed.subscribe(99, (TokenChunk,), from_start=True))
        for _ in range(100):
            job_feed.publish(99, said := TokenChunk(1, "x" * 100_000, 1))
            assert await reader.next(1) == [said]


async def test_a_full_batch_of_usual_lines_is_handed_on() -> None:
    job_feed = JobFeed()
    with job_feed.subscribe(1) as subscription:
        job_feed.publish(1, lines(1, 500, 200))
        assert await subscription.next(1) == [lines(1, 500, 200)]


async def test_a_batch_that_is_too_much_by_itself_is_left_to_the_database() -> None:
    job_feed = JobFeed()
    with job_feed.subscribe(1) as subscription:
        job_feed.publish(1, lines(1, 500, 2000))
        assert await subscription.next(1) == [Lagged()]


async def test_readers_get_what_they_want() -> None:
    job_feed = JobFeed()
    with job_feed.subscribe(1, ()) as states, job_feed.subscribe(1, (LogLines,)) as log:
        for item in (lines(1, 1), TokenChunk(1, "a", 1), StateChanged()):
            job_feed.publish(1, item)
        assert await states.next(1) == [StateChanged()]
        assert await log.next(1) == [lines(1, 1), StateChanged()]


def test_an_account_has_a_hundred_readers_at_once_and_others_are_not_kept_out() -> None:
    job_feed = JobFeed()
    with ExitStack() as readers:
        for _ in range(MOST_OF_OWNER):
            readers.enter_context(job_feed.reading("renter:1"))
        with pytest.raises(ApiError) as refused, job_feed.reading("renter:1"):
            pass
        assert (refused.value.status, refused.value.retry_after_seconds) == (429, 5)
        with job_feed.reading("renter:2"):
            pass
    with job_feed.reading("renter:1"):
        pass

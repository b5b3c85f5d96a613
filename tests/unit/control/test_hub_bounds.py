"""What a reader's buffer holds, and what happens when it is full."""

import pytest

from dc1.control.scheduling.job_feed import Behind, Hub, JobNews, LogLines, Moved, Tokens
from dc1.storage.jobs.job_logs import LogRow

LIMIT = 512 * 1024


def lines(first: int, count: int, length: int = 10) -> LogLines:
    return LogLines([LogRow(1, number, 1, "info", "x" * length, 0) for number in range(first, first + count)])


async def test_news_comes_in_order_and_once() -> None:
    hub = Hub()
    with hub.watch(1) as watcher:
        news: list[JobNews] = [lines(1, 2), Moved(), Tokens(1, "a", 1)]
        for item in news:
            hub.publish(1, item)
            hub.publish(2, item)
        assert await watcher.next(1) == news
        assert await watcher.next(0) == []
    assert hub.watched_rows() == []


@pytest.mark.parametrize("length", [1, 200, 2000])
async def test_memory_a_reader_is_bounded_however_long_the_log_is(length: int) -> None:
    hub = Hub()
    with hub.watch(1) as slow, hub.watch(1) as quick:
        for batch in range(200):
            hub.publish(1, lines(batch * 500 + 1, 50, length))
            assert slow.size <= LIMIT
            (only,) = await quick.next(1)
            assert isinstance(only, LogLines)
        news = await slow.next(1)
    assert isinstance(news[0], Behind)
    assert slow.size == 0


async def test_a_full_batch_of_usual_lines_is_handed_on() -> None:
    hub = Hub()
    with hub.watch(1) as watcher:
        hub.publish(1, lines(1, 500, 200))
        assert await watcher.next(1) == [lines(1, 500, 200)]


async def test_a_batch_that_is_too_much_by_itself_is_left_to_the_database() -> None:
    hub = Hub()
    with hub.watch(1) as watcher:
        hub.publish(1, lines(1, 500, 2000))
        assert await watcher.next(1) == [Behind()]


async def test_readers_get_what_they_want() -> None:
    hub = Hub()
    with hub.watch(1, ()) as states, hub.watch(1, (LogLines,)) as log:
        for item in (lines(1, 1), Tokens(1, "a", 1), Moved()):
            hub.publish(1, item)
        assert await states.next(1) == [Moved()]
        assert await log.next(1) == [lines(1, 1), Moved()]

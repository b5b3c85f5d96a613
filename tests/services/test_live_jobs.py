"""Streams of jobs on which nothing moves."""

import asyncio
from typing import Any

from dc1.control.feeds.job_watch import EVERYBODY, WatchedJobs
from dc1.services.api.event_stream import KEEP_ALIVE_SECONDS
from dc1.services.jobs.live_jobs import LiveJobs


async def test_who_waits_for_a_job_to_move_looks_up_before_a_stop_has_no_more_time() -> None:
    """A server that stops wakes nobody, and cuts off who has not seen it after `DC1_DRAIN_SECONDS`."""
    nowhere: Any = None
    jobs = LiveJobs(nowhere, EVERYBODY, WatchedJobs())
    async with asyncio.timeout(8):
        await jobs.wait(KEEP_ALIVE_SECONDS)

"""Who came and who went stands in the log, by few lines in a storm."""

import asyncio

import pytest
import structlog
from structlog.testing import capture_logs

from dc1.services.daemons import stream_log
from dc1.services.daemons.stream_log import StreamLog


async def test_a_fleet_that_comes_has_few_lines_and_nobody_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_log, "_WINDOW_SECONDS", 0.01)
    told_all = asyncio.Event()

    class Streams(StreamLog):
        def tell(self) -> None:
            super().tell()
            told_all.set()

    streams = Streams()
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        with structlog.contextvars.bound_contextvars(request_id="the first one's"):
            for provider_id in range(1, 601):
                streams.opened(provider_id, leases=0)
            streams.closed(1, silent_seconds=0, open_seconds=2.04)
        await asyncio.wait_for(told_all.wait(), 5)
        streams.opened(601, leases=2)
    alone = [line["provider_id"] for line in lines if line["event"] == "stream_opened"]
    together = [line for line in lines if line["event"] == "streams_opened"]
    assert len(alone) == 21, "and the next window begins anew"
    told = [each for line in together for each in line["provider_ids"]]
    assert sorted([*alone, *told]) == list(range(1, 602))
    assert not any("request_id" in line for line in together), "it is of no call"
    assert [line["open_seconds"] for line in lines if line["event"] == "stream_closed"] == [2.0]


async def test_a_daemon_that_fell_silent_always_has_its_line() -> None:
    streams = StreamLog()
    with capture_logs() as lines:
        for provider_id in range(100):
            streams.closed(provider_id, silent_seconds=30.0, open_seconds=60)
    assert [line["provider_id"] for line in lines] == list(range(100))

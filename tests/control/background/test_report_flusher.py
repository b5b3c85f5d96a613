"""What daemons said while a flush was being written waits for the next one."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from dc1.storage.providers import providers
from tests.control.small_market import NOW, SmallMarket


async def test_a_model_fetched_while_reports_are_written_is_stored_by_the_next_flush(
    market: SmallMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = (await market.daemon()).provider
    await market.db.write(lambda conn: providers.set_preload(conn, provider.id, "org/model", NOW))
    write = providers.flush_reports

    def fetched_meanwhile(conn: Connection, reports: list[providers.StoredReport], now_ms: int) -> None:
        write(conn, reports, now_ms)
        provider.preload_done = True

    monkeypatch.setattr(providers, "flush_reports", fetched_meanwhile)
    market.control.fleet.reports.note_unstored(provider)
    await market.control.report_flusher.flush()
    monkeypatch.undo()
    market.control.fleet.reports.note_unstored(provider)
    await market.control.report_flusher.flush()
    row = await market.db.read(lambda conn: providers.get(conn, provider.id))
    assert row is not None
    assert row.preload_model is None


async def test_a_beat_that_says_nothing_new_is_stored_as_one(
    market: SmallMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = await market.daemon()
    whole: list[int] = []
    write = providers.flush_reports

    def counting(conn: Connection, reports: list[providers.StoredReport], now_ms: int) -> None:
        whole.extend(report.provider_id for report in reports)
        write(conn, reports, now_ms)

    async def flushed() -> tuple[int, providers.ProviderRow]:
        whole.clear()
        daemon.beat()
        await market.control.report_flusher.flush()
        row = await market.db.read(lambda conn: providers.get(conn, daemon.provider.id))
        assert row is not None
        return len(whole), row

    monkeypatch.setattr(providers, "flush_reports", counting)
    await flushed()
    market.clock.advance(10)
    times, row = await flushed()
    assert (times, row.last_heartbeat_ms) == (0, market.clock.now_ms())
    # What is new of the machine is in the row at once, what others wrote over it within a minute.
    daemon.provider.provider_hostname = "gpu-2"
    times, row = await flushed()
    assert (times, row.provider_hostname) == (1, "gpu-2")
    await market.db.write(lambda conn: providers.set_preferences(conn, daemon.provider.id, gpu_count=7))
    assert (await flushed())[1].gpu_count == 7
    market.clock.advance(60)
    times, row = await flushed()
    assert (times, row.gpu_count) == (1, daemon.provider.facts.gpu_count)
    beats = await market.db.read(lambda conn: providers.load_recent_heartbeats(conn, market.clock.now_ms()))
    assert beats[daemon.provider.id] == daemon.provider.beats_of_week


@pytest.mark.parametrize("is_known_elsewhere", [False, True])
async def test_what_another_server_may_have_written_is_written_anew(
    market: SmallMarket, is_known_elsewhere: bool
) -> None:
    """A machine whose stream was open elsewhere meanwhile says the same as before, and its row does not."""
    daemon = await market.daemon()
    daemon.beat()
    await market.control.report_flusher.flush()
    market.control.fleet.presence.stream_closed(daemon.provider)
    if is_known_elsewhere:
        daemon.provider.stream_replica = "other"
        daemon.provider.presence = replace(daemon.provider.presence, stream_open=True, stream_lost_ms=None)
    await market.control.report_flusher.flush()
    await market.db.write(lambda conn: providers.set_preferences(conn, daemon.provider.id, gpu_count=7))
    market.control.fleet.presence.stream_opened(daemon.provider)
    daemon.beat()
    await market.control.report_flusher.flush()
    row = await market.db.read(lambda conn: providers.get(conn, daemon.provider.id))
    assert row is not None
    assert row.gpu_count == daemon.provider.facts.gpu_count

"""What daemons said while a flush was being written waits for the next one."""

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

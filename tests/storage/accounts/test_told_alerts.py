"""An alert is new once while it lasts, whichever server sees it."""

from dc1.domain.providers.alerts import AlertReason
from dc1.storage.accounts import told_alerts
from dc1.storage.engine.database import Database

HOT, LOST = (7, AlertReason.GPU_HOT), (7, AlertReason.GPU_LOST)
NOW = 1_700_000_000_000
MINUTE_MS = 60_000


async def test_an_alert_is_new_once_while_it_lasts(db: Database) -> None:
    async def note(minute: int, *found: told_alerts.AlertKey) -> set[told_alerts.AlertKey]:
        return await db.write(lambda conn: told_alerts.note(conn, found, NOW + minute * MINUTE_MS))

    async def is_changed(minute: int, *found: told_alerts.AlertKey) -> bool:
        known = await db.read(told_alerts.read)
        return told_alerts.is_changed(known, found, NOW + minute * MINUTE_MS)

    assert await is_changed(0, HOT)
    assert await note(0, HOT) == {HOT}
    assert not await is_changed(1, HOT)
    assert await is_changed(1, HOT, LOST)
    assert await note(1, HOT, LOST) == {LOST}
    # A server that does not see it does not end it.
    assert await note(5) == set()
    assert await note(9, HOT) == set()
    # Nobody looked for hours, and it is there still.
    assert await note(300, HOT) == set()
    assert await db.read(told_alerts.read) == {HOT: NOW + 300 * MINUTE_MS}
    assert await is_changed(310)
    await note(310)
    assert await note(311, HOT) == {HOT}

"""What operators should look at is told from memory but for failed jobs, which are read once a minute."""

from typing import Any

import pytest

from dc1.control.background import alert_watch
from dc1.storage.engine.unwritable import UnwritableError, UnwritableReason
from tests.control.small_market import SmallMarket


async def test_what_is_wrong_is_told_while_the_database_is_away(
    market: SmallMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream ended, and an operator saw nothing of the fleet just then."""
    watch = market.control.alert_watch
    monkeypatch.setattr(alert_watch, "_FAILURES_SECONDS", 0)

    async def away(work: Any) -> Any:
        raise UnwritableError(UnwritableReason.UNREACHABLE)

    with monkeypatch.context() as outage:
        outage.setattr(market.db, "read", away)
        with pytest.raises(UnwritableError):
            await watch.attention(0)
    before = await watch.attention(0)
    provider = await market.provider()
    with monkeypatch.context() as outage:
        outage.setattr(market.db, "read", away)
        outage.setattr(provider, "second_daemon_at_ms", market.clock.now_ms())
        found = await watch.attention(0)
    assert (list(before.alerts), [each.id for each, _ in found.alerts]) == ([], [provider.id])

"""All who watch alerts share one text, which is written when something is different."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dc1.control.background.alert_watch import Attention
from dc1.domain.providers.alerts import Alert, AlertReason
from dc1.services.admin import live_alerts
from dc1.services.admin.live_alerts import AlertsText, fleet_alert


async def test_it_is_written_once_for_each_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = cast("Any", SimpleNamespace(id=1, name="one"))
    waiting = [2]
    written = []

    async def attention(most_seconds: float) -> Attention:
        # A look of its own each time, as in a fleet that stays as it is.
        return Attention([(machine, Alert(AlertReason.PROVIDER_OFFLINE, 0))], list(waiting))

    def counted(*each: Any) -> Any:
        written.append(each)
        return fleet_alert(*each)

    monkeypatch.setattr(live_alerts, "fleet_alert", counted)
    text = AlertsText(cast("Any", SimpleNamespace(alert_watch=SimpleNamespace(attention=attention))))
    first = await text.now()
    assert [await text.now() for _ in range(3)] == [first] * 3
    assert len(written) == 1
    machine.name = "other"
    renamed = await text.now()
    waiting.append(3)
    assert (await text.now(), len(written)) == (renamed.replace("[2]", "[2,3]"), 3)
    assert '"provider_name":"other"' in renamed

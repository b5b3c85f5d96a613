"""Who watches alerts is told what is different; each is written once, however many watch and however many there are."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dc1.control.background.alert_watch import Attention
from dc1.domain.providers.alerts import Alert, AlertReason
from dc1.services.admin import live_alerts
from dc1.services.admin.live_alerts import AlertTexts, LiveAlerts, fleet_alert

MANY = 10_000


@pytest.fixture
def machines() -> list[Any]:
    return [cast("Any", SimpleNamespace(id=number, name=f"Machine {number}")) for number in range(1, MANY + 1)]


@pytest.fixture
def waiting() -> list[int]:
    return [MANY + 1]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The machines of alerts that were written, in the order in which they were."""
    ids: list[int] = []

    def counted(provider: Any, alert: Alert) -> Any:
        ids.append(provider.id)
        return fleet_alert(provider, alert)

    monkeypatch.setattr(live_alerts, "fleet_alert", counted)
    return ids


@pytest.fixture
def texts(machines: list[Any], waiting: list[int]) -> AlertTexts:
    async def attention(most_seconds: float) -> Attention:
        # A look of its own each time, as in a fleet that stays as it is.
        return Attention([(each, Alert(AlertReason.PROVIDER_OFFLINE, 0)) for each in machines], list(waiting))

    return AlertTexts(cast("Any", SimpleNamespace(alert_watch=SimpleNamespace(attention=attention))))


async def test_what_is_different_is_told_and_nothing_else(
    machines: list[Any], waiting: list[int], written: list[int], texts: AlertTexts
) -> None:
    watchers = [LiveAlerts(texts) for _ in range(3)]
    for watcher in watchers:
        pages = [json.loads(data) async for _, data in watcher.snapshot()]
        assert max(len(page["alerts"]) for page in pages) == 250
        assert [alert["provider_id"] for page in pages for alert in page["alerts"]] == [each.id for each in machines]
        assert [id_ for page in pages for id_ in page["awaiting_approval"]] == [MANY + 1]
        assert await watcher.changes() == []
    assert len(written) == MANY

    machines[0].name = "Other"
    gone = machines.pop()
    waiting[:] = [MANY + 2]
    for watcher in watchers:
        ((name, data),) = await watcher.changes()
        told = json.loads(data)
        assert name == "change"
        assert [alert["provider_name"] for alert in told["alerts"]] == ["Other"]
        assert told["ended"] == [{"provider_id": gone.id, "reason": "PROVIDER_OFFLINE"}]
        assert (told["awaiting_approval"], told["decided"]) == ([MANY + 2], [MANY + 1])
        assert await watcher.changes() == []
    assert written[MANY:] == [1]


async def test_a_change_of_many_is_told_in_pages(machines: list[Any], texts: AlertTexts) -> None:
    watcher = LiveAlerts(texts)
    assert [name async for name, _ in watcher.snapshot()] == ["snapshot"] * 40
    machines.clear()
    told = [json.loads(data)["ended"] for _, data in await watcher.changes()]
    assert [len(page) for page in told] == [250] * 40


async def test_nothing_is_told_once_where_there_is_nothing(
    machines: list[Any], waiting: list[int], texts: AlertTexts
) -> None:
    machines.clear()
    waiting.clear()
    told = [data async for _, data in LiveAlerts(texts).snapshot()]
    assert told == ['{"alerts":[],"awaiting_approval":[],"ended":[],"decided":[]}']

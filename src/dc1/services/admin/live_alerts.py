"""What operators should look at, as they watch it."""

import asyncio
from collections.abc import AsyncIterator, Hashable

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.control.periodic import in_turns
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import JsonValue, compact
from dc1.domain.gpus.arabic import hardware_in_arabic
from dc1.domain.providers.alerts import Alert
from dc1.services.api.live_stream import LiveSource
from dc1.services.api.values import message_json, to_value
from dcp.v1 import monitoring_pb2

_PAUSE_SECONDS = 3.0
"""Between two looks: an alert lasts for minutes."""


class AlertsText:
    """What all who watch alerts are told: looked for and written once for them, and anew only where it is different."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._writing = asyncio.Lock()
        self._of: Hashable = None
        self._text = ""

    async def now(self) -> str:
        """Return it, as it was a moment ago at most."""
        async with self._writing:
            found = await self._plane.alert_watch.attention(_PAUSE_SECONDS / 2)
            # A machine may have another name by the next look.
            named = tuple((provider.id, provider.name, alert) for provider, alert in found.alerts)
            of = (named, tuple(found.awaiting_approval))
            if of != self._of:
                # Where a network fails, a thousand machines are gone at once.
                written: list[JsonValue] = [message_json(fleet_alert(*each)) async for each in in_turns(found.alerts)]
                self._text = compact({"alerts": written, "awaiting_approval": [*found.awaiting_approval]})
                self._of = of
            return self._text


class LiveAlerts(LiveSource):
    """What one watcher of alerts is told."""

    def __init__(self, text: AlertsText) -> None:
        self._text = text
        self._told = ""

    async def snapshot(self) -> AsyncIterator[tuple[str, str]]:
        """Yield what is wrong now."""
        self._told = await self._text.now()
        yield "alerts", self._told

    async def wait(self, timeout_seconds: float) -> None:
        """Wait until it is time for another look."""
        await asyncio.sleep(min(timeout_seconds, _PAUSE_SECONDS))

    async def changes(self) -> list[tuple[str, str]]:
        """Return what is wrong now, if that is different."""
        text = await self._text.now()
        if text == self._told:
            return []
        self._told = text
        return [("alerts", text)]


def fleet_alert(provider: Provider, alert: Alert) -> monitoring_pb2.FleetAlert:
    """Return an alert as people are told of it."""
    return monitoring_pb2.FleetAlert(
        provider_id=provider.id,
        provider_name=provider.name,
        reason=alert.reason,
        since=iso(alert.since_ms),
        detail=to_value(alert.detail),
        detail_ar=to_value(hardware_in_arabic(alert.detail)),
    )

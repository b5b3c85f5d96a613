"""What operators should look at, as they watch it."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import compact
from dc1.domain.gpus.arabic import hardware_in_arabic
from dc1.domain.providers.alerts import Alert
from dc1.services.api.live_stream import LiveSource
from dc1.services.api.values import message_json, to_value
from dcp.v1 import live_pb2, monitoring_pb2

_PAUSE_SECONDS = 3.0
"""Between two looks: an alert lasts for minutes."""


class LiveAlerts(LiveSource):
    """What one watcher of alerts is told; all who watch share each look at the fleet."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._told = ""

    async def snapshot(self) -> AsyncIterator[tuple[str, str]]:
        """Yield what is wrong now."""
        self._told = await self._state()
        yield "alerts", self._told

    async def wait(self, timeout_seconds: float) -> None:
        """Wait until it is time for another look."""
        await asyncio.sleep(min(timeout_seconds, _PAUSE_SECONDS))

    async def changes(self) -> list[tuple[str, str]]:
        """Return what is wrong now, if that is different."""
        state = await self._state()
        if state == self._told:
            return []
        self._told = state
        return [("alerts", state)]

    async def _state(self) -> str:
        found = await self._plane.alert_watch.attention(_PAUSE_SECONDS / 2)
        event = live_pb2.AlertsEvent(alerts=fleet_alerts(found.alerts), awaiting_approval=found.awaiting_approval)
        return compact(message_json(event))


def fleet_alerts(found: Iterable[tuple[Provider, Alert]]) -> list[monitoring_pb2.FleetAlert]:
    """Return alerts as people are told of them."""
    return [
        monitoring_pb2.FleetAlert(
            provider_id=provider.id,
            provider_name=provider.name,
            reason=alert.reason,
            since=iso(alert.since_ms),
            detail=to_value(alert.detail),
            detail_ar=to_value(hardware_in_arabic(alert.detail)),
        )
        for provider, alert in found
    ]

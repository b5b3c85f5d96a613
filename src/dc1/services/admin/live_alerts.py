"""What operators should look at, as they watch it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Any

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.control.periodic import in_turns
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import compact
from dc1.domain.gpus.arabic import hardware_in_arabic
from dc1.domain.providers.alerts import Alert, AlertReason
from dc1.services.api.live_stream import LiveSource
from dc1.services.api.values import message_json, to_value
from dcp.v1 import monitoring_pb2

_PAUSE_SECONDS = 3.0
"""Between two looks, however many watch: an alert lasts for minutes, and a look goes through the whole fleet."""

_PAGE = 250
"""Alerts, and machines of each other kind, of one event: however many there are, none is long."""

_Key = tuple[int, AlertReason]


@dataclass(frozen=True, slots=True)
class Told:
    """What whoever watches alerts knows: the JSON of each by machine and reason, oldest first, and who waits."""

    alerts: Mapping[_Key, str] = field(default_factory=dict)
    waiting: Collection[int] = ()


class AlertTexts:
    """What all who watch alerts are told: looked for once, and each alert written anew only where it is different."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._writing = asyncio.Lock()
        self._of: dict[_Key, tuple[str, Alert]] = {}
        self._told = Told()
        self._step: tuple[Told, Told, list[tuple[str, str]]] = (self._told, self._told, [])

    async def now(self) -> Told:
        """Return what there is, as it was a moment ago at most: the same object for as long as nothing is different."""
        async with self._writing:
            found = await self._plane.alert_watch.attention(_PAUSE_SECONDS)
            # A machine may have another name by the next look.
            of = {(provider.id, alert.reason): (provider.name, alert) for provider, alert in found.alerts}
            waiting = dict.fromkeys(found.awaiting_approval)
            if of != self._of or waiting != self._told.waiting:
                texts = {}
                # Where a network fails, a thousand machines are gone at once.
                async for provider, alert in in_turns(found.alerts):
                    key = (provider.id, alert.reason)
                    known = self._told.alerts.get(key)
                    is_known = known is not None and self._of[key] == of[key]
                    texts[key] = known if known and is_known else compact(message_json(fleet_alert(provider, alert)))
                self._told, self._of = Told(texts, waiting), of
            return self._told

    def step(self, before: Told, after: Told) -> list[tuple[str, str]]:
        """Return the events that lead from what was told to what there is: found once for all who watch in step."""
        if self._step[0] is not before or self._step[1] is not after:
            self._step = (before, after, list(_changes(before, after)))
        return self._step[2]


class LiveAlerts(LiveSource):
    """What one watcher of alerts is told."""

    def __init__(self, texts: AlertTexts) -> None:
        self._texts = texts
        self._told = Told()

    async def snapshot(self) -> AsyncIterator[tuple[str, str]]:
        """Yield what is wrong now, in pages."""
        self._told = await self._texts.now()
        pages = zip_longest(_pages(self._told.alerts.values()), _pages(self._told.waiting), fillvalue=())
        for event in [_event(alerts=alerts, waiting=waiting) for alerts, waiting in pages] or [_event()]:
            yield "snapshot", event
            # Between two pages others have their turn.
            await asyncio.sleep(0)

    async def wait(self, timeout_seconds: float) -> None:
        """Wait until it is time for another look."""
        await asyncio.sleep(min(timeout_seconds, _PAUSE_SECONDS))

    async def changes(self) -> list[tuple[str, str]]:
        """Return what is different."""
        before, self._told = self._told, await self._texts.now()
        return [] if self._told is before else self._texts.step(before, self._told)


def _changes(before: Told, after: Told) -> Iterator[tuple[str, str]]:
    # The same text is the same object: most of ten thousand are not compared letter by letter.
    begun = [text for key, text in after.alerts.items() if before.alerts.get(key) != text]
    ended = [_ended(*key) for key in before.alerts if key not in after.alerts]
    came = [each for each in after.waiting if each not in before.waiting]
    decided = [each for each in before.waiting if each not in after.waiting]
    lists = (_pages(begun), _pages(came), _pages(ended), _pages(decided))
    for alerts, waiting, over, left in zip_longest(*lists, fillvalue=()):
        yield "change", _event(alerts, waiting, over, left)


def _pages(items: Iterable[Any]) -> Iterator[Sequence[Any]]:
    rest = iter(items)
    while page := list(islice(rest, _PAGE)):
        yield page


def _event(
    alerts: Sequence[str] = (), waiting: Sequence[int] = (), ended: Sequence[str] = (), decided: Sequence[int] = ()
) -> str:
    lists = {"alerts": alerts, "awaiting_approval": waiting, "ended": ended, "decided": decided}
    return "{" + ",".join(f'"{name}":[{",".join(map(str, items))}]' for name, items in lists.items()) + "}"


def _ended(provider_id: int, reason: AlertReason) -> str:
    return compact({"provider_id": provider_id, "reason": reason})


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

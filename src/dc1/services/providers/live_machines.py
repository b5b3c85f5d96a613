"""Machines as they are watched: a row each, written once a change for everybody who watches it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import time_text
from dc1.domain.base.json_types import JsonObject, compact
from dc1.domain.gpus.arabic import hardware_in_arabic
from dc1.domain.providers.machine_grading import vram_used_mib
from dc1.domain.providers.reports import metric_of
from dc1.services.api.live_stream import LiveSource

_PAGE = 250
"""Machines of one event of a snapshot: writing them takes 10 ms, in which nobody else is answered."""


class MachineRows:
    """The rows of all machines; a beat is written once, however many watch."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._written: dict[int, tuple[int, str]] = {}

    @property
    def moment(self) -> int:
        """Up to when everything is known to whoever reads now."""
        return self._plane.fleet.availability.changes.moment

    def rows(self, providers: Iterable[Provider]) -> list[str]:
        """Return the rows of machines as they are now."""
        changes, now_ms = self._plane.fleet.availability.changes, self._plane.clock.now_ms()
        rows = []
        for provider in providers:
            known = self._written.get(provider.id)
            changed_at = changes.changed_at(provider.id)
            if known is None or known[0] != changed_at:
                known = (changed_at, compact(live_machine(self._plane, provider, now_ms)))
                self._written[provider.id] = known
            rows.append(known[1])
        return rows

    def changed_at(self, provider: Provider) -> int:
        """Return the moment of a machine's last change; 0 for one that never changed."""
        return self._plane.fleet.availability.changes.changed_at(provider.id)

    def changed_since(self, moment: int) -> list[Provider]:
        """Return the machines that changed after a moment, by id."""
        fleet = self._plane.fleet
        changed = sorted(fleet.availability.changes.since(moment))
        return [provider for each in changed if (provider := fleet.get(each)) is not None]


class Machines(LiveSource):
    """What one watcher of machines is told: of all, or of one account's."""

    def __init__(self, rows: MachineRows, fleet: Fleet, account_id: int | None = None) -> None:
        self._rows = rows
        self._fleet = fleet
        self._account_id = account_id
        self._moment = 0

    async def snapshot(self) -> AsyncIterator[tuple[str, str]]:
        """Yield all machines, in pages."""
        # Before the first page: what changes while it is read is told twice.
        self._moment = self._rows.moment
        if self._account_id is None:
            machines = sorted((each for each in self._fleet if not each.deleted), key=lambda each: each.id)
        else:
            machines = self._fleet.machines(self._account_id)
        for start in range(0, max(1, len(machines)), _PAGE):
            yield "snapshot", _event(self._rows.rows(machines[start : start + _PAGE]))
            # Between two pages others have their turn.
            await asyncio.sleep(0)

    async def changes(self) -> list[tuple[str, str]]:
        """Return the machines that said or did something."""
        # Nothing is awaited, so that no change falls between the moment and the look.
        moment, self._moment = self._moment, self._rows.moment
        changed = self._rows.changed_since(moment)
        if self._account_id is not None:
            changed = [provider for provider in changed if provider.account_id == self._account_id]
        return [("change", _event(self._rows.rows(changed)))] if changed else []


class OneMachine(LiveSource):
    """What the watcher of a single machine is told."""

    def __init__(self, rows: MachineRows, provider: Provider) -> None:
        self._rows = rows
        self._provider = provider
        self._moment = 0

    async def snapshot(self) -> AsyncIterator[tuple[str, str]]:
        """Yield the machine."""
        self._moment = self._rows.moment
        yield "snapshot", _event(self._rows.rows([self._provider]))

    async def changes(self) -> list[tuple[str, str]]:
        """Return the machine if it said or did something."""
        moment, self._moment = self._moment, self._rows.moment
        has_changed = self._rows.changed_at(self._provider) > moment
        return [("change", _event(self._rows.rows([self._provider])))] if has_changed else []


def _event(rows: Sequence[str]) -> str:
    return f'{{"machines":[{",".join(rows)}]}}'


def live_machine(plane: ControlPlane, provider: Provider, now_ms: int) -> JsonObject:
    """Return a machine as the JSON of a LiveMachine."""
    # By hand: a message for each beat would cost ten times as much.
    status, measured = provider.gpu_status, provider.measured
    return {
        "id": provider.id,
        "owner_id": provider.account_id,
        "name": provider.name,
        "gpu_type": provider.gpu_name or "",
        "gpu_source": provider.gpu_source,
        "gpu_count": provider.gpu_count,
        "vram_mib": provider.vram_mib or 0,
        "location": provider.location or "",
        "status": provider.status(now_ms, plane.fleet.thresholds),
        "approval_status": provider.approval,
        "is_closed": provider.deleted,
        "last_heartbeat": time_text(provider.presence.last_heartbeat_ms),
        "daemon_version": provider.facts.daemon_version,
        "gpu_util_pct": metric_of(status, "gpu_util_pct"),
        "temp_c": metric_of(status, "temp_c"),
        "power_w": metric_of(status, "power_w"),
        "vram_used_mib": vram_used_mib(status, provider.vram_mib),
        "slots": provider.slots,
        "slots_used": provider.occupied,
        "reputation_score": provider.reputation(now_ms),
        "tops_int8": None if measured is None else measured.tops_int8,
        "hardware_notice": (notice := provider.hardware_notice),
        "hardware_notice_ar": hardware_in_arabic(notice),
    }

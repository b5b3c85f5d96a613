"""Knows what is wrong in the fleet, and has owners and operators told of it, each thing once while it lasts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dc1.control.background.fault_watch import FaultWatch
from dc1.control.fleet.provider import Provider
from dc1.control.periodic import every, in_turns
from dc1.control.scheduling.core import Core
from dc1.control.shared_reading import SharedReading
from dc1.domain.access.notifications import NotificationEvent
from dc1.domain.access.roles import Role
from dc1.domain.base import versions
from dc1.domain.base.clock import DAY_MS
from dc1.domain.base.json_types import JsonObject
from dc1.domain.providers.alerts import Alert, AlertReason, Watched, alerts, is_worth_telling
from dc1.domain.providers.liveness import Approval
from dc1.domain.providers.reports import metric_of
from dc1.domain.providers.telemetry import MINUTE_MS
from dc1.storage.accounts import notifications, told_alerts
from dc1.storage.accounts.notifications import OPERATORS
from dc1.storage.admin import monitoring
from dc1.storage.admin.monitoring import Failures
from dc1.storage.engine.database import Connection

_NO_FAILURES = Failures(0, 0)
# More often than is done anything, as the market's clock is not the loop's: a test moves it by hand.
_LOOK_SECONDS = 1.0
# Of who watches all the time; failed jobs of a day are many rows, and none of them is news.
_FAILURES_SECONDS = 60.0
_NAMED = 20
_OWNERS_EVENTS = {
    AlertReason.PROVIDER_OFFLINE: NotificationEvent.MACHINE_OFFLINE,
    AlertReason.GPU_MISMATCH: NotificationEvent.MACHINE_MISMATCH,
}


@dataclass(frozen=True, slots=True)
class Attention:
    """What operators should look at: what is wrong, longest first, and the machines that wait for a decision, by id."""

    alerts: Sequence[tuple[Provider, Alert]] = ()
    awaiting_approval: Sequence[int] = ()


class AlertWatch:
    """Looks once a minute; several servers may, and each alert is told by one of them."""

    def __init__(self, core: Core, fault_watch: FaultWatch) -> None:
        self._db = core.db
        self._clock = core.clock
        self._config = core.config
        self._fleet = core.fleet
        self._fault_watch = fault_watch
        self._last_minute = 0
        self._failures = SharedReading(lambda: self._read_failures(self._clock.now_ms()))
        self._attention = SharedReading(self._look_for_all)

    async def run(self) -> None:
        """Look until cancelled."""
        await every(_LOOK_SECONDS, self._look_each_minute)

    async def attention(self, most_seconds: float) -> Attention:
        """Return what operators should look at, as it was so long ago at most: all who watch share one look."""
        return await self._attention.now(most_seconds)

    async def _look_for_all(self) -> Attention:
        # All else is known from memory, and wanted most while the database is away.
        failures = await self._failures.now(_FAILURES_SECONDS)
        alerts = await self._found(self._clock.now_ms(), failures)
        return Attention(_by_age(alerts), sorted(each.id for each in self._fleet if each.awaits_approval))

    async def current(self, now_ms: int) -> list[tuple[Provider, Alert]]:
        """Return what is wrong with machines that may work, longest first; nobody need act for others."""
        return _by_age(await self._found(now_ms, await self._read_failures(now_ms)))

    async def _read_failures(self, now_ms: int) -> dict[int, Failures]:
        return await self._db.read(lambda conn: monitoring.failures_by_provider(conn, now_ms - DAY_MS))

    async def _found(self, now_ms: int, failures: Mapping[int, Failures]) -> list[tuple[Provider, Alert]]:
        found: list[tuple[Provider, Alert]] = []
        async for provider in in_turns(list(self._fleet)):
            if provider.approval is Approval.APPROVED and not provider.suspended:
                watched = self._watched(provider, failures.get(provider.id, _NO_FAILURES))
                found += [(provider, alert) for alert in alerts(watched, now_ms, self._fleet.thresholds)]
        return found

    def _watched(self, provider: Provider, failures: Failures) -> Watched:
        check = versions.check_version(
            provider.facts.daemon_version,
            latest=self._config.daemon_latest_version,
            minimum=self._config.daemon_min_version,
        )
        return Watched(
            presence=provider.presence,
            temp_c=metric_of(provider.gpu_status, "temp_c"),
            needs_update=check.needs_update,
            restarts=provider.container_restart_count or 0,
            failed_jobs=failures.count,
            first_failure_ms=failures.first_ms,
            second_daemon_at_ms=provider.second_daemon_at_ms,
            gpu_lost=provider.gpu_lost,
            gpu_errors=provider.cards.notice,
            faults_stand_out_since_ms=self._fault_watch.since_ms(provider.id),
            instant_runs_since_ms=self._fault_watch.short_since_ms(provider.id),
            mismatch_at_ms=provider.mismatch_at_ms,
            below_model_at_ms=None if provider.below_model is None else provider.below_model.probed_at_ms,
            hardware_notice=provider.hardware_notice,
        )

    async def _look_each_minute(self) -> None:
        minute = self._clock.now_ms() // MINUTE_MS
        if minute != self._last_minute:
            await self.look()
            self._last_minute = minute

    async def look(self) -> None:
        """Have everybody told of what is new."""
        now_ms = self._clock.now_ms()
        found = [
            (provider.id, provider.account_id, provider.name, alert)
            for provider, alert in await self.current(now_ms)
            if is_worth_telling(alert, now_ms)
        ]
        known = await self._db.read(told_alerts.read)
        if not told_alerts.is_changed(known, [(machine_id, alert.reason) for machine_id, _, _, alert in found], now_ms):
            return

        def tell(conn: Connection) -> None:
            new = told_alerts.note(conn, [(machine_id, alert.reason) for machine_id, _, _, alert in found], now_ms)
            fresh = [each for each in found if (each[0], each[3].reason) in new]
            for machine_id, account_id, name, alert in fresh:
                if (event := _OWNERS_EVENTS.get(alert.reason)) is not None:
                    facts: JsonObject = {"machine_id": machine_id, "name": name}
                    notifications.tell(conn, Role.PROVIDER, account_id, event, facts, now_ms)
            for told in _by_reason((machine_id, alert.reason) for machine_id, _, _, alert in fresh):
                notifications.tell(conn, Role.ADMIN, OPERATORS, NotificationEvent.FLEET_ALERT, told, now_ms)

        await self._db.write(tell)


def _by_age(found: Iterable[tuple[Provider, Alert]]) -> list[tuple[Provider, Alert]]:
    """Return alerts by what has been wrong for longest; by id where it began together, so that the order is stable."""
    return sorted(found, key=lambda item: (item[1].since_ms, item[0].id))


def _by_reason(found: Iterable[tuple[int, AlertReason]]) -> list[JsonObject]:
    """Return one thing to tell for each reason: where a network fails, a thousand machines are gone at once."""
    machines: defaultdict[AlertReason, list[int]] = defaultdict(list)
    for machine_id, reason in found:
        machines[reason].append(machine_id)
    return [
        {"reason": reason.value, "count": len(ids), "machine_ids": ", ".join(map(str, sorted(ids)[:_NAMED]))}
        for reason, ids in machines.items()
    ]

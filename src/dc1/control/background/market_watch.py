"""Looks at the market for who watches it from outside, so that no reader of metrics waits for the database."""

from collections import Counter
from dataclasses import dataclass, field

from dc1.control.background.alert_watch import AlertWatch
from dc1.control.background.market_figures import FleetFigures, MarketFigures
from dc1.control.feeds.run_counts import RunCounts
from dc1.control.fleet.fleet import Fleet
from dc1.control.periodic import Periodic
from dc1.control.scheduling.sessions import Sessions
from dc1.domain.base.clock import Clock
from dc1.domain.providers.alerts import AlertReason
from dc1.metrics.inference import MOST_MODELS, MOST_PROVIDERS
from dc1.storage.accounts import notifications, webhooks
from dc1.storage.engine.database import Database
from dc1.storage.engine.row_mapping import Backlog
from dc1.storage.money import ledger_audit

_LOOK_SECONDS = 15.0
"""As often as Prometheus reads by default."""

_BALANCE_SECONDS = 300.0


@dataclass(slots=True)
class MarketState:
    """What was found at the last look; None of what nobody could look at yet."""

    figures: MarketFigures | None = None
    fleet: FleetFigures = field(default_factory=FleetFigures)
    alerts: Counter[AlertReason] = field(default_factory=Counter)
    webhooks: Backlog | None = None
    notifications: Backlog | None = None
    ledger_difference_halala: int | None = None


class MarketWatch:
    """Looks every fifteen seconds."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        fleet: Fleet,
        sessions: Sessions,
        alert_watch: AlertWatch,
        run_counts: RunCounts,
        *,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._db = db
        self._clock = clock
        self._fleet = fleet
        self._sessions = sessions
        self._alert_watch = alert_watch
        self._inference = run_counts.inference
        self._inference.bind(lambda: fleet.offered.most_offered(MOST_MODELS), self._oldest_connected)
        self._periodic = Periodic((look_seconds, self.look), (_BALANCE_SECONDS, self.balance))
        self.state = MarketState()

    async def start(self) -> None:
        """Begin."""
        self._periodic.start()

    async def stop(self) -> None:
        """End."""
        await self._periodic.stop()

    async def look(self) -> None:
        """Look now."""
        # First, as it needs no database: an outage must not keep models and providers without names.
        self._inference.choose()
        now_ms = self._clock.now_ms()
        state = self.state
        state.fleet = await FleetFigures.count(self._fleet, now_ms)
        state.figures = await self._db.read(lambda conn: MarketFigures.read(conn, now_ms))
        state.webhooks, state.notifications = await self._db.read(
            lambda conn: (webhooks.backlog(conn), notifications.backlog(conn))
        )
        state.alerts = Counter(alert.reason for _, alert in await self._alert_watch.current(now_ms))

    async def balance(self) -> None:
        """Add up the books."""
        found = await self._db.read(ledger_audit.trial_balance)
        self.state.ledger_difference_halala = found.difference_halala

    def _oldest_connected(self) -> list[str]:
        """Return the providers with series of their own: of those that hold a stream here, who registered first."""
        return [str(each) for each in sorted(session.provider_id for session in self._sessions)[:MOST_PROVIDERS]]

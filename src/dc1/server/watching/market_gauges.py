"""What memory and the last look at the database say of the market, as Prometheus takes it."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from dc1.control.background.market_watch import MarketWatch
from dc1.control.control_plane import ControlPlane
from dc1.metrics.families import Values, build, counter, gauge
from dc1.metrics.labels import OTHER
from dc1.services.api.open_streams import OpenStreams
from dc1.services.api.refusals import RefusalCounts
from dc1.storage.engine.row_mapping import Backlog

_ANY = "any"
"""What a job asks for that names no type."""

_MOST_GPU_TYPES = 40
"""Types of cards with series of their own, those that most jobs wait for first."""


class MarketGauges:
    """Belongs to the event loop, as what it reads does."""

    def __init__(
        self, plane: ControlPlane, watch: MarketWatch, refusals: RefusalCounts, open_streams: OpenStreams
    ) -> None:
        self._plane = plane
        self._watch = watch
        self._refusals = refusals
        self._open_streams = open_streams

    def families(self) -> Iterator[Metric]:
        """Yield every family, those too that have no value now."""
        now_ms = self._plane.clock.now_ms()
        yield build("dc1_build")
        yield from self._of_calls()
        yield from self._of_queue(now_ms)
        yield from self._of_machines()
        yield from self._of_market()
        yield from self._of_deliveries(now_ms)

    def _of_calls(self) -> Iterator[Metric]:
        yield counter(
            "dc1_refusals",
            "Calls that were refused by this server, by reason; dc1_calls_total has them by status.",
            ["method", "reason"],
            (((each.method, each.reason), each.count) for each in self._refusals),
        )
        yield gauge(
            "dc1_streams_open",
            "Streams that are open: of daemons (ProviderService/Connect) and of readers.",
            dict(self._open_streams),
            "method",
        )
        yield gauge(
            "dc1_inference_calls_waiting", "Calls under /v1 that wait for a provider.", self._plane.completions.waiting
        )

    def _of_queue(self, now_ms: int) -> Iterator[Metric]:
        depths: dict[str, float | None] = {}
        ages: dict[str, float | None] = {}
        for number, (gpu_type, depth, since_ms) in enumerate(self._plane.dispatcher.queue.by_gpu_type()):
            name = (gpu_type or _ANY) if number < _MOST_GPU_TYPES else OTHER
            depths[name] = (depths.get(name) or 0) + depth
            ages[name] = max(ages.get(name) or 0, (now_ms - since_ms) / 1000)
        yield gauge("dc1_queue_jobs", "Jobs that wait for a machine, by the card they ask for.", depths, "gpu_type")
        yield gauge("dc1_queue_oldest_seconds", "How long the oldest of them has waited.", ages, "gpu_type")
        leases = self._plane.leases
        offered, running = self._plane.replicas.jobs_elsewhere()
        states: Values = {"running": leases.running + running, "offered": len(leases) - leases.running + offered}
        yield gauge("dc1_leases", "Jobs that machines hold, as this server knows.", states, "state")
        yield gauge(
            "dc1_replication_lag_seconds",
            "How old what this server knows of the other servers may be; absent on SQLite.",
            self._plane.replicas.lag_seconds,
        )

    def _of_machines(self) -> Iterator[Metric]:
        state = self._watch.state
        statuses: Values = {status.value: count for status, count in state.fleet.statuses.items()}
        yield gauge("dc1_providers", "Machines by their status.", statuses, "status")
        yield gauge(
            "dc1_providers_silent",
            "Machines that went without a word within a day and are not back.",
            state.fleet.silent,
        )
        yield gauge(
            "dc1_providers_awaiting_approval",
            "Machines that an admin has to decide about.",
            state.fleet.awaiting_approval,
        )
        yield gauge(
            "dc1_beat_stretch_ratio",
            "How many times as long as set the time between two beats on a stream is, 1 to 3: more while this server is behind.",
            self._plane.sessions.pace.stretch,
        )
        alerts: Values = {reason.value: count for reason, count in state.alerts.items()}
        yield gauge("dc1_fleet_alerts", "What `GET /admin/fleet/alerts` lists, by reason.", alerts, "reason")

    def _of_market(self) -> Iterator[Metric]:
        state = self._watch.state
        figures = state.figures
        always = None if figures is None else figures.always
        jobs: Values = {}
        if always is not None:
            jobs = {
                "queued": always.jobs_queued,
                "pending": always.jobs_pending,
                "running": always.jobs_running,
                "completed": always.jobs_completed,
                "failed": always.jobs_failed,
                "cancelled": always.jobs_cancelled,
            }
        yield gauge("dc1_market_jobs", "Jobs of the whole market by status, as the database counts.", jobs, "status")
        yield gauge(
            "dc1_market_charged_halala",
            "What all jobs were charged.",
            None if always is None else always.charged_halala,
        )
        yield gauge(
            "dc1_market_wallets_halala",
            "What is in renters' wallets.",
            None if always is None else always.wallets_halala,
        )
        yield gauge(
            "dc1_ledger_difference_halala",
            "Sum of all balances of the ledger, looked at every five minutes; anything but 0 is an error in the books.",
            state.ledger_difference_halala,
        )
        yield gauge("dc1_database_size_bytes", "Size of the database.", None if figures is None else figures.size_bytes)

    def _of_deliveries(self, now_ms: int) -> Iterator[Metric]:
        state = self._watch.state
        kinds = {"webhooks": state.webhooks, "notifications": state.notifications}
        waiting: Values = {kind: None if each is None else each.waiting for kind, each in kinds.items()}
        ages: Values = {kind: _age(each, now_ms) for kind, each in kinds.items()}
        yield gauge("dc1_deliveries_waiting", "What waits to be sent, or to be sent again.", waiting, "kind")
        yield gauge("dc1_deliveries_oldest_seconds", "How long the oldest of it has waited.", ages, "kind")


def _age(backlog: Backlog | None, now_ms: int) -> float | None:
    if backlog is None:
        return None
    return 0.0 if backlog.oldest_ms is None else max(0, now_ms - backlog.oldest_ms) / 1000

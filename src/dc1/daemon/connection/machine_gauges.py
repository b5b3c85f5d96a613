"""What a daemon tells Prometheus of its stream, its leases, its runners and its cards."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from dc1.daemon.connection.connection import Connection
from dc1.daemon.connection.reporter import Reporter
from dc1.daemon.leases.assignments import Assignments
from dc1.daemon.leases.leases import LeaseState
from dc1.daemon.runners.runner_registry import RunnerRegistry
from dc1.domain.base.json_types import JsonObject, objects
from dc1.domain.gpus.card_health import failure_of
from dc1.metrics.families import Values, build, counter, gauge

_MIB = 1024 * 1024
# By the name in a report: the metric, what it means, and what one of its unit is in that of the metric.
_OF_CARDS = {
    "gpu_util_pct": ("dc1_gpu_utilization_ratio", "How busy the card is, from 0 to 1.", 0.01),
    "temp_c": ("dc1_gpu_temperature_celsius", "Temperature of the card.", 1),
    "power_w": ("dc1_gpu_power_watts", "Power that the card draws.", 1),
    "power_limit_w": ("dc1_gpu_power_limit_watts", "Power that it may draw.", 1),
    "sm_clock_mhz": ("dc1_gpu_clock_hertz", "Clock of its multiprocessors.", 1_000_000),
    "gpu_vram_mib": ("dc1_gpu_memory_bytes", "Memory of the card.", _MIB),
    "free_vram_mib": ("dc1_gpu_memory_free_bytes", "What of it is free.", _MIB),
    "ecc_uncorrected": ("dc1_gpu_ecc_uncorrected", "Uncorrected ECC errors since the driver was loaded.", 1),
}


class MachineGauges:
    """Belongs to the daemon's event loop, as what it reads does."""

    def __init__(
        self, connection: Connection, reporter: Reporter, registry: RunnerRegistry, assignments: Assignments
    ) -> None:
        self._connection = connection
        self._reporter = reporter
        self._registry = registry
        self._assignments = assignments

    def families(self) -> Iterator[Metric]:
        """Yield every family, those too that have no value now."""
        yield build("dc1_daemon_build")
        yield from self._of_stream()
        yield from self._of_work()
        yield from _of_cards(self._reporter.gpu_status)

    def _of_stream(self) -> Iterator[Metric]:
        yield gauge("dc1_daemon_stream_open", "1 while a server hears this daemon, else 0.", self._connection.is_open)
        streams = [((), self._connection.streams)]
        yield counter("dc1_daemon_streams", "Streams that a server welcomed and that have ended.", [], streams)
        yield gauge("dc1_daemon_draining", "1 while no more work is taken, else 0.", self._assignments.draining)

    def _of_work(self) -> Iterator[Metric]:
        held = Counter(lease.state for lease in self._assignments.leases)
        states: Values = {state.value: held[state] for state in LeaseState}
        yield gauge(
            "dc1_daemon_leases", "Jobs that are held: accepted, running, or ended and not settled.", states, "state"
        )
        yield gauge("dc1_daemon_slots", "Jobs that fit at a time, one for each card.", self._assignments.slots)
        calls = sum(
            lease.work.call is not None and lease.state is LeaseState.RUNNING for lease in self._assignments.leases
        )
        yield gauge("dc1_daemon_engine_calls", "Calls under /v1 that engines answer now.", calls)
        yield gauge("dc1_daemon_engine_slots", "Calls that engines take at once.", self._registry.inference_slots)
        yield gauge("dc1_daemon_models", "Models that can be called here.", len(self._registry.models))
        runners: Values = {name: float(is_there) for name, is_there in self._registry.availability.items()}
        yield gauge("dc1_daemon_runner_available", "1 where a runner can be used now, else 0.", runners, "runner")


def _of_cards(status: JsonObject) -> Iterator[Metric]:
    cards = objects(status.get("all_gpus"))
    for field, (name, text, factor) in _OF_CARDS.items():
        values: Values = {
            str(card.get("index")): value * factor
            for card in cards
            if isinstance(value := card.get(field), int | float) and not isinstance(value, bool)
        }
        yield gauge(name, text, values, "gpu")
    failing: Values = {str(card.get("index")): float(failure_of(card) is not None) for card in cards}
    yield gauge("dc1_gpu_failing", "1 where a card is given no work for its errors, else 0.", failing, "gpu")

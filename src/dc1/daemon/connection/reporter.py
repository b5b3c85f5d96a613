"""The daemon's whole present state, as every beat carries it."""

import asyncio
import contextlib
import socket
from typing import Protocol

import structlog

from dc1.containment import contained, in_words
from dc1.daemon.connection.operator_notices import MachineNotices
from dc1.daemon.leases import messages
from dc1.daemon.leases.assignments import Assignments
from dc1.daemon.runners import bridge
from dc1.daemon.runners.runner_registry import RunnerRegistry
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.gpus.card_health import failure_of, offered_cards
from dc1.domain.inference.kinds import CALL_KINDS
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import report_pb2

# As many as the protocol takes.
MAX_MODELS = 500
SAMPLE_SECONDS = 2.0
"""A beat does not wait longer for telemetry; it then repeats the last sample."""

CLOSE_SECONDS = 0.5
"""How long a daemon that ends waits for a measurement under way."""

log = structlog.get_logger(__name__)


class TelemetrySample(Protocol):
    """What was measured at one moment."""

    def to_gpu_status(self) -> JsonObject:
        """Return the `gpu_status` object of a heartbeat."""
        ...


class TelemetrySource(Protocol):
    """Measures the machine."""

    def read(self) -> TelemetrySample:
        """Measure now, which may block. Never raises."""
        ...

    def gpu_failure_since(self, started: float) -> str | None:
        """Return in words what was fatal to a GPU since a time of `time.monotonic()`, None for nothing."""
        ...

    def close(self) -> None:
        """Release what measuring needs."""
        ...


class Reporter:
    """Puts telemetry, runners and leases together."""

    def __init__(self, telemetry: TelemetrySource, registry: RunnerRegistry, assignments: Assignments) -> None:
        self._telemetry = telemetry
        self._registry = registry
        self._assignments = assignments
        self._notices = MachineNotices()
        self._gpu_status: JsonObject = {}
        self._unreadable = False
        self._sampling: asyncio.Task[JsonObject] | None = None

    async def refresh(self) -> None:
        """Measure the machine. A driver that hangs is left to it, and asked again only when it has answered."""
        if self._sampling is None:
            self._sampling = asyncio.create_task(self._measure())
        # `wait` leaves the task alone when time is up. A cancelled one would leave its thread in the driver, and the
        # next beat would add another.
        await asyncio.wait({self._sampling}, timeout=SAMPLE_SECONDS)
        if self._sampling.done():
            sampling, self._sampling = self._sampling, None
            try:
                with contained():
                    self._adopt(sampling.result())
                self._unreadable = False
            except Exception as error:
                # The last sample stands: a driver that talks nonsense for a moment takes no work from its machine.
                # Said once, as it may go on with every beat.
                if not self._unreadable:
                    log.warning("telemetry_unreadable", error=in_words(error)[:500])
                self._unreadable = True
        elif not self._gpu_status:
            # A driver that hangs from the start: a machine that says nothing of its cards would be taken at its word
            # of the last time, and be given work for them.
            self._adopt({"gpus_present": 0, "problems": ["the NVIDIA driver does not answer"]})

    @property
    def daemon_version(self) -> str | None:
        """The version that telemetry reports."""
        version = self._gpu_status.get("daemon_version")
        return version if isinstance(version, str) else None

    @property
    def gpu_status(self) -> JsonObject:
        """What the last beat said of the machine."""
        return self._gpu_status

    @property
    def has_gpu(self) -> bool:
        """Whether a GPU is reported, by which the machine is measured."""
        return self._gpu_status.get("gpu_name") is not None

    def state(self) -> pb.DaemonState:
        """Return the state as it is now."""
        models = self._registry.models[:MAX_MODELS]
        return pb.DaemonState(
            report=report_pb2.HeartbeatRequest(
                gpu_status=messages.to_value(self._gpu_status),
                cached_models=messages.to_value([*models]),
                provider_hostname=_hostname(),
            ),
            leases=messages.held_leases(self._assignments.leases),
            draining=self._assignments.draining,
            job_types=self._registry.job_types,
            probes=True,
            inference_slots=self._registry.inference_slots,
            carries_bodies=True,
            model_abilities=messages.model_abilities(self._registry.abilities, models),
            takes_bundles=True,
            begins_with_offers=True,
            carried_paths=sorted(CALL_KINDS),
        )

    async def aclose(self) -> None:
        """Stop measuring."""
        # A measurement that is only under way, as when a stream ends in its midst, is done in a moment.
        if self._sampling is not None:
            await asyncio.wait({self._sampling}, timeout=CLOSE_SECONDS)
        # A driver that hangs in a measurement is not closed beneath it.
        if self._sampling is not None and not self._sampling.done():
            self._sampling.cancel()
            await asyncio.wait({self._sampling})
            return
        try:
            with contained():
                self._telemetry.close()
        except Exception:
            log.exception("telemetry_not_closed")

    def _adopt(self, status: JsonObject) -> None:
        # A count that is left out would stay what it was when the last card is lost.
        count = status.setdefault("gpu_count", 1)
        # Tried before it is kept: a beat that cannot be written would be the end of every stream from now on.
        messages.to_value(status)
        self._gpu_status = status
        # Those of another model are not what is sold, and a card that fails would only fail the next job too.
        listed = [gpu for gpu in offered_cards(status) if gpu.get("gpu_uuid")]
        usable = [gpu for gpu in listed if failure_of(gpu) is None]
        self._assignments.slots = max(1, count - len(listed) + len(usable)) if isinstance(count, int) else 1
        self._registry.use_gpus([str(gpu["gpu_uuid"]) for gpu in usable])
        self._notices.machine(
            [str(gpu.get("gpu_name")) for gpu in usable], [str(one) for one in _list(status, "problems")]
        )

    async def _measure(self) -> JsonObject:
        # In a thread that nobody waits for at exit, as a lost GPU can block its driver for good.
        readings = bridge.iterate(lambda: iter([self._telemetry.read().to_gpu_status()]))
        async with contextlib.aclosing(readings):
            return await anext(readings)


def _hostname() -> str:
    try:
        return socket.gethostname()[:255]
    except (OSError, UnicodeError):
        # A machine may be called by bytes that are no text, and be rented out all the same.
        return ""


def _list(status: JsonObject, name: str) -> list[JsonValue]:
    value = status.get(name)
    return value if isinstance(value, list) else []

"""The provider's daemon as a whole."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from typing import Any

import structlog

from dc1.daemon.config import DaemonConfig
from dc1.daemon.connection.connection import Connection
from dc1.daemon.connection.machine_gauges import MachineGauges
from dc1.daemon.connection.reporter import Reporter, TelemetrySource
from dc1.daemon.errors import DaemonError
from dc1.daemon.leases.assignments import Assignments
from dc1.daemon.runners.base import Runner
from dc1.daemon.runners.runner_registry import RunnerRegistry
from dc1.metrics.exposition import Exposition, MetricsError, page_of
from dc1.metrics.on_loop import ProcessMetrics
from dc1.stop_signals import hurries, stop_signals

RECEIPT_SECONDS = 5.0
"""How long a daemon that ends waits for the receipts of its last outcomes."""

CLOSE_SECONDS = 3.0
"""How long a stream may take to end in order; a second more than the stream itself waits for the server."""

SOON_SECONDS = 2.0
"""How long after a runner was found gone it is looked for again, and twice as long each time after that."""

LEAST_REST_SECONDS = 1.0
"""How long no runner is looked at for a doubt after one that was for nothing, and twice as long after each more."""

log = structlog.get_logger(__name__)


class Agent:
    """Offers a machine to the market until it is told to stop."""

    def __init__(self, config: DaemonConfig, runners: Sequence[Runner], telemetry: TelemetrySource) -> None:
        """Make a daemon of these runners, which are closed when `run` ends."""
        self._config = config
        self._registry = RunnerRegistry(runners)
        self.assignments = Assignments(self._registry, telemetry.gpu_failure_since)
        """The leases it holds."""
        self._reporter = Reporter(telemetry, self._registry, self.assignments)
        self._connection = Connection(config, self.assignments, self._reporter, self._registry)
        self._gauges = MachineGauges(self._connection, self._reporter, self._registry, self.assignments)
        self._drain_wanted = asyncio.Event()
        self._stop_wanted = asyncio.Event()
        self.exposition: Exposition | None = None
        """Where metrics are read while it runs."""

    @property
    def instance_id(self) -> str:
        """The random id by which the server knows this process."""
        return self._connection.instance_id

    def drain(self) -> None:
        """Take no more work, finish what runs, then end. A second call ends at once."""
        if self._drain_wanted.is_set():
            self._stop_wanted.set()
        self._drain_wanted.set()

    def _asked_to_end(self, number: signal.Signals) -> None:
        if hurries(number) or not self._drain_wanted.is_set():
            self.drain()

    async def run(self) -> None:
        """Work until a signal asks to end, which drains, or the server wants this daemon no more (a DaemonError)."""
        with self._signals():
            try:
                async with self._metrics():
                    await self._serve()
            finally:
                # Runs first: what is cancelled still needs its runner to clean up after it.
                await self.assignments.aclose()
                await self._reporter.aclose()
                await self._registry.aclose()

    @contextlib.asynccontextmanager
    async def _metrics(self) -> AsyncIterator[None]:
        """Serve metrics while the block runs, where that is wanted.

        Raises:
            DaemonError: the address is taken or not allowed.
        """
        address = self._config.resolved_metrics_address
        if address is None:
            yield
            return
        metrics = ProcessMetrics(self._gauges.families, self.assignments.run_metrics.all())
        self.exposition = Exposition(address, {"/metrics": page_of(metrics)}, "--metrics-address")
        try:
            await self.exposition.start()
        except MetricsError as error:
            raise DaemonError(str(error)) from None
        try:
            yield
        finally:
            await self.exposition.stop()

    async def _serve(self) -> None:
        connection: asyncio.Task[Any] = asyncio.create_task(self._connect())
        others: tuple[Coroutine[Any, Any, Any], ...] = (self._probe(), self._until_drained(), self._stop_wanted.wait())
        tasks = {connection, *(asyncio.create_task(other) for other in others)}
        try:
            # Whichever ends first ends the daemon: the connection when it is refused, the others when the wish to end
            # is met.
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            # The last outcomes may still be under way, so the server is told before the call is cut.
            self._connection.close()
            await asyncio.wait({connection}, timeout=CLOSE_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self) -> None:
        # Hello says what work can be done here; before the first look that would be none.
        await self._registry.probe()
        await self._connection.run()

    async def _probe(self) -> None:
        usual = wait = self._config.probe_interval_seconds
        lost: frozenset[Runner] = frozenset()
        rest = 0.0
        while True:
            is_doubted = await self._registry.stale(wait)
            if is_doubted:
                # An engine whose calls all fail is doubted with each: looked at every time, it would be all day. What a
                # server says is no doubt, and is followed at once.
                is_doubted = not await self._registry.told(min(rest, wait))
            has_changed = await self._registry.probe()
            if has_changed:
                self._connection.beat_now()
            rest = min(usual, max(LEAST_REST_SECONDS, 2 * rest)) if is_doubted and not has_changed else 0.0
            # An engine that is started anew is back in seconds or minutes, and earns nothing until it is found.
            before, lost = lost, self._registry.lost
            wait = min(usual, 2 * wait if lost <= before else SOON_SECONDS) if lost else usual

    async def _until_drained(self) -> None:
        """Wait for the wish to end, then until no lease is left or time is up."""
        await self._drain_wanted.wait()
        leases = len(self.assignments.leases)
        log.info("draining", leases=leases, grace_seconds=self._config.drain_grace_seconds)
        self.assignments.draining = True
        # At once: until the server knows, it goes on offering, and each offer costs a job a round trip.
        self._connection.beat_now()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.drain_grace_seconds):
                await self.assignments.idle.wait()
        # As failures that may do better elsewhere: without an end the server would wait until the leases time out.
        self.assignments.give_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECEIPT_SECONDS):
                await self.assignments.idle.wait()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        caught = stop_signals()
        # Windows has no signal handlers on its event loop; Ctrl-C ends the daemon there without draining.
        with contextlib.suppress(NotImplementedError):
            for number in caught:
                loop.add_signal_handler(number, self._asked_to_end, number)
        try:
            yield
        finally:
            with contextlib.suppress(NotImplementedError):
                for number in caught:
                    loop.remove_signal_handler(number)

"""A server's metrics: what memory says is taken on the event loop, and written out on the reader's thread."""

import asyncio
import concurrent.futures
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.core import InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dc1.control.background.market_watch import MarketWatch
from dc1.edge.metrics import page_of_edge
from dc1.metrics.address import MetricsAddress
from dc1.metrics.exposition import Exposition, MetricsError, NothingToTellError, page_of
from dc1.server.listening.places import ListenError
from dc1.server.watching.market_gauges import MarketGauges

_LOOP_SECONDS = 5.0
"""How long a reader waits for the event loop; whoever sees one held up for longer is told so, and has an alert."""


class MetricsServer:
    """Serves `/metrics`, and `/metrics/edge` where an Envoy keeps its files beside the server's."""

    def __init__(
        self,
        address: MetricsAddress,
        watch: MarketWatch,
        gauges: MarketGauges,
        counted: Iterable[Collector],
        edge_socket: Path,
    ) -> None:
        self.watch = watch
        self._metrics = _ServerMetrics(gauges, counted)
        pages = {"/metrics": page_of(self._metrics), "/metrics/edge": page_of_edge(edge_socket)}
        self._exposition = Exposition(address, pages)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._exposition.port

    async def start(self) -> None:
        """Listen, and look at the market from now on.

        Raises:
            ListenError: the address is taken or not allowed.
        """
        self._metrics.loop = asyncio.get_running_loop()
        try:
            await self._exposition.start()
        except MetricsError as error:
            raise ListenError(str(error)) from None
        await self.watch.start()

    async def stop(self) -> None:
        """Listen no more."""
        await self.watch.stop()
        await self._exposition.stop()


class _ServerMetrics(Collector):
    """Read on threads of the exposition, of which none touches what the loop owns."""

    def __init__(self, gauges: MarketGauges, counted: Iterable[Collector]) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._gauges = gauges
        self._counted = (*counted, ProcessCollector(registry=None))

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("dc1_build", "The version that runs.", {"version": version("dc1")})
        yield from self._looked_up()
        # Locked by themselves, each for as long as one value takes.
        for each in self._counted:
            yield from each.collect()

    def _looked_up(self) -> list[Metric]:
        assert self.loop is not None
        try:
            return asyncio.run_coroutine_threadsafe(self._on_loop(), self.loop).result(_LOOP_SECONDS)
        # The other where the loop is closed.
        except (concurrent.futures.TimeoutError, RuntimeError):
            raise NothingToTellError("The event loop does not come to it.") from None

    async def _on_loop(self) -> list[Metric]:
        return list(self._gauges.families())

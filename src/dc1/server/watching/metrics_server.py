"""A server's metrics, and those of an edge that keeps its files beside the server's."""

from collections.abc import Iterable
from pathlib import Path

from prometheus_client.registry import Collector

from dc1.control.background.market_watch import MarketWatch
from dc1.edge.metrics import page_of_edge
from dc1.metrics.address import MetricsAddress
from dc1.metrics.exposition import Exposition, MetricsError, page_of
from dc1.metrics.on_loop import ProcessMetrics
from dc1.server.listening.places import ListenError
from dc1.server.watching.market_gauges import MarketGauges


class MetricsServer:
    """Serves `/metrics` and `/metrics/edge`, and looks at the market for them."""

    def __init__(
        self,
        address: MetricsAddress,
        watch: MarketWatch,
        gauges: MarketGauges,
        counted: Iterable[Collector],
        edge_socket: Path,
    ) -> None:
        self.watch = watch
        self._address = address
        self._gauges = gauges
        self._counted = counted
        self._edge_socket = edge_socket
        self._exposition: Exposition | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._exposition is not None
        return self._exposition.port

    async def start(self) -> None:
        """Listen, and look at the market from now on.

        Raises:
            ListenError: the address is taken or not allowed.
        """
        metrics = ProcessMetrics(self._gauges.families, self._counted)
        pages = {"/metrics": page_of(metrics), "/metrics/edge": page_of_edge(self._edge_socket)}
        self._exposition = Exposition(self._address, pages)
        try:
            await self._exposition.start()
        except MetricsError as error:
            raise ListenError(str(error)) from None
        await self.watch.start()

    async def stop(self) -> None:
        """Listen no more."""
        await self.watch.stop()
        if self._exposition is not None:
            await self._exposition.stop()

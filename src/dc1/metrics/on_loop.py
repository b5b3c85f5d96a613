"""What belongs to an event loop, taken there for readers on other threads."""

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dc1.metrics.exposition import NothingToTellError

_LOOP_SECONDS = 5.0
"""How long a reader waits; whoever sees a loop held up for longer is told so, and has an alert."""


class ProcessMetrics(Collector):
    """All of a process: what `families` finds on the loop, what was `counted`, and what the kernel says."""

    def __init__(self, families: Callable[[], Iterable[Metric]], counted: Iterable[Collector]) -> None:
        """Made on the loop that `families` is then called on."""
        self._loop = asyncio.get_running_loop()
        self._families = families
        # These lock themselves, each for as long as one value takes.
        self._counted = (*counted, ProcessCollector(registry=None))

    def collect(self) -> Iterator[Metric]:
        """Yield every family, on the reader's thread."""
        yield from self._looked_up()
        for each in self._counted:
            yield from each.collect()

    def _looked_up(self) -> list[Metric]:
        try:
            return asyncio.run_coroutine_threadsafe(self._on_loop(), self._loop).result(_LOOP_SECONDS)
        # The other where the loop is closed.
        except (concurrent.futures.TimeoutError, RuntimeError):
            raise NothingToTellError("The event loop does not come to it.") from None

    async def _on_loop(self) -> list[Metric]:
        return list(self._families())

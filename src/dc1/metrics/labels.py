"""Labels whose values others choose: so many have a series of their own, and all others share one."""

from collections.abc import Callable, Collection

from prometheus_client.metrics import MetricWrapperBase

OTHER = "other"
"""Stands for every value that has no series of its own."""


class BoundedLabel:
    """The values of one label that are told apart, anew chosen each time that `chosen` is called.

    Series of a value that is not chosen any more are dropped, so that their number never exceeds its bound.
    """

    def __init__(
        self, name: str, metrics: Collection[MetricWrapperBase], chosen: Callable[[], Collection[str]]
    ) -> None:
        self._name = name
        self._metrics = metrics
        self._chosen = chosen
        self._values: frozenset[str] = frozenset()

    def value(self, value: str) -> str:
        """Return what a series of `value` is labelled with."""
        return value if value in self._values else OTHER

    def choose(self) -> None:
        """Choose anew who has series."""
        # Something of that very name has no series of its own: dropping it would drop that of all others.
        chosen = frozenset(self._chosen()) - {OTHER}
        for gone in self._values - chosen:
            for metric in self._metrics:
                metric.remove_by_labels({self._name: gone})
        self._values = chosen

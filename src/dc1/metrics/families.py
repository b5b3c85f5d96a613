"""Families of values that are looked up when somebody reads, instead of being counted as they change."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

Values: TypeAlias = Mapping[str, float | None] | float | None


def gauge(name: str, text: str, values: Values, label: str = "") -> Metric:
    """Return what is now: one value, or with a `label` one for each of its values; nothing of what is not known."""
    if not isinstance(values, Mapping):
        family = GaugeMetricFamily(name, text)
        if values is not None:
            family.add_metric((), values)
        return family
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        if value is not None:
            family.add_metric((key,), value)
    return family


def build(name: str) -> Metric:
    """Return which version runs, as the package says."""
    return InfoMetricFamily(name, "The version that runs.", {"version": version("dc1")})


def counter(name: str, text: str, labels: list[str], counts: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    """Return what was counted elsewhere, by the values of the labels."""
    family = CounterMetricFamily(name, text, labels=labels)
    for key, count in counts:
        family.add_metric(key, count)
    return family

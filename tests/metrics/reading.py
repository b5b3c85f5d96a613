"""Metrics as Prometheus reads them."""

import httpx
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from dc1.testing.market import LocalMarket

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def read(market: LocalMarket) -> dict[str, list[Sample]]:
    """Every sample by its name; the text is parsed strictly, so that whatever breaks the format fails here."""
    return samples(httpx.get(url_of(market), headers={"Accept": OPEN_METRICS}, trust_env=False).raise_for_status().text)


def url_of(market: LocalMarket, path: str = "/metrics") -> str:
    return f"http://127.0.0.1:{market.server.metrics_port}{path}"


def families(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def samples(text: str) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for family in families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def value(found: dict[str, list[Sample]], name: str, **labels: str) -> float:
    """The sum of the samples that have these labels."""
    return sum(each.value for each in found.get(name, ()) if labels.items() <= each.labels.items())

"""The page of metrics says what there is to read."""

import httpx
from prometheus_client.metrics_core import Metric

from dc1.testing.market import LocalMarket
from tests.docs.pages import page
from tests.metrics.reading import OPEN_METRICS, families, url_of

_PAGE = page("docs/metrics.md")


def test_the_server_s_table_lists_every_metric_with_its_kind_and_meaning(watched: LocalMarket) -> None:
    text = httpx.get(url_of(watched), headers={"Accept": OPEN_METRICS}, trust_env=False).text
    found = [each for each in families(text) if each.name.startswith("dc1_")]

    rows = _PAGE.table_rows("The server")
    assert [without_labels(row) for row in rows] == [row_of(each) for each in found], rows_of(found)
    for row, family in zip(rows, found, strict=True):
        assert labels_in(row) >= labels_of(family), row


def row_of(family: Metric) -> str:
    return f"| `{name_of(family)}` | {family.type} | {family.documentation} |"


def name_of(family: Metric) -> str:
    return f"{family.name}{'_total' if family.type == 'counter' else '_info' if family.type == 'info' else ''}"


def without_labels(row: str) -> str:
    name, kind, _, meaning = (part.strip() for part in row.strip("| ").split("|"))
    return f"| {name} | {kind} | {meaning} |"


def labels_in(row: str) -> set[str]:
    return {each.strip("` ") for each in row.split("|")[3].split(",")} - {""}


def labels_of(family: Metric) -> set[str]:
    return {label for sample in family.samples for label in sample.labels} - {"le"}


def rows_of(found: list[Metric]) -> str:
    told = [
        f"| `{name_of(each)}` | {each.type} | {', '.join(f'`{label}`' for label in sorted(labels_of(each)))} | {each.documentation} |"
        for each in found
    ]
    return "\n".join(told)

"""The page on scale has what the model says, and the model is near what was measured."""

from collections.abc import Iterable, Sequence

import pytest

from bench.model import MEASURED, MEASURED_HEAD, SIZES_HEAD, Market, bill, fitting, measured_rows, regions, size_rows
from tests.docs.pages import ROOT

_NEAR = 0.35
"""As far as two measurements of one thing are apart on a machine that others use as well."""


def lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    table = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in table)


def test_the_page_has_both_tables_of_the_model() -> None:
    page = (ROOT / "docs" / "scale.md").read_text()
    assert lines(MEASURED_HEAD, measured_rows()) in page
    assert lines(SIZES_HEAD, size_rows()) in page


@pytest.mark.parametrize("number", range(len(MEASURED)))
def test_the_model_is_near_what_was_measured(number: int) -> None:
    for what, found, said in MEASURED[number].misses():
        assert abs(said / found - 1) <= _NEAR, (what, found, said)


def test_a_market_that_fits_is_within_its_bounds_and_the_next_smaller_one_is_not() -> None:
    market = fitting(100_000, 2)
    assert market is not None
    assert bill(market).server_cores <= 0.6 * market.servers
    assert bill(Market(100_000, market.servers - 1, jobs_an_hour=2)).server_cores > 0.6 * (market.servers - 1)
    count, each = regions(1_000_000, 20)
    assert count * each.daemons >= 1_000_000

"""Large answers are given out no faster than the edge can keep them for readers who do not read (contract 6.5)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter, answered
from tests.contract.expect import refused


@pytest.mark.settings(rate_limits_enabled=True)
def test_an_address_without_a_key_is_given_the_documentation_a_dozen_times(market: LocalMarket) -> None:
    """300 that nobody read held 230 MiB in the edge."""
    # A second gives back four fifths of one: a machine that is slow is given more of them, and not all.
    answers = [market.rest.get("/docs") for _ in range(40)]
    late = next(answer for answer in answers if not answer.is_success)
    assert answers.index(late) >= 10
    body = refused(late, 429, "Rate limit exceeded")
    assert late.headers["retry-after"] == str(body["retryAfterSeconds"])
    # What is small is answered all the same.
    answered(market.rest.get("/health"))


@pytest.mark.settings(rate_limits_enabled=True)
def test_lists_of_large_jobs_count_too(renter: Renter) -> None:
    for _ in range(8):
        answered(renter.try_submit(params={"prompt": "x" * 220_000}), 201)
    reads = (renter.get("/jobs/active").status_code for _ in range(60))
    given = next(number for number, status in enumerate(reads) if status == 429)
    assert given >= 8
    # What changes something is never refused for its answer.
    answered(renter.try_submit(params={"prompt": "x" * 220_000}), 201)

"""Lists hold what an answer can carry, however much was sent with their jobs."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered

# Of each of 40 jobs: 20 MiB together.
PROMPT = "x" * 255_000
DOCUMENT = {"note": PROMPT}
JOBS = 40
CARRIED = 16 * 1024 * 1024 // (2 * 255_000)


@pytest.fixture
def jobs(renter: Renter, provider: PollDaemon, market: LocalMarket) -> list[int]:
    """The ids of many large jobs, the newest first. The market's clock makes room for them in the limit of a minute."""
    ids = []
    for number in range(JOBS):
        sent: Json = {"params": {"prompt": PROMPT}, "gpu_requirements": DOCUMENT, "duration_minutes": 1}
        ids.append(renter.submit(**sent, provider_id=None)["id"])
        if number % 20 == 19:
            market.advance(60)
    return ids[::-1]


def test_what_a_list_cannot_carry_is_left_out_of_it_and_not_of_the_job(
    renter: Renter, provider: PollDaemon, jobs: list[int]
) -> None:
    active = answered(renter.get("/jobs/active"))["jobs"]
    assert [job["id"] for job in active] == jobs
    whole = [job for job in active if "documents_left_out" not in job]
    assert whole == active[: CARRIED // 2]
    assert {job["params"]["prompt"] for job in whole} == {PROMPT}
    left_out = active[len(whole) :]
    assert {job["documents_left_out"] for job in left_out} == {True}
    assert [job["params"] for job in left_out] == [None] * len(left_out)
    assert renter.job(jobs[-1])["params"]["prompt"] == PROMPT
    exported = answered(renter.get("/renters/me/export"))["jobs"]
    assert [job["id"] for job in exported] == jobs
    assert ["documents_left_out" in job for job in exported] == [False] * CARRIED + [True] * (JOBS - CARRIED)
    pages = answered(renter.get("/renters/me/jobs?limit=100"))
    assert len(pages["jobs"]) == JOBS


def test_a_provider_s_list_is_bounded_too(renter: Renter, provider: PollDaemon, jobs: list[int]) -> None:
    for _ in jobs:
        handed_out = provider.next()
        assert handed_out["params"]["prompt"] == PROMPT
        provider.result(handed_out["id"])
    shown = answered(provider.get(f"/providers/{provider.key}/jobs?limit=100"))["jobs"]
    assert [job["id"] for job in shown] == jobs
    assert ["documents_left_out" in job for job in shown].count(True) == JOBS - CARRIED // 2

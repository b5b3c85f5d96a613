"""Clients that do not wait for their answers."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

from dc1.storage.jobs import jobs
from dc1.storage.jobs.jobs import JobFilter
from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.faults.market import RealMarket

ORDER: Json = {"job_type": "llm_inference", "duration_minutes": 1, "params": {"prompt": "Two lines about the sea"}}


def test_a_job_whose_renter_hung_up_runs_like_any_other(market: RealMarket, renter: Renter) -> None:
    provider = market.add_provider()

    def answer_everything() -> None:
        with contextlib.suppress(Exception):
            while True:
                provider.engine.next_request().answer("the tide.")

    def hang_up(number: int) -> None:
        patience = httpx.Timeout(10, read=0.001 + 0.001 * (number % 20))
        with contextlib.suppress(httpx.ReadTimeout):
            httpx.post(
                f"{market.rest.url}/jobs/submit", json=ORDER, headers={"x-renter-key": renter.key}, timeout=patience
            )

    threading.Thread(target=answer_everything, daemon=True).start()
    with ThreadPoolExecutor(4) as clients:
        list(clients.map(hang_up, range(60)))

    def all_completed() -> bool:
        page = market.stored(lambda conn: jobs.page(conn, JobFilter(), limit=100))
        return page.total > 0 and {job.status for job in page.rows} == {"completed"}

    eventually(all_completed, "every accepted job being completed", 30)
    assert renter.wallet()["held_halala"] == 0

"""Rows that a newer server wrote are shown as far as they are understood, and end no list, no stream and no start."""

import sqlite3

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from tests.contract.expect import answered

NEWER = "from_a_newer_server"
OF_RENTER = (
    "/jobs",
    "/jobs/1",
    "/jobs/1/status",
    "/jobs/1/output",
    "/jobs/1/lifecycle",
    "/jobs/1/executions",
    "/jobs/1/invoice",
    "/jobs/1/stream",
    "/jobs/1/stream?since_sequence=0",
    "/jobs/1/lifecycle/stream",
    "/jobs/active",
    "/jobs/history",
    "/renters/me",
    "/renters/jobs",
    "/renters/me/jobs/export",
    "/renters/me/analytics",
    "/renters/me/export",
)
OF_ADMIN = ("/admin/dashboard", "/admin/jobs", "/admin/jobs/1", "/admin/fleet/alerts", "/admin/providers", "/health")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE jobs SET error_category = '{}'",
        "UPDATE jobs SET progress_phase = '{}'",
        "UPDATE jobs SET job_type = '{}'",
        "UPDATE jobs SET fault = '{}'",
        "UPDATE jobs SET compute_type = '{}', pricing_class = '{}'",
        "UPDATE job_events SET event_type = '{}'",
        "UPDATE job_events SET source = '{}', error_category = '{}'",
        "UPDATE job_attempts SET outcome = '{}', fault = '{}'",
    ],
)
def test_a_newer_value_ends_nothing(market: LocalMarket, renter: Renter, provider: PollDaemon, change: str) -> None:
    renter.submit()
    provider.next()
    answered(provider.try_result(1, error="exited with status 3"))
    renter.submit()
    renter.submit(model="nobody/offers-this")
    market.stop_server()
    with sqlite3.connect(market.data_directory / "dc1.sqlite3") as database:
        database.execute(change.format(NEWER, NEWER))
    database.close()
    market.start_server()
    for path in OF_RENTER:
        answer = renter.get(path, headers={"accept": "application/json"})
        assert answer.status_code < 500, (path, answer.text)
    for path in OF_ADMIN:
        assert market.admin.get(path).status_code < 500, path
    provider.heartbeat()
    answered(market.rest.get("/jobs/queue/status", key=renter.key))
    answered(renter.cancel(2))
    answered(renter.cancel(3))

"""Contract 8: a job has one public id, and `id` at the top level of an answer is the same everywhere."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, show

SHORT: Json = {"container_image": "busybox:1.36", "command": ["echo", "hi"]}
HEAD = ("id", "job_id", "status")


@pytest.mark.parametrize("body", [J3, SHORT], ids=["whole", "short"])
@pytest.mark.parametrize("path", ["/jobs/submit", "/jobs"])
def test_who_submits_lists_and_cancels_sees_one_id(renter: Renter, path: str, body: Json) -> None:
    submitted = answered(renter.post(path, body), 201)
    public_id = submitted["job"]["job_id"]
    assert show(submitted, *HEAD) == {"id": public_id, "job_id": public_id, "status": "queued"}
    for listing in ("/renters/jobs", "/renters/me/jobs"):
        (row,) = answered(renter.get(listing))["jobs"]
        assert show(row, *HEAD) == show(submitted, *HEAD)
    assert show(answered(renter.get(f"/jobs/{public_id}")), *HEAD) == show(submitted, *HEAD)
    cancelled = answered(renter.cancel(submitted["id"]))
    assert show(cancelled, *HEAD) == {"id": public_id, "job_id": public_id, "status": "cancelled"}
    # The number of the row is where it was: in `job`.
    assert cancelled["job"]["id"] == submitted["job"]["id"] == 1


def test_ends_and_retries_say_it_too(renter: Renter, provider: PollDaemon) -> None:
    job_id = renter.submit()["job_id"]
    provider.next()
    completed = answered(renter.post("/jobs/1/complete"))
    assert show(completed, *HEAD) == {"id": job_id, "job_id": job_id, "status": "completed"}
    renter.submit()
    provider.next()
    answered(provider.post("/jobs/2/fail", {"error": "exited with status 3", "exit_code": 3}))
    again = answered(renter.post("/jobs/2/retry"), 201)
    assert show(again, *HEAD) == show(answered(renter.get("/jobs/3")), *HEAD)


def test_every_list_has_the_public_id(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Rows have it as `job_id`, and beside it as `id` what they always had there."""
    job = renter.submit()
    provider.next()
    answered(provider.post("/jobs/1/progress", {"phase": "generating"}))
    waiting = renter.submit(provider_id=provider.id)
    open_now = {job["job_id"], waiting["job_id"]}
    read_key = {"key": provider.key}
    for caller, path, name in (
        (renter, "/jobs", "jobs"),
        (renter, "/jobs/active", "jobs"),
        (renter, "/jobs/history", "jobs"),
        (renter, "/renters/jobs", "jobs"),
        (renter, "/renters/me", "jobs"),
        (renter, "/renters/me", "recent_jobs"),
        (renter, "/renters/me/export", "jobs"),
        (provider, "/jobs/active", "jobs"),
        (provider, f"/jobs/queue/{provider.id}", "queue"),
        (market.admin, "/admin/jobs", "jobs"),
        (market.admin, f"/admin/providers/{provider.id}", "jobs"),
        (market.admin, f"/admin/renters/{renter.id}", "recent_jobs"),
    ):
        rows = answered(caller.get(path))[name]
        shown = {row["job_id"] for row in rows}
        assert shown, path
        assert shown <= open_now, path
    for path in (f"/providers/{provider.key}/jobs", "/providers/me"):
        body = answered(provider.get(path, params=read_key))
        assert {row["job_id"] for row in body.get("jobs") or body["recent_jobs"]} <= open_now
    answered(provider.post("/jobs/1/result", {"result": "ok"}))
    (ended,) = answered(provider.get("/providers/job-history"))["jobs"]
    assert ended["job_id"] == job["job_id"]


@pytest.mark.parametrize("read", ["", "/status", "/output", "/logs", "/lifecycle", "/executions", "/history"])
def test_every_route_takes_either_form(renter: Renter, read: str) -> None:
    job = renter.submit()
    by_number, by_name = (renter.get(f"/jobs/{name}{read}") for name in (job["id"], job["job_id"]))
    assert (by_number.status_code, by_number.json()) == (by_name.status_code, by_name.json())

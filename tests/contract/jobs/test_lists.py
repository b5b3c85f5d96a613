"""A renter's jobs as lists, pages, history and table; what is open and what waits."""

import csv
import io
from collections.abc import Callable

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits
from tests.contract.shapes.jobs import JOB_DETAIL
from tests.contract.shapes.renters import HISTORY, RENTER_JOBS


def test_a_submission_says_where_the_job_went(renter: Renter, provider: PollDaemon) -> None:
    first = answered(renter.post("/jobs", J3), 201)
    assert first["dispatch"] == {
        "assigned": True,
        "queued": False,
        "hold_id": first["job_id"],
        "provider": {"id": provider.id, "name": provider.account()["name"]},
    }
    second = answered(renter.post("/jobs", J3), 201)
    assert second["dispatch"] == {
        "assigned": False,
        "queued": True,
        "hold_id": second["job_id"],
        "provider": None,
    }


@pytest.mark.parametrize("path", ["/renters/jobs", "/renters/me/jobs"])
def test_pages_of_the_renters_jobs(market: LocalMarket, renter: Renter, provider: PollDaemon, path: str) -> None:
    market.add_renter().submit()
    for _ in range(4):
        renter.submit()
    listed = answered(renter.get(path, params={"limit": 3}))
    fits(listed, RENTER_JOBS)
    assert show(listed, "total", "page", "limit", "pages") == {"total": 4, "page": 1, "limit": 3, "pages": 2}
    rest = answered(renter.get(path, params={"limit": 3, "page": 2}))
    assert [job["job_id"] for job in rest["jobs"]] == [renter.job(2)["job_id"]]
    assert answered(renter.get(path, params={"limit": 500}))["limit"] == 100
    for bad in ({"limit": "x"}, {"limit": 0}, {"page": 0}, {"page": "x"}, {"status": "lost"}):
        refused(renter.get(path, params=bad), 400)


def test_the_renters_jobs_by_status(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    first, second = renter.submit(), renter.submit()
    provider.next()
    provider.result(first["id"], prompt_tokens=3, completion_tokens=5)
    market.next_job(provider)

    def ids(status: str) -> list[str]:
        found = answered(renter.get("/renters/jobs", params={"status": status}))["jobs"]
        return [job["id"] for job in found]

    assert ids("completed") == [first["job_id"]]
    assert ids("in_progress") == ids("running") == [second["job_id"]]
    assert ids("failed") == []
    done = answered(renter.get("/renters/jobs", params={"status": "completed"}))["jobs"][0]
    assert show(done, "input_tokens", "output_tokens", "cost_halala", "provider_id", "container_image") == {
        "input_tokens": 3,
        "output_tokens": 5,
        "cost_halala": 1,
        "provider_id": provider.id,
        "container_image": "",
    }


def test_the_history_shows_what_jobs_gave_and_cost(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    job = renter.submit(model=MODEL)
    provider.next()
    market.advance(95)
    provider.result(1, "ok")
    renter.submit()
    answered(renter.cancel(2))
    history = answered(renter.get("/jobs/history"))
    fits(history, HISTORY)
    assert show(history, "balance_halala", "balance_sar", "total_jobs") == {
        "balance_halala": 976,
        "balance_sar": "9.76",
        "total_jobs": 2,
    }
    cancelled, done = history["jobs"]
    assert show(done, "job_id", "status", "cost_halala", "actual_cost_halala", "cost_sar", "execution_time_sec") == {
        "job_id": job["job_id"],
        "status": "completed",
        "cost_halala": 45,
        "actual_cost_halala": 24,
        "cost_sar": "0.24",
        "execution_time_sec": 95,
    }
    assert show(done, "result", "result_type", "refunded", "provider_gpu") == {
        "result": {"type": "text", "response": "ok"},
        "result_type": "text",
        "refunded": True,
        "provider_gpu": "NVIDIA GeForce RTX 4090",
    }
    output = answered(renter.get("/jobs/1/output"))
    parts = ("type", "response", "output", "billing")
    assert show(done, *parts) == show(output, *parts)
    assert show(done, *parts) == {
        "type": "text",
        "response": "ok",
        "output": "ok",
        "billing": {"actual_cost_halala": 24, "actual_cost_sar": 0.24},
    }
    assert show(cancelled, "type", "response", "output") == {"type": None, "response": None, "output": None}
    assert "billing" not in cancelled
    assert show(cancelled, "status", "error", "refunded_halala", "result") == {
        "status": "cancelled",
        "error": "The job was cancelled.",
        "refunded_halala": 45,
        "result": None,
    }
    assert len(answered(renter.get("/jobs/history", params={"limit": 1}))["jobs"]) == 1
    refused(renter.get("/jobs/history", params={"limit": "x"}), 400)


def test_every_view_names_the_provider_a_job_waits_for(renter: Renter, provider: PollDaemon) -> None:
    renter.submit(provider_id=provider.id)
    renter.submit(provider_id=provider.id)
    account = provider.account()
    named = {"provider_id": provider.id, "provider_name": account["name"]}
    output = answered(renter.get("/jobs/2/output"), 202)
    assert show(output, "status", *named) == {"status": "queued", **named}
    history = answered(renter.get("/jobs/history", params={"limit": 1}))["jobs"]
    assert [show(job, *named, "provider_gpu") for job in history] == [{**named, "provider_gpu": account["gpu_model"]}]
    rows = list(csv.DictReader(io.StringIO(renter.get("/renters/me/jobs/export").text)))
    assert [row["provider_id"] for row in rows] == [str(provider.id)] * 2
    assert answered(renter.get("/jobs/2/status"))["provider_online"] is True


def test_the_history_leaves_long_results_to_the_output(renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    provider.result(1, "x" * 70_000)
    (entry,) = answered(renter.get("/jobs/history"))["jobs"]
    assert show(entry, "status", "result", "result_type") == {
        "status": "completed",
        "result": None,
        "result_type": None,
    }
    assert len(answered(renter.get("/jobs/1/output"))["output"]) == 70_000


def test_the_table_has_no_formulas(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit(model="-m/x")
    renter.submit()
    market.add_renter().submit()
    provider.next()
    answered(market.admin.post("/jobs/2/fail", {"error": '=cmd|"/c calc"!A1'}))
    answer = renter.get("/renters/me/jobs/export")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="jobs.csv"'
    failed, waiting = csv.DictReader(io.StringIO(answer.text))
    assert show(waiting, "model", "status", "cost_halala", "actual_cost_halala", "provider_id") == {
        "model": "'-m/x",
        "status": "queued",
        "cost_halala": "45",
        "actual_cost_halala": "",
        "provider_id": "",
    }
    assert show(failed, "error", "duration_minutes") == {"error": '\'=cmd|"/c calc"!A1', "duration_minutes": "3"}


def test_everybody_sees_their_open_jobs(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    other = market.add_renter()
    renter.submit()
    other.submit()
    renter.submit()
    provider.next()
    answered(renter.cancel(3))

    def seen(reader: object) -> list[int]:
        answer = answered(reader.get("/jobs/active"))  # type: ignore[attr-defined]
        fits(answer, {"jobs": [JOB_DETAIL]})
        return [job["id"] for job in answer["jobs"]]

    assert (seen(renter), seen(other), seen(provider), seen(market.admin)) == ([1], [2], [1], [2, 1])
    assert answered(other.get("/jobs/active"))["jobs"][0]["queue_position"] == 1


def test_the_queue_by_class_and_compute_type(market: LocalMarket, renter: Renter) -> None:
    assert answered(market.rest.get("/jobs/queue/status")) == {"queued_total": 0, "buckets": []}
    renter.submit(pricing_class="economy")
    renter.submit()
    market.advance(60)
    renter.submit()
    renter.submit(job_type="training", pricing_class="priority")
    market.advance(40)
    status = answered(market.rest.get("/jobs/queue/status"))
    assert status == {
        "queued_total": 4,
        "buckets": [
            _bucket("priority", "training", 1, 40, 40),
            _bucket("standard", "inference", 2, 70, 100),
            _bucket("economy", "inference", 1, 100, 100),
        ],
    }
    for number in range(1, 5):
        answered(renter.cancel(number))
    assert answered(market.rest.get("/jobs/queue/status"))["buckets"] == []


def _bucket(pricing_class: str, compute_type: str, depth: int, average: int, p95: int) -> Json:
    return {
        "pricing_class": pricing_class,
        "compute_type": compute_type,
        "depth": depth,
        "avg_wait_seconds": average,
        "p95_wait_seconds": p95,
    }


def test_the_queue_of_a_provider(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    held = renter.submit()
    late, early = renter.submit(provider_id=1), renter.submit(provider_id=1, priority=1)
    renter.submit()
    expected = {
        "queue": [
            {"job_id": held["job_id"], "status": "pending"},
            {"job_id": early["job_id"], "status": "queued"},
            {"job_id": late["job_id"], "status": "queued"},
        ],
        "total": 3,
    }
    for answer in (provider.get("/jobs/queue/me"), provider.get("/jobs/queue/1"), market.admin.get("/jobs/queue/1")):
        assert answered(answer) == expected
    provider.next()
    assert answered(provider.get("/jobs/queue/me"))["total"] == 2
    refused(market.add_provider().get("/jobs/queue/1"), 403, "Forbidden")
    refused(market.admin.get("/jobs/queue/99"), 404, "Provider not found")
    refused(provider.get("/jobs/queue/99"), 404, "Provider not found")
    refused(market.admin.get("/jobs/queue/me"), 404, "Provider not found")
    refused(renter.get("/jobs/queue/1"), 401)


@pytest.mark.parametrize("path", ["/renters/jobs", "/jobs/history", "/renters/me/jobs/export"])
def test_lists_are_the_renters_own(
    market: LocalMarket, finished_job: Callable[[], int], provider: PollDaemon, path: str
) -> None:
    finished_job()
    stranger = market.add_renter().get(path)
    assert "job-" not in stranger.text
    refused(market.rest.get(path), 401, "API key required")
    refused(provider.get(path), 401)
    refused(market.admin.get(path), 401)

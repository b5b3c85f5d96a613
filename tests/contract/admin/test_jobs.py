"""Admins looking after jobs (contract 3.5)."""

import csv
import io

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, fields, refused, show
from tests.contract.fitting import fits, integer, number, or_null, text, time
from tests.contract.shapes.jobs import JOB, JOB_DETAIL, LIFECYCLE

ROW: Json = {
    "id": integer,
    "job_id": text,
    "renter_id": integer,
    "renter_name": text,
    "provider_id": or_null(integer),
    "provider_name": or_null(text),
    "job_type": text,
    "model": or_null(text),
    "status": text,
    "submitted_at": time,
    "started_at": or_null(time),
    "completed_at": or_null(time),
    "duration_minutes": or_null(number),
    "cost_halala": integer,
    **dict.fromkeys(("actual_cost_halala", "dc1_fee_halala", "refunded_halala"), or_null(integer)),
    "attempt_number": integer,
    "retry_count": integer,
    "error": or_null(text),
    "error_category": or_null(text),
    "source": text,
    "fault": or_null(text),
}
LIST: Json = {
    "stats": dict.fromkeys(("total", "completed", "failed", "active", "total_revenue_halala"), integer),
    "jobs": [ROW],
    "pagination": dict.fromkeys(("page", "limit", "total", "pages"), integer),
}


def list_jobs(admin: Admin, **params: object) -> Json:
    listed = answered(admin.get("/admin/jobs", params=params))
    fits(listed, LIST)
    return listed


def ids(listed: Json) -> list[int]:
    return [job["id"] for job in listed["jobs"]]


@pytest.fixture
def three_jobs(market: LocalMarket, renter: Renter, provider: PollDaemon) -> Renter:
    """Job 1 of R completed, job 2 of R failed a day later, job 3 of the other renter, who is returned, waits."""
    renter.submit(model=MODEL)
    provider.next()
    market.advance(95)
    provider.result(1)
    market.clock.advance(86_400)
    provider.heartbeat()
    renter.submit(job_type="training", duration_minutes=5)
    market.next_job(provider)
    answered(market.admin.post("/jobs/2/result", {"error": "=1+1"}))
    other = market.add_renter(name="Jeddah 100% Lab")
    other.submit(model="nobody/has-it")
    return other


def test_jobs_of_everybody_with_names_and_sums(admin: Admin, three_jobs: Renter) -> None:
    listed = list_jobs(admin)
    assert ids(listed) == [3, 2, 1]
    assert listed["stats"] == {"total": 3, "completed": 1, "failed": 1, "active": 1, "total_revenue_halala": 24}
    assert [show(job, "renter_name", "provider_name", "actual_cost_halala") for job in listed["jobs"]] == [
        {"renter_name": "Jeddah 100% Lab", "provider_name": None, "actual_cost_halala": None},
        {"renter_name": "Renter 1", "provider_name": "Provider 2", "actual_cost_halala": 0},
        {"renter_name": "Renter 1", "provider_name": "Provider 2", "actual_cost_halala": 24},
    ]


FILTERS: list[tuple[Json, list[int]]] = [
    ({"status": "completed"}, [1]),
    ({"status": "completed, failed"}, [2, 1]),
    ({"status": "in_progress,failed"}, [3, 2]),
    ({"type": "training"}, [2]),
    ({"type": "benchmark"}, []),
    ({"provider_id": 1}, [2, 1]),
    ({"provider_id": 999}, []),
    ({"renter_id": 3}, []),
    ({"renter_id": 2}, [3]),
    ({"date_from": "2026-03-23"}, [3, 2]),
    ({"date_to": "2026-03-22"}, [1]),
    ({"date_from": "2026-03-22T19:00:10Z", "date_to": "2026-03-22T19:00:10.000Z"}, [1]),
    ({"date_from": "2026-03-22T19:00:11Z", "date_to": "2026-03-22"}, []),
    ({"search": "tinyLLAMA"}, [1]),
    ({"search": "jeddah"}, [3]),
    ({"search": "renter1@"}, [2, 1]),
    ({"search": "100%"}, [3]),
    ({"search": "%"}, [3]),
    ({"search": "\x00"}, []),
    ({"search": "job-"}, [3, 2, 1]),
    ({"limit": 2, "page": 2}, [1]),
    ({"limit": 2, "page": 9}, []),
    ({"status": "", "type": "", "search": "  "}, [3, 2, 1]),
]


@pytest.mark.usefixtures("three_jobs")
def test_filters(admin: Admin) -> None:
    for params, found in FILTERS:
        listed = list_jobs(admin, **params)
        assert ids(listed) == found, params
        if "page" not in params:
            assert listed["stats"]["total"] == listed["pagination"]["total"] == len(found)


def test_the_sums_are_over_every_match_not_the_page(admin: Admin, three_jobs: Renter) -> None:
    listed = list_jobs(admin, renter_id=1, limit=1)
    assert listed["stats"] == {"total": 2, "completed": 1, "failed": 1, "active": 0, "total_revenue_halala": 24}
    assert listed["pagination"] == {"page": 1, "limit": 1, "total": 2, "pages": 2}
    assert list_jobs(admin, limit=9999)["pagination"]["limit"] == 500


def test_a_job_is_found_by_the_provider_it_waits_for(admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    renter.submit(provider_id=provider.id)
    assert renter.submit(provider_id=provider.id)["status"] == "queued"
    listed = list_jobs(admin, provider_id=provider.id)
    assert [job["provider_id"] for job in listed["jobs"]] == [provider.id, provider.id]
    assert listed["stats"]["active"] == 2


def test_bad_filters(admin: Admin) -> None:
    allowed = "queued, pending, running, completed, failed, cancelled, in_progress"
    refused(admin.get("/admin/jobs", params={"status": "completed,lost"}), 400, f"Invalid status. Allowed: {allowed}")
    body = refused(admin.get("/admin/jobs", params={"type": "mining"}), 400, code="INVALID_ENUM")
    assert body["error"].startswith("Invalid type. Allowed: image_generation, ")
    for name in ("date_from", "date_to"):
        for value in ("yesterday", "2026-13-01", "0000-00-00"):
            body = refused(admin.get("/admin/jobs", params={name: value}), 400, "Validation failed")
            assert fields(body) == [name]
    for params in ({"page": 0}, {"limit": 0}, {"limit": "x"}, {"renter_id": "x"}, {"provider_id": 0}):
        refused(admin.get("/admin/jobs", params=params), 400)


def test_a_job_in_detail(admin: Admin, three_jobs: Renter) -> None:
    done = answered(admin.get("/admin/jobs/1"))
    fits(done["job"], JOB_DETAIL)
    assert show(done["provider"], "id", "name") == {"id": 1, "name": "Provider 2"}
    assert done["billing"] == {
        "actual_cost_halala": 24,
        "provider_earned_halala": 18,
        "dc1_fee_halala": 6,
        "refunded_halala": 21,
        "used_seconds": 95,
    }
    waiting = answered(admin.get("/admin/jobs/3"))
    assert show(waiting, "provider", "billing") == {"provider": None, "billing": None}
    assert waiting["job"]["queue_position"] == 1
    assert answered(admin.get(f"/admin/jobs/{done['job']['job_id']}")) == done


def test_a_history(admin: Admin, three_jobs: Renter) -> None:
    shown = answered(admin.get("/admin/jobs/1/history"))
    fits(shown, LIFECYCLE)
    assert shown == answered(admin.get("/jobs/1/lifecycle"))
    one = answered(admin.get("/admin/jobs/1/history", params={"since_sequence": 1, "limit": 1}))
    assert [event["sequence_no"] for event in one["events"]] == [2]
    assert one["has_more"] is True
    refused(admin.get("/admin/jobs/1/history", params={"event_type": "job.lost"}), 400)


def test_cancelling_charges_nobody(market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    for model in (None, None, "nobody/has-it"):
        renter.submit(model=model)
    provider.next()
    market.advance(95)
    assert answered(admin.post("/admin/jobs/1/cancel")) == {
        "success": True,
        "job_id": renter.job(1)["job_id"],
        "previous_status": "running",
        "new_status": "cancelled",
        "refunded_halala": 45,
        "charged_halala": 0,
    }
    market.next_job(provider)
    waiting = answered(admin.post(f"/admin/jobs/{renter.job(3)['job_id']}/cancel"))
    assert show(waiting, "previous_status", "refunded_halala") == {"previous_status": "queued", "refunded_halala": 45}
    error = "Cannot cancel job with status: cancelled"
    refused(admin.post("/admin/jobs/1/cancel"), 400, error, current_status="cancelled")
    events = answered(renter.get("/jobs/1/lifecycle"))["events"]
    assert (events[-1]["event_type"], events[-1]["source"]) == ("job.cancelled", "admin")


def test_a_pending_job_is_cancelled_as_pending(admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    assert answered(admin.post("/admin/jobs/1/cancel"))["previous_status"] == "pending"
    assert provider.ask()["job"] is None


def test_requeueing_makes_a_new_job_for_its_renter(admin: Admin, renter: Renter, three_jobs: Renter) -> None:
    before = renter.balance()
    answer = answered(admin.post("/admin/jobs/2/requeue"), 201)
    fits(answer["job"], JOB_DETAIL)
    assert show(answer["job"], "id", "renter_id", "retried_from_job_id", "status", "cost_halala") == {
        "id": 4,
        "renter_id": 1,
        "retried_from_job_id": 2,
        "status": "pending",
        "cost_halala": 125,
    }
    assert renter.balance() == before - 125
    events = answered(admin.get("/admin/jobs/4/history"))["events"]
    assert (events[0]["event_type"], events[0]["source"]) == ("job.submitted", "admin")
    refused(admin.post("/admin/jobs/1/requeue"), 400, "Only failed jobs can be retried", current_status="completed")
    admin.adjust(1, -renter.balance())
    refused(admin.post("/admin/jobs/2/requeue"), 402, code="ZERO_BALANCE")


@pytest.mark.parametrize("job_id", ["0", "999", "job-nope", "99999999999999999999"])
def test_jobs_that_do_not_exist(admin: Admin, job_id: str) -> None:
    for path in ("", "/history"):
        refused(admin.get(f"/admin/jobs/{job_id}{path}"), 404, "Job not found")
    for path in ("cancel", "requeue"):
        refused(admin.post(f"/admin/jobs/{job_id}/{path}"), 404, "Job not found")


def test_a_test_job_is_free_and_runs(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    answer = answered(admin.post("/jobs/test", {"provider_id": 1}), 201)
    fits(answer["job"], JOB)
    assert show(answer["job"], "renter_id", "provider_id", "job_type", "status", "cost_halala") == {
        "renter_id": 0,
        "provider_id": 1,
        "job_type": "benchmark",
        "status": "pending",
        "cost_halala": 0,
    }
    assert answer["job"]["job_id"].startswith("test-")
    handed_out = provider.next()
    assert handed_out["params"] == {"matrix_size": 4096, "iterations": 5}
    market.advance(5)
    settled = provider.try_result(1, result={"type": "benchmark", "tflops": 80.5})
    assert answered(settled)["billing"]["actual_cost_halala"] == 0
    shown = answered(admin.get("/jobs/1/output"))
    assert shown["result"]["tflops"] == 80.5
    assert list_jobs(admin)["jobs"][0]["renter_name"] == "Test jobs"
    assert admin.stats()["total_renters"] == 0


def test_a_test_job_waits_for_its_provider_and_can_be_sent_again(admin: Admin, provider: PollDaemon) -> None:
    sizes: Json = {"matrix_size": 128, "iterations": 100}
    for status in ("pending", "queued"):
        answer = answered(admin.post("/jobs/test", {"provider_id": 1, **sizes}), 201)
        assert show(answer["job"], "status", "provider_id") == {"status": status, "provider_id": 1}
    assert provider.next()["params"] == sizes
    answered(provider.try_result(1, error="no CUDA"))
    again = answered(admin.post("/admin/jobs/1/requeue"), 201)["job"]
    assert show(again, "renter_id", "cost_halala", "retried_from_job_id") == {
        "renter_id": 0,
        "cost_halala": 0,
        "retried_from_job_id": 1,
    }
    assert again["job_id"].startswith("test-")
    assert answered(admin.post("/admin/jobs/2/cancel"))["charged_halala"] == 0


def test_nobody_is_the_renter_of_test_jobs(admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    answered(admin.post("/jobs/test", {"provider_id": 1}), 201)
    refused(renter.get("/jobs/1"), 403, "Forbidden")
    refused(admin.post("/admin/renters/0/balance", {"amount_halala": 5}), 404, "Renter not found")
    assert answered(provider.get("/jobs/1"))["job"]["id"] == 1


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "Missing required fields: provider_id"),
        ({"provider_id": 999}, 404, "Provider not found"),
        ({"provider_id": 1, "matrix_size": 127}, 400, "Validation failed"),
        ({"provider_id": 1, "matrix_size": 16385}, 400, "Validation failed"),
        ({"provider_id": 1, "iterations": 0}, 400, "Validation failed"),
        ({"provider_id": 1, "iterations": 101}, 400, "Validation failed"),
        ({"provider_id": "x"}, 400, None),
        ({"provider_id": 2}, 400, "Provider is not online"),
    ],
)
def test_test_jobs_that_are_refused(
    market: LocalMarket, admin: Admin, provider: PollDaemon, body: Json, status: int, error: str | None
) -> None:
    market.register_provider()
    refused(admin.post("/jobs/test", body), status, error)
    assert list_jobs(admin)["stats"]["total"] == 0


def test_jobs_as_a_table(admin: Admin, three_jobs: Renter) -> None:
    response = admin.get("/admin/export/jobs")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="jobs.csv"'
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert list(rows[0]) == list(ROW)
    assert [row["id"] for row in rows] == ["3", "2", "1"]
    assert show(rows[1], "error", "actual_cost_halala", "model") == {
        "error": "'=1+1",
        "actual_cost_halala": "0",
        "model": "",
    }
    assert admin.get("/admin/export/jobs", params={"format": "csv"}).text == response.text


def test_jobs_as_json(market: LocalMarket, admin: Admin, three_jobs: Renter) -> None:
    exported = answered(admin.get("/admin/export/jobs", params={"format": "json"}))
    fits(exported, {"exported_at": time, "jobs": [ROW]})
    assert exported["jobs"] == list_jobs(admin)["jobs"]
    refused(admin.get("/admin/export/jobs", params={"format": "xml"}), 400, "Invalid format. Allowed: csv, json")

"""Every documented key of every answer is there, with the JSON type that clients read it as."""

import json

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, REPORT, PollDaemon
from dc1.testing.rest import Json, Rest
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits
from tests.contract.shapes.admin import DASHBOARD, HEALTH, PROVIDER_LIST
from tests.contract.shapes.daemons import HEARTBEAT, POLL
from tests.contract.shapes.jobs import JOB_DETAIL, JOB_LIST, LIFECYCLE, LOGS, OUTPUT, SETTLEMENT, SHOWN_JOB, SUBMITTED
from tests.contract.shapes.providers import AVAILABLE, EARNINGS, PROVIDER_ACCOUNT
from tests.contract.shapes.renters import REGISTERED, RENTER_ACCOUNT, WALLET


def test_the_four_core_answers(market: LocalMarket, rest: Rest, admin: Admin) -> None:
    fits(admin.dashboard(), DASHBOARD)
    body = {"name": "Noura Salem", "email": "noura@example.sa"}
    fits(answered(rest.post("/renters/register", body), 201), REGISTERED)
    renter, provider = market.add_renter(), market.add_provider()
    fits(provider.heartbeat(REPORT), HEARTBEAT)
    fits(answered(renter.try_submit(), 201), SUBMITTED)
    fits(answered(renter.try_submit(min_vram_gb=1, model=MODEL), 201), SUBMITTED)
    fits(admin.dashboard(), DASHBOARD)


def test_zero_false_and_empty_are_printed(admin: Admin) -> None:
    dashboard = admin.dashboard()
    assert set(dashboard["stats"].values()) - {dashboard["stats"]["timestamp"]} == {0}
    assert show(dashboard, "gpu_breakdown", "recent_signups", "recent_heartbeats") == {
        "gpu_breakdown": [],
        "recent_signups": [],
        "recent_heartbeats": [],
    }


def test_integers_have_no_fraction_and_money_at_most_two_decimals(
    market: LocalMarket, renter: Renter, admin: Admin
) -> None:
    renter.top_up(5)
    admin.adjust(renter.id, 99_999_999)
    wallet = renter.get("/renters/balance").text
    assert '"balance_halala":100001004' in wallet
    assert '"balance_sar":1000010.04' in wallet
    assert '"total_renter_balance_halala":100001004' in admin.get("/admin/dashboard").text


def test_a_running_market(market: LocalMarket, rest: Rest, renter: Renter, provider: PollDaemon, admin: Admin) -> None:
    job = renter.submit(model=MODEL, params={"prompt": "x"})
    renter.submit()
    fits(renter.job(2), JOB_DETAIL)
    fits(answered(renter.get(f"/jobs/{job['job_id']}/output"), 202), OUTPUT)
    fits(provider.ask(), POLL)
    fits(provider.ask(), POLL)
    provider.progress(1, "generating")
    provider.logs(1, ["one"])
    fits(answered(renter.get("/jobs/1")), SHOWN_JOB)
    fits(answered(renter.get("/jobs/1/output"), 202), OUTPUT)
    market.advance(2)
    fits(provider.result(1, prompt_tokens=3, completion_tokens=5), SETTLEMENT)
    fits(answered(renter.get("/jobs/1/output")), OUTPUT)
    fits(answered(renter.get("/jobs/1/logs")), LOGS)
    fits(answered(renter.get("/jobs/1/lifecycle")), LIFECYCLE)
    fits(answered(renter.get("/jobs")), JOB_LIST)
    fits(answered(renter.get("/renters/me")), RENTER_ACCOUNT)
    fits(renter.wallet(), WALLET)
    fits(answered(rest.get("/renters/available-providers")), AVAILABLE)
    fits(answered(provider.get("/providers/me")), PROVIDER_ACCOUNT)
    fits(provider.earnings(), EARNINGS)
    fits(answered(admin.get("/admin/providers")), PROVIDER_LIST)
    fits(admin.dashboard(), DASHBOARD)
    fits(answered(rest.get("/health")), HEALTH)
    cancelled = answered(renter.cancel(2))
    fits(cancelled["job"], JOB_DETAIL)
    fits(answered(renter.get("/jobs/2/output"), 410), OUTPUT)


def test_ids_of_both_kinds_find_a_job(renter: Renter, provider: PollDaemon) -> None:
    job = renter.submit()
    by_row, by_public = (answered(renter.get(f"/jobs/{job[key]}")) for key in ("id", "job_id"))
    assert by_row == by_public
    assert show(by_row, "id", "status", "container_image", "created_at") == {
        "id": job["job_id"],
        "status": "pending",
        "container_image": "",
        "created_at": job["submitted_at"],
    }
    assert answered(provider.get("/jobs/1"))["job"] == by_row["job"]
    for other in ("01", "+1", "1.0", "1_0"):
        refused(renter.get(f"/jobs/{other}"), 404, "Job not found")


def test_the_account_lists_its_jobs_newest_first(renter: Renter, provider: PollDaemon) -> None:
    for _ in range(21):
        renter.submit(job_type="benchmark", duration_minutes=0.1)
    account = answered(renter.get("/renters/me"))
    assert [job["id"] for job in account["recent_jobs"]] == list(range(21, 1, -1))
    assert account["jobs"] == account["recent_jobs"]
    assert account["balance_halala"] == account["renter"]["balance_halala"] == 979
    assert account["balance_sar"] == 9.79


def test_lists_of_jobs_are_paged(renter: Renter, provider: PollDaemon) -> None:
    for _ in range(3):
        renter.submit()
    answered(renter.cancel(3))
    page = answered(renter.get("/jobs", params={"limit": 1, "offset": 1}))
    assert [job["id"] for job in page["jobs"]] == [2]
    assert show(page, "total", "limit", "offset") == {"total": 3, "limit": 1, "offset": 1}
    assert answered(renter.get("/jobs", params={"limit": 5000}))["limit"] == 200
    open_jobs = answered(renter.get("/jobs", params={"status": "in_progress"}))
    assert [job["id"] for job in open_jobs["jobs"]] == [2, 1]
    cancelled = answered(renter.get("/jobs", params={"status": "cancelled"}))["jobs"]
    assert [(job["id"], job["refunded"]) for job in cancelled] == [(3, True)]
    for bad in ({"limit": "x"}, {"limit": 0}, {"offset": -1}, {"status": "lost"}, {"limit": "1.5"}):
        assert renter.get("/jobs", params=bad).status_code == 400


def test_a_history_of_a_job(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    provider.progress(1, "generating")
    provider.result(1)
    history = answered(renter.get("/jobs/1/lifecycle"))
    types = [event["event_type"] for event in history["events"]]
    assert types[0] == "job.submitted"
    assert types[-1] == "job.completed"
    assert "job.phase.changed" in types
    assert [event["sequence_no"] for event in history["events"]] == list(range(1, len(types) + 1))
    later = answered(renter.get("/jobs/1/lifecycle", params={"since_sequence": 1, "limit": 1}))
    assert [event["sequence_no"] for event in later["events"]] == [2]
    assert later["has_more"] is True
    only = answered(renter.get("/jobs/1/lifecycle", params={"event_type": "job.completed"}))
    assert [event["event_type"] for event in only["events"]] == ["job.completed"]


def test_available_providers_by_vram_then_id(market: LocalMarket, rest: Rest, provider: PollDaemon) -> None:
    big = market.add_provider({"gpu_status": {"gpu_name": "NVIDIA H100", "gpu_vram_mib": 81559}})
    twin = market.add_provider()
    market.register_provider()
    paused = market.add_provider()
    paused.post("/providers/pause")
    listed = answered(rest.get("/renters/available-providers"))
    assert [row["id"] for row in listed["providers"]] == [big.id, provider.id, twin.id]
    assert listed["total"] == 3
    assert show(listed["providers"][1], "gpu_model", "vram_mib", "vram_gb", "status", "is_live", "cached_models") == {
        "gpu_model": "NVIDIA GeForce RTX 4090",
        "vram_mib": 24564,
        "vram_gb": 24,
        "status": "online",
        "is_live": True,
        "cached_models": [MODEL],
    }
    market.advance(120, silent=[twin])
    rows = answered(rest.get("/renters/available-providers"))["providers"]
    assert [(row["id"], row["status"], row["is_live"]) for row in rows] == [
        (big.id, "online", True),
        (provider.id, "online", True),
        (twin.id, "degraded", False),
    ]


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ({"type": "text", "response": "نعم"}, {"type": "text", "response": "نعم", "output": "نعم"}),
        ("plain words", {"type": "text", "output": "plain words", "result": "plain words"}),
        ('log\nDC1_RESULT_JSON:{"type":"text","response":"ok"}', {"type": "text", "response": "ok"}),
        ({"gflops": 41.5}, {"result": {"gflops": 41.5}}),
        ([1, "two"], {"type": "text", "output": '[1,"two"]', "result": '[1,"two"]'}),
    ],
)
def test_results_of_several_kinds(renter: Renter, provider: PollDaemon, result: object, shown: Json) -> None:
    renter.submit(params={"prompt": "?"})
    provider.next()
    answered(provider.try_result(1, result=result))
    output = answered(renter.get("/jobs/1/output"))
    fits(output, OUTPUT)
    assert show(output, *shown) == shown


def test_an_image_is_bytes_unless_json_is_accepted(renter: Renter, provider: PollDaemon) -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    renter.submit(job_type="image_generation", duration_minutes=1)
    provider.next()
    image = {"type": "image", "format": "png", "image_base64": pixel, "width": 1, "height": 1}
    answered(provider.try_result(1, result=image))
    as_json = answered(renter.get("/jobs/1/output", headers={"accept": "application/json"}))
    assert show(as_json, "type", "image_base64", "width") == {"type": "image", "image_base64": pixel, "width": 1}
    as_bytes = renter.get("/jobs/1/output", headers={"accept": "image/*"})
    assert as_bytes.headers["content-type"] == "image/png"
    assert as_bytes.content.startswith(b"\x89PNG")


def test_a_result_of_two_mebibytes_survives(renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    text = '"<é🌊>\n' * 250_000
    answered(provider.try_result(1, result={"type": "text", "response": text}))
    assert answered(renter.get("/jobs/1/output"))["response"] == text


def test_answers_are_utf8_json(renter: Renter) -> None:
    response = renter.get("/renters/me")
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.content.decode())
    assert int(response.headers["content-length"]) == len(response.content)

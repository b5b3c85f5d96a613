"""Dispatch to daemons that poll: what they are handed, and what becomes of a job that they drop."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.rest import Json, Rest
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits
from tests.contract.shapes.daemons import DAEMON_JOBS, POLL

TASK: Json = {"steps": [1, 2.5, None], "نص": "اكتب"}
GRACE = 120


def poll(rest: Rest, path: str, key: str) -> Json:
    return answered(rest.get(path, headers={"authorization": f"Bearer {key}"}))


@pytest.mark.parametrize("path", ["/providers/jobs/next", "/jobs/assigned", "/providers/{}/jobs"])
def test_every_form_of_the_poll_hands_out(rest: Rest, renter: Renter, provider: PollDaemon, path: str) -> None:
    empty = poll(rest, path.format(provider.key), provider.key)
    assert show(empty, "job", "jobs") == {"job": None, "jobs": []}
    assert empty["admission"]["reason_code"] == "NO_PENDING_JOBS"
    job = renter.submit(task_spec=TASK, params={"prompt": "x", "a": 1}, env_vars={"A": "b"}, metadata={"x": 1})
    answer = poll(rest, path.format(provider.key), provider.key)
    fits(answer, POLL)
    assert answer["jobs"] == [answer["job"]]
    assert show(answer["job"], "job_id", "params", "env_vars", "max_duration_seconds") == {
        "job_id": job["job_id"],
        "params": {"prompt": "x", "a": 1},
        "env_vars": {"A": "b"},
        "max_duration_seconds": 180,
    }
    assert renter.job(1)["status"] == "running"


def test_the_list_hands_out_nothing(rest: Rest, renter: Renter, provider: PollDaemon) -> None:
    job = renter.submit(params={"prompt": "x", "a": 1})
    path = f"/providers/{provider.key}/jobs"
    for call in ({"params": {"key": provider.key}, "key": provider.key}, {}, {"params": {"status": "pending"}}):
        listed = answered(rest.get(path, **call))
        fits(listed, DAEMON_JOBS)
        assert [item["job_id"] for item in listed["jobs"]] == [job["job_id"]]
        assert show(listed["jobs"][0], "status", "duration_minutes") == {"status": "pending", "duration_minutes": 3}
    assert answered(rest.get(path, params={"status": "running"})) == {"jobs": [], "total": 0}
    refused(rest.get(path, params={"status": "lost"}), 400)
    assert renter.job(1)["status"] == "pending"


def test_a_bad_key_in_the_path_is_refused(rest: Rest) -> None:
    refused(rest.get("/providers/dc1-provider-nope/jobs"), 401, "Invalid API key")
    refused(rest.get("/providers/nope/jobs", headers={"authorization": "Bearer nope"}), 401, "Invalid API key")


def test_a_task_comes_with_a_code_that_its_daemon_can_check(
    market: LocalMarket, rest: Rest, renter: Renter, provider: PollDaemon
) -> None:
    renter.submit(task_spec=TASK)
    job = provider.next()
    assert json.loads(job["task_spec"]) == TASK
    secret = hmac.digest(hashlib.sha256(provider.key.encode()).digest(), b"dc1-task-spec", "sha256")
    code = hmac.new(secret, job["task_spec"].encode(), "sha256").hexdigest()
    assert job["task_spec_hmac"] == code

    def valid(who: PollDaemon, **query: str) -> bool:
        answer = answered(who.get("/jobs/verify-hmac-local", params=query))
        assert list(answer) == ["valid"]
        verdict: bool = answer["valid"]
        return verdict

    assert valid(provider, hmac=code)
    assert valid(provider, hmac=code, job_id=job["job_id"])
    assert not valid(provider, hmac=code, job_id="job-nope")
    assert not valid(provider, hmac="0" * 64)
    assert not valid(provider, hmac="ص")
    assert not valid(provider)
    assert not valid(market.add_provider(), hmac=code, job_id=job["job_id"])


def test_what_a_job_brings_is_said_before_and_after(renter: Renter, provider: PollDaemon) -> None:
    """Contract 8: of the quote of 45 three quarters, and of what was charged in the end."""
    job = renter.submit()

    def listed() -> Json:
        (row,) = answered(provider.get(f"/providers/{provider.key}/jobs", params={"key": provider.key}))["jobs"]
        return show(row, "provider_earnings_halala", "earned_halala")

    assert listed() == {"provider_earnings_halala": 34, "earned_halala": 0}
    assert provider.next()["provider_earnings_halala"] == 34
    settled = provider.result(job["job_id"])["billing"]["provider_earned_halala"]
    assert listed() == {"provider_earnings_halala": settled, "earned_halala": settled}


def test_a_job_without_a_task_has_no_code(renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    assert show(provider.next(), "task_spec", "task_spec_hmac", "cost_per_gpu_second_halala") == {
        "task_spec": None,
        "task_spec_hmac": None,
        "cost_per_gpu_second_halala": 0.25,
    }


@pytest.mark.parametrize(
    ("order", "image", "command", "network"),
    [
        ({}, "docker.io/vllm/vllm-openai:v0.8.5", "", "none"),
        ({"job_type": "vllm_serve", "params": {"model": MODEL}}, "docker.io/vllm/vllm-openai:v0.8.5", "", "bridge"),
        ({"job_type": "training"}, "docker.io/pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime", "", "none"),
        (
            {"container_spec": {"image_type": "custom", "image": "docker.io/library/busybox:1.36", "command": "ls"}},
            "docker.io/library/busybox:1.36",
            "ls",
            "none",
        ),
    ],
)
def test_a_container_is_ready_to_run(
    renter: Renter, provider: PollDaemon, order: Json, image: str, command: str, network: str
) -> None:
    renter.submit(**order)
    spec = provider.next()["container_spec"]
    assert show(spec, "image", "job_cmd", "network") == {"image": image, "job_cmd": command, "network": network}


# A poll is a lease


def drop(market: LocalMarket, renter: Renter, provider: PollDaemon, **order: Any) -> None:
    """Hand a job to a daemon that says nothing of it, and let the grace pass."""
    renter.submit(duration_minutes=20, **order)
    provider.next()
    market.advance(GRACE + 1)


def test_a_dropped_job_goes_to_another(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    drop(market, renter, provider)
    assert renter.job(1)["status"] == "running"
    assert provider.ask()["job"] is None
    assert show(renter.job(1), "status", "retry_count") == {"status": "queued", "retry_count": 1}
    assert provider.ask()["job"] is None
    assert renter.submit()["status"] == "pending"
    assert provider.next()["id"] == 2
    other = market.add_provider()
    assert show(market.next_job(other), "id", "attempt_number") == {"id": 1, "attempt_number": 2}
    late = provider.post("/providers/job-result", {"job_id": 1, "success": True, "attempt_number": 1})
    refused(late, 409, "Attempt superseded", code="LEASE_SUPERSEDED", attempt_number=2)
    assert other.result(1)["job"]["provider_id"] == other.id


def test_who_dropped_a_job_is_remembered(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    drop(market, renter, provider)
    provider.ask()
    market.restart()
    assert provider.ask()["job"] is None
    other = market.add_provider()
    assert market.next_job(other)["id"] == 1


def test_a_job_that_names_its_provider_comes_back(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    drop(market, renter, provider, provider_id=1)
    assert provider.ask()["job"]["attempt_number"] == 2


def test_a_sign_of_life_keeps_a_job(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    signs: dict[str, Callable[[], Json]] = {
        "progress": lambda: answered(provider.progress(1, "pulling")),
        "logs": lambda: provider.logs(2, ["one"]),
        "heartbeat": lambda: answered(provider.post("/providers/me/heartbeat", {"jobs_active": 1})),
    }
    for row_id, sign in enumerate(signs.values(), 1):
        renter.submit(duration_minutes=20, max_duration_seconds=1200)
        market.next_job(provider)
        sign()
        market.advance(GRACE * 2)
        assert provider.ask()["admission"]["reason_code"] == "PROVIDER_BUSY"
        assert renter.job(row_id)["status"] == "running"
        provider.result(row_id)


def test_within_the_grace_nothing_is_taken_back(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    market.advance(GRACE - 1)
    assert provider.ask()["admission"]["reason_code"] == "PROVIDER_BUSY"
    assert provider.result(1)["job"]["status"] == "completed"


def test_a_daemon_that_does_not_ask_for_more_works_on(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    renter.submit(duration_minutes=20)
    provider.next()
    market.advance(1000)
    assert provider.result(1)["job"]["status"] == "completed"


@pytest.mark.settings(poll_lease_grace_seconds=10)
def test_a_job_dropped_by_everybody_is_refunded(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    daemons = [provider, market.add_provider()]
    renter.submit(duration_minutes=20)
    for attempt in (1, 2, 3):
        job = eventually(lambda: next(filter(None, (daemon.ask()["job"] for daemon in daemons)), None), "a job")
        assert job is not None
        assert job["attempt_number"] == attempt
        market.advance(11)
    for daemon in daemons:
        daemon.ask()
    assert show(renter.job(1), "status", "retry_count", "refunded_halala") == {
        "status": "failed",
        "retry_count": 2,
        "refunded_halala": 300,
    }

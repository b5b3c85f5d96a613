"""Daemons that know nothing but `task_spec`: whatever they are given ends as what was ordered (contract 8.1)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dc1.domain.jobs.states import JOB_TYPES
from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Renter
from dc1.testing.poll_daemon import MODEL, REPORT
from dc1.testing.rest import Json
from dc1.testing.script_daemon import FIGURES, ScriptDaemon
from tests.contract.expect import answered, show

BUSYBOX = "docker.io/library/busybox:1.36"
SAY = {"image_type": "custom", "image": BUSYBOX, "command": "echo made $A"}
TRAP = "'''\"; import os; os._exit(0) \\x41 $(exit 3) اكتب\n"

# What the images have in place of the engines that are too large for a test: the same calls, made-up answers.
ENGINES = {
    "vllm.py": """
class SamplingParams:
    def __init__(self, max_tokens, temperature, top_p=1.0):
        self.max_tokens = max_tokens

class _Made:
    prompt_token_ids = [1, 2, 3]
    def __init__(self, text):
        self.text, self.token_ids, self.outputs = text, [1], [self]

class LLM:
    def __init__(self, model):
        if model.startswith("absent/"):
            raise OSError("not here")
        self.model = model
    def chat(self, messages, sampling):
        return [_Made(f"{self.model} heard {messages[-1]['content']}")]
""",
    "torch.py": """
float16 = float32 = None
class cuda:
    is_available = staticmethod(lambda: False)
""",
    "diffusers.py": """
class AutoPipelineForText2Image:
    @classmethod
    def from_pretrained(cls, model, torch_dtype):
        return cls()
    def to(self, device):
        return self
    def __call__(self, prompt, **options):
        self.prompt, self.images = prompt, [self]
        return self
    def save(self, file, format):
        file.write(b"picture of " + self.prompt.encode())
""",
}

ANSWER = {"params": {"prompt": TRAP, "model": MODEL}}
ORDERS: dict[str, Json] = {
    "llm_inference": ANSWER,
    "llm-inference": ANSWER,
    "rag-pipeline": ANSWER,
    "image_generation": {"params": {"prompt": TRAP}},
    "training": {"container_spec": SAY, "env_vars": {"A": TRAP}},
    "rendering": {"container_spec": {**SAY, "command": ["/bin/echo", "made", TRAP]}},
    "custom_container": {"container_spec": SAY, "env_vars": {"A": TRAP}, "params": {"a": TRAP}},
    "vllm_serve": {"params": {"model": MODEL}},
    "benchmark": {},
}


@pytest.fixture
def scripted(market: LocalMarket, tmp_path: Path) -> ScriptDaemon:
    for name, source in ENGINES.items():
        (tmp_path / name).write_text(source)
    provider = market.register_provider()
    market.admin.approve(provider.id)
    return ScriptDaemon.of(provider, tmp_path)


def output(renter: Renter, job: Json) -> Json:
    return answered(renter.get(f"/jobs/{job['id']}/output"))


def test_each_kind_of_order_is_told() -> None:
    assert sorted(ORDERS) == sorted(JOB_TYPES)


@pytest.mark.parametrize("job_type", JOB_TYPES)
def test_what_is_given_out_ends_as_what_was_ordered(renter: Renter, scripted: ScriptDaemon, job_type: str) -> None:
    job = renter.submit(job_type=job_type, **{"params": {}, **ORDERS[job_type]})
    handed = scripted.work()
    assert handed is not None
    assert handed["params"] == ORDERS[job_type].get("params", {})
    assert show(renter.job(job["id"]), "status", "fault", "error") == {
        "status": "completed",
        "fault": None,
        "error": None,
    }
    if job_type == "image_generation":
        assert renter.get(f"/jobs/{job['id']}/output").content == b"picture of " + TRAP.encode()
        return
    made = output(renter, job)
    match job_type:
        case "benchmark":
            assert made["result"] == FIGURES
        case "vllm_serve":
            assert renter.job(job["id"])["endpoint_url"] == "http://93.184.216.34:8100"
            assert made["result"]["model"] == MODEL
        case "training" | "rendering" | "custom_container":
            # The shell leaves out what it takes for the end of a word; `echo` of words is exact.
            said = made["result"].partition("\njob_id=")[0]
            assert said.startswith("made '''\"; import os; os._exit(0) \\x41 $(exit 3) اكتب")
        case _:
            assert made["response"] == f"{MODEL} heard {TRAP}"


UNSCRIPTABLE: dict[str, Json] = {
    "the image's own program": {
        "job_type": "custom_container",
        "container_spec": {"image_type": "c", "image": BUSYBOX},
    },
    "a training without a command": {"job_type": "training", "params": {"epochs": 3}},
    "a picture by an image's own program": {
        "job_type": "image_generation",
        "params": {"prompt": "x"},
        "container_spec": {"image_type": "c", "image": BUSYBOX},
    },
    "a conversation with pictures": {
        "params": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]}
    },
    "a variable that no shell can name": {
        "job_type": "custom_container",
        "container_spec": SAY,
        "env_vars": {"A-B": "x"},
    },
    "longer than it runs anything": {"duration_minutes": 16},
}


@pytest.mark.parametrize("order", UNSCRIPTABLE.values(), ids=UNSCRIPTABLE)
def test_what_it_cannot_be_given_is_not_placed_there(
    market: LocalMarket, renter: Renter, scripted: ScriptDaemon, order: Json
) -> None:
    estimate = answered(renter.post("/jobs/estimate", {**J3, **order}))
    assert estimate["machines_fitting"] == 0, estimate
    job = renter.submit(**order)
    reason = job["waiting_for"]
    assert reason.startswith("1 machine would fit and "), reason
    assert "900 seconds" in reason or "a command or a prompt of text" in reason
    assert scripted.work() is None
    # One that says what it runs by itself is given it.
    other = market.add_provider(REPORT)
    assert market.next_job(other)["job_id"] == job["job_id"]


def test_a_job_is_never_given_to_it_twice(market: LocalMarket, renter: Renter, scripted: ScriptDaemon) -> None:
    job = renter.submit()
    assert scripted.take() is not None
    market.advance(121)
    assert scripted.take() is None
    for _ in range(3):
        assert scripted.take() is None
        market.advance(100)
    assert show(renter.job(job["id"]), "status", "waiting_for") == {
        "status": "queued",
        "waiting_for": "1 machine would fit and had the job before",
    }
    other = market.add_provider(REPORT)
    assert market.next_job(other)["attempt_number"] == 2


def wrong(scripted: ScriptDaemon, job: Json, **result: Any) -> Json:
    handed = scripted.take()
    assert handed is not None
    return answered(scripted.post("/providers/job-result", {"job_id": job["job_id"], "success": True, **result}))


@pytest.mark.parametrize("job_type", [name for name in JOB_TYPES if name != "benchmark"])
def test_figures_of_a_benchmark_are_free_where_something_else_was_ordered(
    market: LocalMarket, renter: Renter, scripted: ScriptDaemon, job_type: str
) -> None:
    before = renter.balance()
    job = renter.submit(job_type=job_type, **{"params": {}, **ORDERS[job_type]})
    market.advance(5)
    ended = wrong(scripted, job, result=FIGURES, gpu_seconds_used=2)
    assert show(ended, "status", "cost_halala", "provider_earned_halala") == {
        "status": "failed",
        "cost_halala": 0,
        "provider_earned_halala": 0,
    }
    assert show(renter.job(job["id"]), "fault", "error_category", "error") == {
        "fault": "provider",
        "error_category": "no_result",
        "error": "The provider handed back something else than what was ordered",
    }
    assert renter.balance() == before


def test_figures_of_a_benchmark_send_the_job_elsewhere(
    market: LocalMarket, renter: Renter, scripted: ScriptDaemon
) -> None:
    job = renter.submit()
    other = market.add_provider(REPORT)
    assert wrong(scripted, job, result=FIGURES)["status"] in ("queued", "pending")
    assert market.next_job(other)["job_id"] == job["job_id"]


def test_another_model_than_the_ordered_one_is_free(renter: Renter, scripted: ScriptDaemon) -> None:
    job = renter.submit(job_type="vllm_serve", params={"model": MODEL})
    ended = wrong(scripted, job, result={"endpoint_url": "http://93.184.216.34:8100/v1", "model": "other/model"})
    assert show(ended, "status", "cost_halala") == {"status": "failed", "cost_halala": 0}


def test_what_a_renters_program_prints_is_what_was_ordered(
    market: LocalMarket, renter: Renter, scripted: ScriptDaemon
) -> None:
    figures = f"DC1_RESULT_JSON:{json.dumps(FIGURES)}"
    job = renter.submit(job_type="custom_container", container_spec={**SAY, "command": ["/bin/echo", figures]})
    market.advance(5)
    scripted.work()
    assert renter.job(job["id"])["status"] == "completed"
    assert output(renter, job)["result"] == FIGURES


FAILURES: dict[str, tuple[Json, str]] = {
    "its own exit status": (
        {"job_type": "custom_container", "container_spec": {**SAY, "command": "echo on it; exit 69"}},
        "renter",
    ),
    "a machine without the model": ({"params": {"prompt": "x", "model": "absent/model"}}, "provider"),
}


@pytest.mark.parametrize(("order", "fault"), FAILURES.values(), ids=FAILURES)
def test_a_script_of_the_markets_own_that_cannot_run_is_no_renters_fault(
    renter: Renter, scripted: ScriptDaemon, order: Json, fault: str
) -> None:
    scripted.heartbeat({"cached_models": ["absent/model"]})
    job = renter.submit(**order)
    scripted.work()
    assert show(renter.job(job["id"]), "status", "fault") == {"status": "failed", "fault": fault}


@pytest.mark.parametrize(("restarts", "seconds"), [(0, 260), (1, 125), (3, 32.5)])
def test_what_it_ran_again_of_itself_is_not_charged(
    market: LocalMarket, renter: Renter, scripted: ScriptDaemon, restarts: int, seconds: float
) -> None:
    job = renter.submit(job_type="custom_container", container_spec=SAY, duration_minutes=10)
    assert scripted.take() is not None
    scripted.logs(job["id"], ["on it"])
    market.advance(260)
    report = {"job_id": job["job_id"], "success": False, "error": "Exit code 1 (status=exited): on it"}
    scripted.post("/providers/job-result", {**report, "gpu_seconds_used": 260, "restart_count": restarts})
    assert show(renter.job(job["id"]), "fault", "used_seconds") == {"fault": "renter", "used_seconds": seconds}


def test_its_code_can_be_asked_for(renter: Renter, scripted: ScriptDaemon) -> None:
    renter.submit()
    job = scripted.take()
    assert job is not None

    def is_valid(code: str) -> bool:
        verdict: bool = answered(scripted.get("/jobs/verify-hmac-local", params={"hmac": code}))["valid"]
        return verdict

    assert is_valid(job["task_spec_hmac"])
    assert not is_valid("0" * 64)


def test_its_container_has_documented_keys_only(renter: Renter, scripted: ScriptDaemon) -> None:
    spec = {
        **SAY,
        "privileged": True,
        "network_mode": "host",
        "binds": ["/:/host"],
        "pids_limit": -1,
        "network": "host",
    }
    renter.submit(job_type="custom_container", container_spec={**spec, "memory_mb": 512})
    job = scripted.take()
    assert job is not None
    handed = show(job["container_spec"], "image", "job_cmd", "network", "memory", "pids_limit")
    assert handed == {
        "image": BUSYBOX,
        "job_cmd": "sh /dc1/job/task.py",
        "network": "none",
        "memory": "512m",
        "pids_limit": 512,
    }
    assert not {"privileged", "network_mode", "binds"} & job["container_spec"].keys()


SAYINGS: list[tuple[Callable[[ScriptDaemon], object], bool]] = [
    (lambda daemon: daemon.heartbeat({"job_types": ["llm_inference"]}), True),
    (lambda daemon: daemon.heartbeat({"job_types": None}), False),
    (lambda daemon: daemon.heartbeat({"job_types": [5, ""]}), False),
]


@pytest.mark.parametrize(("say", "is_plain"), SAYINGS)
def test_who_says_what_it_runs_reads_params(
    market: LocalMarket,
    renter: Renter,
    scripted: ScriptDaemon,
    say: Callable[[ScriptDaemon], object],
    is_plain: bool,
) -> None:
    say(scripted)
    market.restart()
    scripted.heartbeat({})
    renter.submit()
    handed = scripted.take()
    assert handed is not None
    assert (handed["task_spec"] is None) is is_plain

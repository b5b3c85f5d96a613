"""Every fault of an engine is the affair of one call: its caller is told, nobody pays for nothing, others go on."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from dc1.storage.providers import providers
from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.contract.inference.chat import CHAT
from tests.faults.engine import MODEL
from tests.faults.inference.engine_faults import DONE, FAULTS, LOST, MORE, ONE, SECRET, STOP, USAGE
from tests.faults.market import RealMarket
from tests.faults.test_log_flood import memory_mib

CALLS_AT_ONCE = 8
LARGEST_GROWTH_MIB = 160
NOT_BLAMED = (400, 413, 422, 429)
# What a caller must never read of a provider's machine or of our program.
PRIVATE = (SECRET, "10.9.8.7", "127.0.0.1", "Traceback", "Error(", "httpx", "/site-packages/")


def body_of(prompt: str, *, stream: bool) -> Json:
    return {"model": MODEL, "max_tokens": 20, "stream": stream, "messages": [{"role": "user", "content": prompt}]}


def heard(response: httpx.Response) -> tuple[str, Json]:
    """The text and the error of an answer, in one piece or in many."""
    if not response.headers["content-type"].startswith("text/event-stream"):
        parts = [response.json()]
    else:
        lines = [line[6:] for line in response.text.split("\n") if line.startswith("data: ")]
        parts = [json.loads(line) for line in lines if line != "[DONE]"]
        # Either it ends well or it says that it does not.
        assert (lines[-1] == "[DONE]") is not ("error" in parts[-1])
    choices = [each for part in parts for each in part.get("choices") or () if isinstance(each, dict)]
    said = [each.get("delta") or each.get("message") for each in choices if each.get("index") == 0]
    text = "".join(each.get("content") or "" for each in said if isinstance(each, dict))
    return text, parts[-1].get("error") or {}


def faults_found(name: str, response: httpx.Response, job: Json) -> list[str]:
    """What is not as it should be."""
    fault = FAULTS[name]
    if fault.or_lost and response.status_code != fault.status:
        fault = replace(fault, **LOST)
    text, error = heard(response)
    found = [f"says {word}" for word in PRIVATE if word in response.text or word in json.dumps(job)]
    expected = {
        "status": (response.status_code, fault.status),
        "text": (text, fault.text),
        "error": (bool(error), fault.paid is None),
        "job": (job["status"], "failed" if fault.paid is None else "completed"),
        "paid": ((job["prompt_tokens"], job["completion_tokens"]), fault.tokens_of(name)),
    }
    return found + [f"{what}: {is_so}, not {should}" for what, (is_so, should) in expected.items() if is_so != should]


def read_late(market: RealMarket, renter: Renter, body: Json) -> httpx.Response:
    """An answer that is read when its run has ended, but for the first of it."""
    with market.rest.stream(CHAT, method="POST", key=renter.key, json=body) as response:
        pieces = response.iter_bytes()
        first = next(pieces)
        (job_id,) = re.findall(r'"id": ?"(job-[^"]+)"', first.decode())[:1]
        eventually(lambda: renter.job(job_id)["status"] == "completed", "the run having ended", 60)
        return httpx.Response(response.status_code, headers=response.headers, content=b"".join([first, *pieces]))


# A daemon's beats come behind the megabytes that it says, and three of them unanswered would end its stream.
@pytest.mark.settings(beat_interval_seconds=2)
def test_what_engines_do_wrong(market: RealMarket, renter: Renter) -> None:
    provider = market.launch_provider(None, "--engine-concurrency", str(2 * CALLS_AT_ONCE))
    market.await_stream(provider)
    provider.engine.raw = {name: fault.sent for name, fault in FAULTS.items()}

    def ask(name: str) -> httpx.Response:
        body = body_of(name, stream=FAULTS[name].stream)
        return read_late(market, renter, body) if FAULTS[name].reads_late else renter.post(CHAT, body)

    before = {process: memory_mib(process.pid, "VmRSS") for process in (market.server, provider.daemon)}
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        responses = dict(zip(FAULTS, pool.map(ask, FAULTS), strict=True))
    pages = [renter.get(f"/jobs?limit=100&offset={start}").json()["jobs"] for start in range(0, len(FAULTS), 100)]
    shown = [each for page in pages for each in page]
    jobs = {job["params"]["messages"][-1]["content"]: job for job in (renter.job(each["id"]) for each in shown)}
    assert {name: answer.text for name, answer in responses.items() if name not in jobs} == {}
    found = {name: faults_found(name, response, jobs[name]) for name, response in responses.items()}
    assert {name: each for name, each in found.items() if each} == {}
    paid = {name: job["actual_cost_halala"] for name, job in jobs.items()}
    assert 0 < sum(paid.values()) == 1000 - renter.balance()
    assert [name for name, halala in paid.items() if halala and FAULTS[name].paid is None] == []
    # What an order asks in vain, or at a busy time, is not held against its provider.
    blamed = [name for name, fault in FAULTS.items() if fault.paid is None and fault.status not in NOT_BLAMED]
    row = market.stored(lambda conn: providers.get(conn, provider.account.id))
    assert row is not None
    assert (row.completed_jobs, row.failed_jobs) == (
        sum(fault.paid is not None for fault in FAULTS.values()),
        len(blamed),
    )
    assert provider.daemon.is_alive
    grown = {process.name: memory_mib(process.pid, "VmHWM") - mib for process, mib in before.items()}
    assert max(grown.values()) < LARGEST_GROWTH_MIB, grown
    assert "runner_failed" not in provider.daemon.said
    assert market.server.said.count('"stream_opened"') == 1
    provider.engine.scripted = "text/event-stream", (ONE, MORE, STOP, USAGE, DONE)
    assert renter.post(CHAT, body_of("Are you well?", stream=False)).status_code == 200

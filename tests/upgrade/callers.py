"""Those who call while servers and edges are replaced, each time once: what goes wrong is not tried a second time.

All but chats with the one machine that serves their model: while its daemon moves nobody does, which is a 503 that
says to ask again, as OpenAI's clients do.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from typing import Any

import httpx

from dc1.client import Client, ClientError
from dc1.testing.people import Admin, Renter
from dc1.testing.rest import Json, Rest
from dc1.testing.server import ADMIN_TOKEN
from tests.faults.engine import MODEL

CHAT = "/v1/chat/completions"
_WORDS = ("The ", "tide ", "comes ", "in.")
_WORD_SECONDS = 0.05
_PUT_OFF = 10
"""How often a chat is asked again, a second later each time."""
# For the machine with a card, which sleeps; the other one, which answers chats, has none.
_JOB: Json = {"job_type": "llm_inference", "duration_minutes": 1, "min_vram_gb": 1}


class FailedError(Exception):
    """Something came that must not."""


@dataclass
class Caller:
    """Calls again and again, and counts what is answered; `enough` of it shows that all is well."""

    name: str
    calls: Sequence[Callable[["Caller"], None]]
    enough: int = 20
    doing: str = "at first"
    """What is being replaced meanwhile."""
    answered: int = 0
    put_off: int = 0
    """How often it was told to ask again."""
    jobs: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    has_stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Wait until the call that is under way has ended."""
        self.has_stopped.set()
        self._thread.join()

    def _run(self) -> None:
        for call in cycle(self.calls):
            if self.has_stopped.wait(0.02):
                return
            try:
                call(self)
            except httpx.TransportError as error:
                self._note(f"{error.request.method} {error.request.url.path}: {error!r}")
            except (FailedError, ClientError) as error:
                self._note(str(error))

    def _note(self, failure: str) -> None:
        self.failures.append(f"{self.doing}, {self.name}: {failure}")


def answers(path: str, body: Any) -> tuple[int, str, Iterable[bytes]]:
    """What an engine says to a chat, which takes it a moment."""
    if path != CHAT or not isinstance(body, dict):
        return 404, "text/plain", ()
    return (200, "text/event-stream", _pieces()) if body.get("stream") else (200, "application/json", _whole())


def _pieces() -> Iterable[bytes]:
    for word in (*_WORDS, None):
        time.sleep(_WORD_SECONDS)
        delta = {} if word is None else {"role": "assistant", "content": word}
        choice = {"index": 0, "delta": delta, "finish_reason": "stop" if word is None else None}
        yield f"data: {json.dumps({'id': 'x', 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _whole() -> Iterable[bytes]:
    time.sleep(_WORD_SECONDS * len(_WORDS))
    message = {"role": "assistant", "content": "".join(_WORDS)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    yield json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}).encode()


def renter_at_work(url: str, renter: Renter) -> Caller:
    """One who submits jobs and reads."""
    mine = _at(url, renter)
    job = {**_JOB, "params": {"prompt": "work", "seconds": 0.05}}
    reads = (
        "/renters/me",
        "/renters/balance",
        "/renters/me/jobs",
        "/jobs/history",
        "/providers/public",
        "/jobs/active",
    )
    calls = [partial(mine.post, "/jobs/submit", job), *(partial(mine.get, path) for path in reads)]
    return Caller("renter", [partial(_answered, call) for call in calls])


def operator_at_work(url: str) -> Caller:
    """One who looks on."""
    admin = Admin(Rest(url), ADMIN_TOKEN)
    reads = ("/admin/dashboard", "/admin/jobs", "/admin/renters", "/admin/finance/books", "/admin/audit")
    return Caller("operator", [partial(_answered, partial(admin.get, path)) for path in reads])


def chats(url: str, renter: Renter, *, stream: bool) -> Caller:
    """One who chats, and has whole answers."""
    mine = _at(url, renter)
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 16, "stream": stream}

    def chat(caller: Caller) -> None:
        response = mine.post(CHAT, body)
        for _ in range(_PUT_OFF):
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or not response.json()["error"]["retryable"]:
                break
            caller.put_off += 1
            caller.has_stopped.wait(1)
            response = mine.post(CHAT, body)
        _require_success(response)
        if stream:
            *chunks, end = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
            said = [json.loads(chunk) for chunk in chunks]
            if end != "[DONE]" or any("error" in each for each in said):
                raise FailedError(f"a stream broke off: {response.text[-500:]}")
            text = "".join(choice["delta"].get("content") or "" for each in said for choice in each["choices"])
            job_id = said[0]["id"]
        else:
            text, job_id = response.json()["choices"][0]["message"]["content"], response.json()["id"]
        if text != "".join(_WORDS):
            raise FailedError(f"a part of an answer: {text!r}")
        # A call is a job, and its number is what must be found at the end.
        caller.jobs.append(mine.job(job_id)["id"])
        caller.answered += 1

    return Caller("streamed chats" if stream else "chats", [chat], enough=10)


def follower(url: str, renter: Renter) -> Caller:
    """One who follows jobs to their ends, by the client, and misses no line and hears none twice."""
    client = Client(url, renter.key, retries=0)

    def follow(caller: Caller) -> None:
        job = client.jobs.submit("work", minutes=1, min_vram_gb=1, params={"seconds": 1})
        caller.jobs.append(job.data["id"])
        events = list(job.stream())
        lines = [event.text for event in events if event.kind == "log"]
        if (lines, events[-1].kind) != (["asleep", "awake"], "end"):
            raise FailedError(f"of {job.id} was heard: {lines}, {events[-1]}")
        caller.answered += 1

    return Caller("follower", [follow], enough=3)


def queue_reader(url: str) -> Caller:
    """One who has the queue before his eyes, and opens its stream anew where it ends."""
    rest = Rest(url)

    def read(caller: Caller) -> None:
        with rest.stream("/admin/queue/stream", key=ADMIN_TOKEN) as response:
            if not response.is_success:
                response.read()
            _require_success(response)
            # A stream of events is ended with its server and breaks off with its edge; what it told once it tells anew.
            with suppress(httpx.TransportError):
                for line in response.iter_lines():
                    caller.answered += line.startswith("data:")
                    if caller.has_stopped.is_set():
                        return

    return Caller("reader of the queue", [read], enough=5)


def _at(url: str, renter: Renter) -> Renter:
    return Renter(Rest(url), renter.id, renter.key)


def _answered(call: Callable[[], httpx.Response], caller: Caller) -> None:
    response = _require_success(call())
    caller.answered += 1
    if response.status_code == httpx.codes.CREATED:
        caller.jobs.append(response.json()["job"]["id"])


def _require_success(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        told = response.request
        raise FailedError(f"{told.method} {told.url.path}: {response.status_code} {response.text}")
    return response

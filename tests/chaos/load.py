"""Renters who submit jobs, insist on an answer, and now and then cancel."""

import random
import threading
from uuid import uuid4

import httpx

from tests.stack.people import Renter
from tests.stack.rest import Json, Rest

_PAUSE_SECONDS = 0.1
_RESTS_SECONDS = (0.05, 0.6)
_LONGEST_RUN_SECONDS = 0.8
_CANCELLED_SHARE = 0.1
_LAST_ANSWER_SECONDS = 40


class Load:
    """A thread that submits, one job after the other, until it is stopped. What was acknowledged stays acknowledged."""

    def __init__(self, url: str, renter: Renter, seed: int) -> None:
        self.acknowledged: dict[str, int] = {}
        """Row ids by the Idempotency-Key that they were submitted under."""
        self.refusals: list[str] = []
        """Answers that no renter should have been given."""
        self._random = random.Random(seed)
        self._rest = Rest(url)
        self._renter = Renter(self._rest, renter.id, renter.key)
        self._stopped = threading.Event()
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Let the submission that is under way be acknowledged, then end."""
        self._stopped.set()
        self._thread.join(_LAST_ANSWER_SECONDS)
        assert not self._thread.is_alive(), "a renter gets no answer any more"

    def give_up(self) -> None:
        """End, answered or not."""
        self._stopped.set()
        self._given_up.set()
        self._thread.join()
        self._rest.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            key = uuid4().hex
            job = self._submit(key)
            if job is None:
                return
            self.acknowledged[key] = job["id"]
            if self._random.random() < _CANCELLED_SHARE:
                self._insist(f"/jobs/{job['id']}/cancel", None, {}, (200, 400))
            self._stopped.wait(self._random.uniform(*_RESTS_SECONDS))

    def _submit(self, key: str) -> Json | None:
        job = {
            "job_type": "llm_inference",
            "duration_minutes": 1,
            "params": {"seconds": round(self._random.uniform(0, _LONGEST_RUN_SECONDS), 3)},
        }
        answer = self._insist("/jobs/submit", job, {"idempotency-key": key}, (201,))
        return None if answer is None else answer["job"]

    def _insist(self, path: str, body: Json | None, headers: dict[str, str], wanted: tuple[int, ...]) -> Json | None:
        """Call again until there is an answer; what dies in between answers nothing, or 409 or 5xx."""
        while not self._given_up.is_set():
            try:
                response = self._renter.post(path, body, headers=headers)
            except httpx.TransportError:
                pass
            else:
                if response.status_code in wanted:
                    answer: Json = response.json()
                    return answer
                if response.status_code != 409 and response.status_code < 500:
                    self.refusals.append(f"{path}: {response.status_code} {response.text}")
            self._given_up.wait(_PAUSE_SECONDS)
        return None

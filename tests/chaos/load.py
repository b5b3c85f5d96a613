"""Renters who submit jobs, insist on an answer, and now and then cancel."""

import random
import threading
from uuid import uuid4

import httpx

from dc1.testing.people import Renter
from dc1.testing.rest import Json, Rest

_PAUSE_SECONDS = 0.1
_RESTS_SECONDS = (0.05, 0.6)
_LONGEST_RUN_SECONDS = 0.8
_ENDLESS_SHARE = 0.1
_CONTAINER_SHARE = 0.06
_CONTAINER_SECONDS = (0.0, 3.0)
_ENDLESS_SECONDS = 3600
_PATIENCE_SECONDS = (0.0, 4.0)
_LAST_ANSWER_SECONDS = 120


class Load:
    """A thread that submits, one job after the other, until it is stopped. What was acknowledged stays acknowledged."""

    def __init__(self, url: str, renter: Renter, seed: int, image: str | None = None) -> None:
        """Begin; some jobs are containers of the `image`, if one is given."""
        self._image = image
        self.acknowledged: dict[str, int] = {}
        """Row ids by the Idempotency-Key that they were submitted under."""
        self.cancelled: set[int] = set()
        """Row ids of the jobs whose cancellation was acknowledged."""
        self.refusals: list[str] = []
        """Answers that no renter should have been given."""
        self._random = random.Random(seed)
        self._rest = Rest(url)
        self._renter = Renter(self._rest, renter.id, renter.key)
        self._stopped = threading.Event()
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def check(self) -> None:
        """Raise an AssertionError when the renter was refused, or submits no more though nobody stopped it."""
        assert not self.refusals, f"a renter was answered what none should have been: {self.refusals}"
        assert self._thread.is_alive() or self._stopped.is_set(), "a renter ended by itself"

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
            endless = self._random.random() < _ENDLESS_SHARE
            key = uuid4().hex
            is_container = self._image is not None and not endless and self._random.random() < _CONTAINER_SHARE
            job = self._submit(key, self._container() if is_container else self._sleep(endless=endless))
            if job is None:
                return
            self.acknowledged[key] = job["id"]
            if endless:
                self._stopped.wait(self._random.uniform(*_PATIENCE_SECONDS))
                self._cancel(job["id"])
            self._stopped.wait(self._random.uniform(*_RESTS_SECONDS))

    def _sleep(self, *, endless: bool) -> Json:
        """A short job, or one whose first attempt ends only with its daemon or when that is told to stop it."""
        seconds = round(self._random.uniform(0, _LONGEST_RUN_SECONDS), 3)
        return {
            "job_type": "llm_inference",
            "duration_minutes": 30 if endless else 1,
            "params": {"prompt": "work", "seconds": [_ENDLESS_SECONDS, seconds] if endless else seconds},
        }

    def _container(self) -> Json:
        """A program that prints and sleeps."""
        program = f"echo asleep; sleep {self._random.uniform(*_CONTAINER_SECONDS):.2f}; echo awake"
        return {"container_image": self._image, "command": program, "max_duration_seconds": 600}

    def _submit(self, key: str, job: Json) -> Json | None:
        answer = self._insist("/jobs/submit", job, {"idempotency-key": key}, (201,))
        return None if answer is None else answer["job"]

    def _cancel(self, job_id: int) -> None:
        """It ends by this, unless it had ended before; of an earlier try that may be unknown."""
        answer = self._insist(f"/jobs/{job_id}/cancel", None, {}, (200, 400))
        if answer is not None and "error" not in answer:
            self.cancelled.add(job_id)

    def _insist(self, path: str, body: Json | None, headers: dict[str, str], wanted: tuple[int, ...]) -> Json | None:
        """Call again until there is an answer; of what dies in between there is none, or one that says to come back."""
        while not self._given_up.is_set():
            try:
                response = self._renter.post(path, body, headers=headers)
            except httpx.TransportError:
                pass
            else:
                if response.status_code in wanted:
                    answer: Json = response.json()
                    return answer
                if not _says_later(response):
                    self.refusals.append(f"{path}: {response.status_code} {response.text}")
            self._given_up.wait(_PAUSE_SECONDS)
        return None


def _says_later(response: httpx.Response) -> bool:
    """The service, or the call's twin on another replica, was away or has not ended."""
    return response.status_code in (503, 504) or response.json().get("code") == "IDEMPOTENCY_IN_PROGRESS"

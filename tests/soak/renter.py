"""A renter who buys all day, and follows every job in another way."""

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

from dc1.domain.jobs.states import TERMINAL
from dc1.testing.rest import Json
from tests.soak.witness import Client, Witness
from tests.soak.work import Order

_REST_SECONDS = (3.0, 9.0)
_LOOK_SECONDS = 1.0
_NAMED_SHARE = 0.5


class Renter:
    """Submits one job after the other and sees each through."""

    def __init__(self, client: Client, witness: Witness, providers: Sequence[int], dice: random.Random) -> None:
        self._client = client
        self._witness = witness
        self._providers = providers
        self._dice = dice
        self._habits: dict[Callable[[], Awaitable[None]], int] = {
            self._read_log: 5,
            self._read_states: 4,
            self._read_lifecycle: 3,
            self._look_now_and_then: 3,
            self._cancel: 2,
            self._leave_early: 2,
            self._retry: 1,
        }

    async def buy(self, closing: asyncio.Event) -> None:
        """Buy until closing time."""
        while not closing.is_set():
            (habit,) = self._dice.choices(list(self._habits), list(self._habits.values()))
            await habit()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._dice.uniform(*_REST_SECONDS)):
                    await closing.wait()

    # Habits

    async def _read_log(self) -> None:
        job = await self._submit()
        read = 0
        async with contextlib.aclosing(self._client.events(f"/jobs/{job['id']}/logs/stream?tokens=true")) as events:
            async for event in events:
                if event.event == "message":
                    read += 1
                    if json.loads(event.data)["line_no"] != read:
                        raise self._client.unexpected(f"line {read} of job {job['id']} is {event.data}")
        page = await self._client.get(f"/jobs/{job['id']}/logs")
        if read != page["total_lines"]:
            raise self._client.unexpected(
                f"{read} lines of job {job['id']} were streamed, {page['total_lines']} stored"
            )

    async def _read_states(self) -> None:
        await self._follow((await self._submit())["id"], "stream")

    async def _read_lifecycle(self) -> None:
        await self._follow((await self._submit())["job_id"], "lifecycle/stream")

    async def _look_now_and_then(self) -> None:
        job = await self._submit()
        while True:
            if (await self._client.get(f"/jobs/{job['id']}/status"))["status"] in TERMINAL:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        await self._client.call("GET", f"/jobs/{job['id']}/output", 200, 410)
        await self._client.get("/jobs?limit=20")
        await self._client.get("/renters/balance")

    async def _cancel(self) -> None:
        job = await self._submit()
        await asyncio.sleep(self._dice.uniform(0, 4))
        await self._client.call("POST", f"/jobs/{job['id']}/cancel", 200, 400)
        await self._follow(job["id"], "logs/stream")

    async def _leave_early(self) -> None:
        job = await self._submit()
        for kind in ("logs/stream", "stream", "lifecycle/stream"):
            async with contextlib.aclosing(self._client.events(f"/jobs/{job['id']}/{kind}")) as events:
                async for _ in events:
                    break

    async def _retry(self) -> None:
        job = await self._submit(fails=True)
        await self._follow(job["id"], "lifecycle/stream")
        answer = await self._client.call("POST", f"/jobs/{job['id']}/retry", 201, headers=_once())
        again = self._acknowledged(answer.json())
        await self._follow(again["id"], "stream")

    # Their steps

    async def _submit(self, *, fails: bool = False) -> Json:
        """A job that was accepted: half of them by name for one provider, which may be away for a moment."""
        order: Json = {
            "job_type": "llm_inference",
            "duration_minutes": 1,
            "params": Order.rolled(self._dice, fails=fails).params,
        }
        if self._dice.random() < _NAMED_SHARE:
            named = {**order, "provider_id": self._dice.choice(self._providers)}
            answer = await self._client.call("POST", "/jobs/submit", 201, 400, json=named, headers=_once())
            if answer.status_code == 201:
                return self._acknowledged(answer.json())
            if answer.json()["error"] != "Provider is not online":
                raise self._client.unexpected(f"POST /jobs/submit: {answer.text}")
        answer = await self._client.call("POST", "/jobs/submit", 201, json=order, headers=_once())
        return self._acknowledged(answer.json())

    def _acknowledged(self, answer: Json) -> Json:
        job: Json = answer["job"]
        self._witness.acknowledged.add(job["id"])
        return job

    async def _follow(self, reference: int | str, kind: str) -> None:
        """Read a stream of a job to its end; the job must then have ended."""
        async with contextlib.aclosing(self._client.events(f"/jobs/{reference}/{kind}")) as events:
            async for _ in events:
                pass
        status = (await self._client.get(f"/jobs/{reference}"))["job"]["status"]
        if status not in TERMINAL:
            raise self._client.unexpected(f"the {kind} of job {reference} has ended, the job is {status}")


def _once() -> dict[str, str]:
    return {"idempotency-key": uuid4().hex}

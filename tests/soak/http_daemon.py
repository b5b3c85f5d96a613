"""A provider's daemon that speaks HTTP only."""

import asyncio
import random

from dc1.testing.poll_daemon import REPORT
from dc1.testing.rest import Json
from tests.soak.witness import Client
from tests.soak.work import FAILURE, Order

_HEARTBEAT_SECONDS = 30.0
_POLL_SECONDS = (5.0, 10.0)


class HttpDaemon:
    """Sends heartbeats, asks for work every few seconds, and does it."""

    def __init__(self, client: Client, dice: random.Random) -> None:
        self._client = client
        self._dice = dice

    async def beat(self) -> None:
        """Send heartbeats until cancelled. Machines that start together do not beat together."""
        await asyncio.sleep(self._dice.uniform(0, _HEARTBEAT_SECONDS))
        while True:
            await self._client.call("POST", "/providers/heartbeat", json=REPORT)
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    async def poll(self) -> None:
        """Take and do work until cancelled."""
        await asyncio.sleep(self._dice.uniform(0, _POLL_SECONDS[0]))
        while True:
            job = (await self._client.get("/providers/jobs/next"))["job"]
            if job is not None:
                await self._work(job)
            else:
                await asyncio.sleep(self._dice.uniform(*_POLL_SECONDS))

    async def _work(self, job: Json) -> None:
        """Do one attempt at a job, as far as the market still wants it."""
        order = Order.read(job["params"])
        if not await self._tell(job, "POST", f"/jobs/{job['id']}/progress", phase="generating"):
            return
        for number in range(order.lines):
            await asyncio.sleep(order.pause)
            lines = [{"level": "info", "message": f"line {number}"}]
            if not await self._tell(job, "PATCH", f"/providers/jobs/{job['id']}/logs", lines=lines):
                return
        failure = {"error": FAILURE, "exit_code": 1}
        end = failure if order.fails else {"result": {"type": "text", "response": job["job_id"]}}
        await self._tell(job, "POST", f"/jobs/{job['id']}/result", **end)

    async def _tell(self, job: Json, method: str, path: str, **body: object) -> bool:
        """Whether the attempt is still wanted; the renter may have cancelled it."""
        body["attempt_number"] = job["attempt_number"]
        answer = await self._client.call(method, path, 200, 409, json=body)
        if answer.status_code == 409 and answer.json().get("code") not in ("JOB_SETTLED", "LEASE_SUPERSEDED"):
            raise self._client.unexpected(f"{method} {path}: 409 {answer.text}")
        return answer.status_code == 200

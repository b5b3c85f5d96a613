"""Daemons on streams, many in one process: `python -m tests.soak.stream_daemons SERVER`, their keys in DC1_SOAK_KEYS.

Each is the product's own daemon; only the work and the telemetry are made up. Now and then one is stopped and started
again.
"""

import asyncio
import os
import random
import sys

from dc1.daemon.agent import Agent
from dc1.daemon.config import DaemonConfig
from dc1.daemon.runners.base import Readiness, Result, RunFailed, Sink, Work
from dc1.domain.jobs.states import ErrorCategory, JobType, Phase
from dc1.server.logs import configure_logging
from tests.chaos.daemon import machine
from tests.soak.work import FAILURE, Order

_LIFE_SECONDS = (5.0, 240.0)


class Runner:
    """Does what the order says."""

    kinds = frozenset({JobType.LLM_INFERENCE})

    async def probe(self) -> Readiness:
        return Readiness(True, "ready")

    async def run(self, work: Work, sink: Sink) -> Result:
        order = Order.read(work.params)
        await sink.phase(Phase.GENERATING)
        for number in range(order.lines):
            await asyncio.sleep(order.pause)
            await sink.log("info", f"line {number}")
            await sink.token("بحر ")
        if order.fails:
            raise RunFailed(ErrorCategory.EXECUTION, FAILURE, exit_code=1)
        return Result({"type": "text", "response": work.job_id}, completion_tokens=order.lines)

    async def aclose(self) -> None:
        """Do nothing."""


async def keep_running(config: DaemonConfig) -> None:
    """One daemon after the other with the same key, each ending in order."""
    while True:
        agent = Agent(config, [Runner()], machine())
        life = asyncio.get_running_loop().call_later(random.uniform(*_LIFE_SECONDS), agent.drain)
        await agent.run()
        life.cancel()


async def main() -> None:
    configure_logging("json", "INFO")
    async with asyncio.TaskGroup() as daemons:
        for key in os.environ["DC1_SOAK_KEYS"].split():
            daemons.create_task(keep_running(DaemonConfig(key=key, server=sys.argv[1])))


if __name__ == "__main__":
    asyncio.run(main())

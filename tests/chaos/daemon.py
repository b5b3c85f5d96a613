"""A provider's daemon whose work is to sleep: `python -m tests.chaos.daemon SERVER`, the key in DC1_PROVIDER_KEY.

The stream, the leases and the logs are the product's own, and so are containers, where DC1_CONTAINER_URL names an
engine; only the other work and the telemetry are made up.
"""

import asyncio
import json
import os
import sys

from dc1.daemon.agent import Agent
from dc1.daemon.config import DaemonConfig
from dc1.daemon.errors import KeyInUseError
from dc1.daemon.runners.base import Readiness, Result, Runner, Sink, Work
from dc1.daemon.runners.container.runner import ContainerRunner
from dc1.domain.jobs.states import JobType
from dc1.server.logs import configure_logging
from dc1.testing.machine import MadeUpMachine

SLOTS = 2


def tell(event: str, work: Work) -> None:
    """Leave a line that a kill cannot take back."""
    line = json.dumps({"event": event, "job_id": work.job_id, "attempt": work.attempt})
    os.write(sys.stderr.fileno(), f"{line}\n".encode())


class Sleeper:
    """Runs inference jobs, for as many seconds as they say."""

    kinds = frozenset({JobType.LLM_INFERENCE})

    async def probe(self) -> Readiness:
        return Readiness(True, "ready")

    async def run(self, work: Work, sink: Sink) -> Result:
        tell("work begun", work)
        try:
            await sink.log("info", "asleep")
            await asyncio.sleep(_seconds(work))
            await sink.log("info", "awake")
        finally:
            tell("work over", work)
        return Result({"type": "text", "response": work.job_id})

    async def aclose(self) -> None:
        """Do nothing."""


class Containers(ContainerRunner):
    """The product's own, which leaves the same lines."""

    async def run(self, work: Work, sink: Sink) -> Result:
        tell("work begun", work)
        try:
            return await super().run(work, sink)
        finally:
            tell("work over", work)


def _seconds(work: Work) -> float:
    """A number, or one for each attempt, the last of them for all that follow."""
    wanted = work.params["seconds"]
    seconds = wanted[min(work.attempt, len(wanted)) - 1] if isinstance(wanted, list) else wanted
    assert isinstance(seconds, int | float)
    return seconds


def machine() -> MadeUpMachine:
    return MadeUpMachine(SLOTS, "RTX 4090", gpu_vram_mib=24564)


def main() -> None:
    configure_logging("json", "INFO")
    config = DaemonConfig(
        key=os.environ["DC1_PROVIDER_KEY"], server=sys.argv[1], beat_interval_seconds=1, probe_interval_seconds=5
    )
    runners: list[Runner] = [Sleeper()]
    if engine := os.environ.get("DC1_CONTAINER_URL"):
        runners.append(Containers(config.server, base_url=engine))
    try:
        asyncio.run(Agent(config, runners, machine()).run())
    except KeyInUseError as end:
        sys.exit(end.exit_status)


if __name__ == "__main__":
    main()

"""Ways to the engine: straight, through a market with one daemon, and through LiteLLM's proxy."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx

from bench.children import Usage, program
from bench.completions.litellm_proxy import litellm_proxy
from bench.completions.stub_engine import MODEL
from bench.market import bench_market
from bench.places import Place
from bench.seeding import add_providers, add_renters
from dc1.storage.engine.database import Connection

_ANSWERS_AFTER_SECONDS = 60
_CONCURRENCY = 256


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where calls go, whose they are in turn, and the processes that carry them."""

    name: str
    port: int
    keys: Sequence[str]
    processes: Mapping[str, Callable[[], int]]

    def cpu_seconds(self) -> dict[str, float]:
        """Return what each process has used so far."""
        return {name: Usage.of(pid()).cpu_seconds for name, pid in self.processes.items()}


@asynccontextmanager
async def gateways(place: Place, engine_port: int, callers: int, against: str | None) -> AsyncIterator[list[Gateway]]:
    """Open every way to the engine at once, so that they can be measured in turns."""
    async with AsyncExitStack() as stack:
        found = [Gateway("engine", engine_port, ["none"] * callers, {})]
        found.append(await stack.enter_async_context(_market(place, engine_port, callers)))
        if against == "litellm":
            port, pid = await stack.enter_async_context(litellm_proxy(place.directory, engine_port))
            found.append(Gateway("litellm", port, ["none"] * callers, {"proxy": lambda: pid}))
        yield found


@asynccontextmanager
async def _market(place: Place, engine_port: int, callers: int) -> AsyncIterator[Gateway]:
    def seed(conn: Connection, now_ms: int) -> tuple[list[str], list[str]]:
        # What the machine is, its daemon says.
        return add_renters(conn, now_ms, callers), add_providers(conn, now_ms, 1, heard=False)

    async with bench_market(place, seed) as (market, (renter_keys, (provider_key,))):
        command = [sys.executable, "-m", "dc1.cli", "daemon", "--server", market.target, "--key", provider_key]
        command += ["--engine-url", f"http://127.0.0.1:{engine_port}", "--engine-concurrency", str(_CONCURRENCY)]
        async with program([*command, "--no-containers"], place.directory / "daemon.log") as daemon:
            await _until_served(market.port, renter_keys[0])
            processes = {
                "server": lambda: market.server_pid,
                "daemon": lambda: daemon,
                "Envoy": lambda: market.envoy_pid,
            }
            yield Gateway("dc1", market.port, renter_keys, processes)


async def _until_served(port: int, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        async with asyncio.timeout(_ANSWERS_AFTER_SECONDS):
            while True:
                if MODEL in (await client.get("/v1/models", headers=headers)).text:
                    return
                await asyncio.sleep(0.1)

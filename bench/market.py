"""A server and its Envoy, started for one measurement."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.children import Child, Usage
from bench.rest import RestConnection, request
from bench.server import run_server
from dc1.domain.clock import SystemClock
from dc1.edge import EdgeConfig, Envoy
from dc1.storage.database import Connection, Database

T = TypeVar("T")

ADMIN_TOKEN = "bench"
WRITES = ("INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the processes have used up, and what the server has asked of its database."""

    at: float
    server: Usage
    envoy: Usage
    statements: dict[str, int]


@dataclass(frozen=True, slots=True)
class Spent:
    """The difference of two readings."""

    seconds: float
    server_cpu: float
    envoy_cpu: float
    statements: dict[str, int]

    @property
    def queries(self) -> int:
        """SELECT, INSERT, UPDATE and DELETE statements; one executed for many rows counts once."""
        return sum(self.statements.get(word, 0) for word in ("SELECT", *WRITES))

    @property
    def commits(self) -> int:
        return self.statements.get("COMMIT", 0)

    @property
    def load(self) -> str:
        """Shares of one core."""
        return f"server {self.server_cpu / self.seconds:.0%}, Envoy {self.envoy_cpu / self.seconds:.0%}"


class BenchMarket:
    """Where it listens, and what it uses up."""

    def __init__(self, server: Child, envoy: Envoy) -> None:
        self._server = server
        self._envoy = envoy
        self.port = envoy.http_port
        self.target = f"127.0.0.1:{envoy.http_port}"

    def read(self) -> Reading:
        assert self._envoy.pid is not None
        statements = self._server.ask("statements")
        return Reading(time.perf_counter(), Usage.of(self._server.pid), Usage.of(self._envoy.pid), statements)

    def spent(self, since: Reading) -> Spent:
        now = self.read()
        return Spent(
            seconds=now.at - since.at,
            server_cpu=now.server.cpu_seconds - since.server.cpu_seconds,
            envoy_cpu=now.envoy.cpu_seconds - since.envoy.cpu_seconds,
            statements={word: count - since.statements.get(word, 0) for word, count in now.statements.items()},
        )


@asynccontextmanager
async def bench_market(directory: Path, seed: Callable[[Connection, int], T]) -> AsyncIterator[tuple[BenchMarket, T]]:
    """Serve an empty market that `seed` fills; yields it and what `seed` returned."""
    _empty(directory)
    url = f"sqlite:///{directory / 'dc1.sqlite3'}"
    database = Database.open(url)
    now_ms = SystemClock().now_ms()
    seeded = await database.write(lambda conn: seed(conn, now_ms))
    await database.close()
    settings = {
        "data_dir": directory,
        "database_url": url,
        "grpc_port": 0,
        "admin_token": ADMIN_TOKEN,
        "rate_limits_enabled": False,
        "quota_daily_jobs": 1_000_000_000,
        "quota_monthly_halala": 1_000_000_000,
    }
    with Child(run_server, settings, directory / "server.log") as server:
        config = EdgeConfig(directory / "envoy", http_port=0, grpc_port=server.answer(), admin_port=0)
        async with Envoy(config) as envoy:
            await _ready(envoy.http_port)
            yield BenchMarket(server, envoy), seeded


def _empty(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


async def _ready(port: int) -> None:
    """Wait until the edge has found the server."""
    connection = await RestConnection.open(port)
    async with asyncio.timeout(20):
        while True:
            status, _ = await connection.send(request("GET", "/health", {}))
            if status == 200:
                break
            await asyncio.sleep(0.05)
    await connection.close()

"""A server and its Envoy, started for one measurement."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from bench.children import Child, Usage
from bench.places import Place
from bench.report import milliseconds
from bench.rest import RestConnection, request
from bench.server import run_server
from dc1.domain.base.clock import SystemClock
from dc1.edge import EdgeConfig, Envoy
from dc1.storage.engine.database import Connection, Database

T = TypeVar("T")
Seed: TypeAlias = Callable[[Connection, int], T]
"""Fills a new market, at a time, and returns what its callers need."""

ADMIN_TOKEN = "bench"
QUERIES = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


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
        """Statements that read or write rows; one executed for many rows counts once."""
        return sum(self.statements.get(word, 0) for word in QUERIES)

    def each(self, count: int) -> str:
        """What one of `count` things took of the processors."""
        server, envoy = self.server_cpu / count, self.envoy_cpu / count
        return f"server {milliseconds(server)}, Envoy {milliseconds(envoy)}"


class BenchMarket:
    """Where it listens, and what it uses up; figures of the server are those of the first."""

    def __init__(self, servers: "BenchServers", envoy: Envoy) -> None:
        self.servers = servers
        self._envoy = envoy
        self.port = envoy.http_port
        self.target = f"127.0.0.1:{envoy.http_port}"

    @property
    def server_pid(self) -> int:
        return self.servers[0].pid

    @property
    def envoy_pid(self) -> int:
        assert self._envoy.pid is not None
        return self._envoy.pid

    def read(self) -> Reading:
        statements = self.servers[0].ask("statements")
        return Reading(time.perf_counter(), Usage.of(self.server_pid), Usage.of(self.envoy_pid), statements)

    def spent(self, since: Reading) -> Spent:
        now = self.read()
        return Spent(
            seconds=now.at - since.at,
            server_cpu=now.server.cpu_seconds - since.server.cpu_seconds,
            envoy_cpu=now.envoy.cpu_seconds - since.envoy.cpu_seconds,
            statements={word: count - since.statements.get(word, 0) for word, count in now.statements.items()},
        )


class BenchServers:
    """Servers on one database, each of which can be killed or drained and be started again where it was."""

    def __init__(self, place: Place, settings: Mapping[str, Any], number: int, *, counting: bool) -> None:
        self._place = place
        self._settings = settings
        self._counting = counting
        self._children: list[Child] = []
        self.addresses: list[str] = []
        try:
            for each in range(number):
                self._children.append(self._begin(each))
                # One after the other: the first brings the database up to date.
                self.addresses.append(self._children[each].answer())
        except BaseException:
            self.end()
            raise

    def __getitem__(self, number: int) -> Child:
        return self._children[number]

    def __len__(self) -> int:
        return len(self._children)

    def kill(self, number: int) -> None:
        """End one as kill -9 does."""
        self._children[number].kill()

    async def drain(self, number: int) -> None:
        """Let one finish and end."""
        await asyncio.to_thread(self._children[number].__exit__)

    async def start_again(self, number: int) -> None:
        """Start one that has ended."""
        self._children[number] = self._begin(number)
        await asyncio.to_thread(self._children[number].answer)

    def _begin(self, number: int) -> Child:
        directory = self._place.directory
        socket = directory / "run" / f"grpc-{number}.sock"
        settings = {**self._settings, "grpc_socket": socket}
        return Child(run_server, settings, directory / f"server-{number}.log", self._counting)

    def end(self) -> None:
        """End all."""
        for child in self._children:
            child.__exit__()


@asynccontextmanager
async def bench_market(
    place: Place,
    seed: Seed[T],
    *,
    counting: bool = False,
    servers: int = 1,
    served: int | None = None,
) -> AsyncIterator[tuple[BenchMarket, T]]:
    """Serve a new market that `seed` fills; yields it and what `seed` returned.

    `counting` is of SQL statements, and `served` how many of the servers the edge knows, all by default.
    """
    url = place.new_database()
    database = Database.open(url)
    now_ms = SystemClock().now_ms()
    seeded = await database.write(lambda conn: seed(conn, now_ms))
    await database.close()
    place.directory.mkdir(parents=True, exist_ok=True)
    settings = {
        "data_dir": place.directory,
        "database_url": url,
        "admin_token": ADMIN_TOKEN,
        "rate_limits_enabled": False,
        "quota_daily_jobs": 1_000_000_000,
        "quota_monthly_halala": 1_000_000_000,
        "completion_requests_per_minute": 0,
        "completion_tokens_per_minute": 0,
    }
    running = BenchServers(place, settings, servers, counting=counting)
    try:
        upstreams = tuple(running.addresses[:served])
        config = EdgeConfig(place.directory / "envoy", http_port=0, upstreams=upstreams, limits_enabled=False)
        async with Envoy(config) as envoy:
            await _ready(envoy.http_port)
            yield BenchMarket(running, envoy), seeded
    finally:
        running.end()


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

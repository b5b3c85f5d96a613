"""A market of real processes, any of which can be killed and started again."""

import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx

from dc1.domain.base.clock import SystemClock
from dc1.edge import EdgeConfig, Envoy
from dc1.storage.engine.database import Connection, Database
from dc1.testing.accounts import Registrar
from dc1.testing.edge import free_port
from dc1.testing.people import Admin, Renter, answered
from dc1.testing.rest import Rest
from dc1.testing.server import ADMIN_TOKEN, LoopThread
from dc1.testing.waiting import eventually
from tests.support.fake_time import SteppedWall
from tests.support.programs.process import DC1, Process

T = TypeVar("T")

SLEEPING_DAEMON = (sys.executable, "-m", "tests.chaos.daemon")

BEAT_SECONDS = 0.5
GRACE_SECONDS = 2
EDGE_SECRET = "by-which-the-edge-of-this-world-proves-itself"
_LAST_WORDS = 2000


class DaemonSeat:
    """A provider's account and the daemon that works for it now."""

    def __init__(self, world: "World", account_id: int, key: str, prefix: tuple[str, ...], env: dict[str, str]) -> None:
        self._world = world
        self._prefix = prefix
        self._env = {**env, "DC1_PROVIDER_KEY": key}
        self.id = account_id
        self.key = key
        self.lives: list[Process] = []

    @property
    def present(self) -> Process:
        return self.lives[-1]

    def start(self) -> None:
        name = f"daemon-{self.id}-life-{len(self.lives)}"
        command = (*self._prefix, *SLEEPING_DAEMON, self._world.target)
        self.lives.append(self._world.spawn(name, command, self._env))

    def kill(self) -> None:
        self.present.kill()

    def pids(self) -> list[int]:
        return [self.present.pid]

    @property
    def fallen(self) -> str:
        return _last_words(self.present)


class ServerSeat:
    """A place where `dc1 serve` listens, and the server that is there now."""

    def __init__(self, world: "World", number: int, settings: dict[str, str]) -> None:
        self._world = world
        self._number = number
        # Some by the socket and some by TCP would be two kinds of upstreams; replicas are apart where they are real.
        self.grpc_port = free_port()
        self._settings = {**settings, "DC1_GRPC_PORT": str(self.grpc_port), "DC1_EDGE_SECRET": EDGE_SECRET}
        self.python_path: str | None = None
        """Where the code lies that it is started from, if not beside the tests."""
        self.present: Process | None = None

    def start(self) -> None:
        code = {} if self.python_path is None else {"PYTHONPATH": self.python_path}
        self.present = self._world.spawn(
            f"server-{self._number}", (*DC1, "serve"), self._settings | code, self._world.logs_of_servers
        )

    def kill(self) -> None:
        assert self.present is not None
        self.present.kill()

    def pids(self) -> list[int]:
        assert self.present is not None
        return [self.present.pid]

    @property
    def fallen(self) -> str:
        assert self.present is not None
        return _last_words(self.present)

    @property
    def said(self) -> str:
        return self.present.said if self.present is not None else ""


class EnvoySeat:
    """A public address, and the Envoy that listens on it now."""

    def __init__(self, loop: LoopThread, config: EdgeConfig) -> None:
        self._loop = loop
        self._envoy = Envoy(config)
        self._log = config.directory / "envoy.log"

    def start(self) -> None:
        self._loop.run(self._envoy.start())

    def stop(self, drain_seconds: float) -> None:
        """End it as `dc1 edge` does when it is told to."""
        self._loop.run(self._envoy.stop(drain_seconds))

    @property
    def port(self) -> int:
        return self._envoy.http_port

    @property
    def pid(self) -> int:
        assert self._envoy.pid is not None
        return self._envoy.pid

    def pids(self) -> list[int]:
        return [self.pid]

    def kill(self) -> None:
        self._envoy.kill()
        self._loop.run(self._envoy.wait())

    @property
    def fallen(self) -> str:
        return "" if self._envoy.pid is not None else f"Envoy ended by itself: {self.said[-_LAST_WORDS:]}"

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


def _last_words(process: Process) -> str:
    return "" if process.is_alive else f"{process.name} ended by itself: {process.said[-_LAST_WORDS:]}"


class World:
    """Servers on one database behind one Envoy, and daemons whose work is to sleep. Ends with everything it started."""

    def __init__(
        self,
        directory: Path,
        database_url: str,
        *,
        servers: int = 1,
        http_host: str = "127.0.0.1",
        logs_of_servers: Path | None = None,
        with_walls: bool = False,
        container_url: str | None = None,
        **settings: Any,
    ) -> None:
        self._directory = directory
        self.logs_of_servers = logs_of_servers
        self._with_walls = with_walls
        self.walls: list[SteppedWall] = []
        """The clocks of the machines that servers and daemons are on, each on its own, where there are any."""
        self._container_url = container_url
        # Past a pooler, where there is one: who looks here needs no connection of its own kind.
        self._database_url = settings.get("database_direct_url", database_url)
        self._cleanup = ExitStack()
        self._registrar = Registrar()
        self._loop = LoopThread()
        self._cleanup.callback(self._loop.close)
        chosen = {
            "data_dir": directory,
            "database_url": database_url,
            "admin_token": ADMIN_TOKEN,
            "rate_limits_enabled": False,
            "beat_interval_seconds": BEAT_SECONDS,
            # Each probe is a process, and hundreds of daemons share these cores.
            "probe_interval_seconds": 0,
            "stream_grace_seconds": GRACE_SECONDS,
            "starter_credit_halala": 100_000_000,
            "quota_daily_jobs": 1_000_000,
            "quota_monthly_halala": 1_000_000_000,
            "log_format": "json",
            **settings,
        }
        env = {f"DC1_{name.upper()}": str(value) for name, value in chosen.items()}
        self.servers = [ServerSeat(self, number, env | self._wall(f"server-{number}")) for number in range(servers)]
        self.daemons: list[DaemonSeat] = []
        upstreams = tuple(f"127.0.0.1:{seat.grpc_port}" for seat in self.servers)
        self._edge_config = EdgeConfig(
            directory / "envoy",
            http_host=http_host,
            http_port=free_port(),
            upstreams=upstreams,
            edge_secret=EDGE_SECRET,
            concurrency=1,
            limits_enabled=False,
        )
        self.envoy = EnvoySeat(self._loop, self._edge_config)
        self.target = f"{http_host}:{self._edge_config.http_port}"
        """Where daemons connect to that are started from now on."""
        self.rest = Rest(f"http://{self.target}")
        self._cleanup.callback(self.rest.close)
        self.admin = Admin(self.rest, ADMIN_TOKEN)

    def start(self) -> None:
        """Start the servers and Envoy, and wait until calls are answered."""
        for seat in self.servers:
            seat.start()
        self.envoy.start()
        self._cleanup.callback(self.envoy.kill)
        for seat in self.servers:
            assert seat.present is not None
            seat.present.expect('"serving"', seconds=60)
        self.await_service()

    @property
    def fallen(self) -> list[str]:
        """The last words of what runs no more though nobody killed it."""
        seats: list[ServerSeat | DaemonSeat | EnvoySeat] = [*self.servers, *self.daemons, self.envoy]
        return [words for seat in seats if (words := seat.fallen)]

    @property
    def logs(self) -> dict[str, str]:
        """What every process said in all its lives."""
        servers = {f"server {number}": seat.said for number, seat in enumerate(self.servers)}
        daemons = {f"daemon {seat.id}": "".join(life.said for life in seat.lives) for seat in self.daemons}
        return {**servers, **daemons, "Envoy": self.envoy.said}

    def await_service(self) -> None:
        eventually(self._serves, "calls being answered", 60)

    def _serves(self) -> bool:
        try:
            return self.rest.get("/").status_code == 200
        except httpx.TransportError:
            return False

    def spawn(self, name: str, command: tuple[str, ...], env: dict[str, str], logs: Path | None = None) -> Process:
        """Start a program that ends with the world."""
        process = Process(name, command, env, self._directory, logs)
        self._cleanup.callback(process.clean_up)
        return process

    def add_renter(self) -> Renter:
        return self._registrar.renter(self.rest)

    def add_edge(self) -> EnvoySeat:
        """Another edge before the same servers, started."""
        edge = EnvoySeat(
            self._loop,
            replace(self._edge_config, directory=self._directory / "envoy-2", http_port=free_port()),
        )
        edge.start()
        self._cleanup.callback(edge.kill)
        return edge

    def add_engine_daemon(self, engine_url: str) -> Process:
        """The product's own daemon of an approved provider, without a card, before an engine of inference."""
        account = self._registrar.approved_provider(self.rest, self.admin, gpu_model="CPU")
        options = ("--server", self.target, "--engine-url", engine_url, "--no-containers")
        return self.spawn(f"daemon-{account.id}", (*DC1, "daemon", *options), {"DC1_PROVIDER_KEY": account.key})

    def add_daemon(self, *prefix: str) -> DaemonSeat:
        """An approved provider whose daemon was started, by the command `prefix` if one is given."""
        seat = self.add_seat(*prefix)
        seat.start()
        return seat

    def add_seat(self, *prefix: str) -> DaemonSeat:
        """An approved provider whose daemon is started by whoever asks for the seat."""
        account = self._registrar.approved_provider(self.rest, self.admin)
        env = self._wall(f"daemon-{account.id}")
        if self._container_url is not None:
            env["DC1_CONTAINER_URL"] = self._container_url
        seat = DaemonSeat(self, account.id, account.key, prefix, env)
        self.daemons.append(seat)
        return seat

    def _wall(self, name: str) -> dict[str, str]:
        """What a process is started with that has a wall clock of its own; nothing where none has."""
        if not self._with_walls:
            return {}
        directory = self._directory / f"wall-of-{name}"
        directory.mkdir()
        wall = SteppedWall(directory)
        self.walls.append(wall)
        return dict(wall.env)

    def is_online(self, seat: DaemonSeat) -> bool:
        shown = answered(self.rest.get(f"/providers/{seat.id}/liveness"))
        return bool(shown["liveness_status"] == "online")

    @staticmethod
    def now_ms() -> int:
        """The time by the clock of every server here."""
        return SystemClock().now_ms()

    def stored(self, read: Callable[[Connection], T]) -> T:
        """What `read` finds in the database, whether or not a server runs."""

        async def reading(database: Database) -> T:
            return await database.read(read)

        return self._loop.run(self._with_database(reading))

    def store(self, write: Callable[[Connection], T]) -> T:
        """What `write` returns, once the database has what it wrote; a running server is told nothing of it."""

        async def writing(database: Database) -> T:
            return await database.write(write)

        return self._loop.run(self._with_database(writing))

    async def _with_database(self, work: Callable[[Database], Awaitable[T]]) -> T:
        database = Database.open(self._database_url, connections=2)
        try:
            return await work(database)
        finally:
            await database.close()

    def close(self) -> None:
        self._cleanup.close()

"""A market of real processes: `dc1 serve` behind Envoy, and a `dc1 daemon` for each provider."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import job_events, jobs
from dc1.storage.jobs.job_events import EventRow
from dc1.storage.jobs.jobs import AttemptRow
from dc1.storage.money import ledger_audit
from dc1.testing.accounts import Registrar
from dc1.testing.edge import Edge
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json, Rest
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.waiting import eventually
from tests.faults.engine import Engine
from tests.support.programs.process import DC1, Process

T = TypeVar("T")

BEAT_SECONDS = 0.5
GRACE_SECONDS = 2
"""How long a provider keeps its place without its stream, after three beats were missed or its connection broke."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider's account, the engine its daemon uses, and the daemon."""

    account: PollDaemon
    engine: Engine
    daemon: Process

    @property
    def earned(self) -> int:
        halala: int = self.account.earnings()["total_earned_halala"]
        return halala


class RealMarket:
    """Everything that a test starts here ends with it, and the books must balance, whatever was killed when."""

    def __init__(self, edge: Edge, directory: Path, env: Mapping[str, str] | None = None, **settings: Any) -> None:
        self._edge = edge
        self._env = env or {}
        self._settings = {f"DC1_{name.upper()}": str(value) for name, value in settings.items()}
        self._directory = directory
        self._cleanup = ExitStack()
        self._registrar = Registrar()
        self._server: Process | None = None
        shutil.copy(edge.template, directory / "dc1.sqlite3")
        self.rest = Rest(edge.url)
        self._cleanup.callback(self.rest.close)
        self.admin = Admin(self.rest, ADMIN_TOKEN)

    def close(self) -> None:
        with self._cleanup:
            if self._server is not None:
                self._server.kill()
            assert self.stored(ledger_audit.verify) == []

    # Processes

    @property
    def server(self) -> Process:
        assert self._server is not None
        return self._server

    @property
    def target(self) -> str:
        """Where daemons connect to."""
        return self._edge.target

    def launch_server(self) -> None:
        """Start `dc1 serve`; it is ready later."""
        settings = {
            "DC1_DATA_DIR": str(self._directory),
            "DC1_GRPC_SOCKET": str(self._edge.grpc_socket),
            "DC1_ADMIN_TOKEN": ADMIN_TOKEN,
            "DC1_RATE_LIMITS_ENABLED": "false",
            "DC1_BEAT_INTERVAL_SECONDS": str(BEAT_SECONDS),
            # A probe takes all cores for seconds, and what is lost meanwhile is timed here.
            "DC1_PROBE_INTERVAL_SECONDS": "0",
            "DC1_STREAM_GRACE_SECONDS": str(GRACE_SECONDS),
            "DC1_DRAIN_SECONDS": "5",
            "DC1_LOG_FORMAT": "json",
            **self._settings,
        }
        self._server = self.start("server", (*DC1, "serve"), settings)

    def start_server(self) -> None:
        """Start `dc1 serve` and wait until the edge passes calls on to it."""
        self.launch_server()
        eventually(self._serves, "the edge finding the server", 30)

    def _serves(self) -> bool:
        assert self.server.is_alive, self.server.said[-2000:]
        try:
            return self.rest.get("/").status_code == 200
        except httpx.TransportError:
            return False

    def start(self, name: str, command: Sequence[str], env: dict[str, str]) -> Process:
        process = Process(name, command, {**self._env, **env}, self._directory)
        self._cleanup.callback(process.clean_up)
        return process

    def start_daemon(
        self, account: PollDaemon, engine: Engine | None, target: str | None = None, *more: str
    ) -> Process:
        """Start `dc1 daemon`, with `more` options; it is connected later. Without an engine it uses its own."""
        outside = () if engine is None else ("--engine-url", engine.url)
        options = ("--server", target or self._edge.target, *outside, "--no-containers", *more)
        return self.start(f"daemon-{account.id}", (*DC1, "daemon", *options), {"DC1_PROVIDER_KEY": account.key})

    # People

    def add_renter(self) -> Renter:
        return self._registrar.renter(self.rest)

    def add_account(self) -> PollDaemon:
        """An approved provider that has no daemon yet."""
        return self._registrar.approved_provider(self.rest, self.admin, gpu_model="CPU")

    def launch_provider(self, target: str | None = None, *more: str) -> Provider:
        """An approved provider whose daemon was started, with `more` options."""
        account = self.add_account()
        engine = self._cleanup.enter_context(Engine.serving())
        return Provider(account, engine, self.start_daemon(account, engine, target, *more))

    def add_provider(self, target: str | None = None) -> Provider:
        """An approved provider whose daemon holds a stream."""
        provider = self.launch_provider(target)
        self.await_stream(provider)
        return provider

    def await_stream(self, provider: Provider, number: int = 1) -> None:
        """Wait until the daemon has opened its first, second … stream, over all servers of this market."""

        def opened() -> bool:
            lines = (line for line in self.server.said.splitlines() if '"stream_opened"' in line)
            return [json.loads(line)["provider_id"] for line in lines].count(provider.account.id) >= number

        eventually(opened, f"stream {number} of {provider.daemon.name}", 30)

    # What is stored

    def stored(self, read: Callable[[Connection], T]) -> T:
        """What `read` finds in the database, whether or not a server runs."""

        async def reading() -> T:
            database = Database.open(f"sqlite:///{self._directory / 'dc1.sqlite3'}")
            try:
                return await database.read(read)
            finally:
                await database.close()

        return self._edge.loop.run(reading())

    def attempts(self, job: Json) -> Sequence[AttemptRow]:
        return self.stored(lambda conn: jobs.attempts(conn, job["id"]))

    def events(self, job: Json) -> list[EventRow]:
        return self.stored(lambda conn: job_events.page(conn, job["id"]).rows)


def submit(renter: Renter, **changes: Any) -> Json:
    """Three minutes of inference, prepaid with 45 halala."""
    return renter.submit(params={"prompt": "Two lines about the sea"}, **changes)


def await_status(renter: Renter, job: Json, status: str, seconds: float = 20) -> Json:
    """The job once it has this status."""

    def reached() -> Json:
        shown = renter.job(job["id"])
        return shown if shown["status"] == status else {}

    return eventually(reached, f"job {job['id']} being {status}", seconds)

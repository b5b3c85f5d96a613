"""The whole product as its users meet it: real Envoy in front of the real server on a database of its own.

Only the clock is not real: it stands still until a test moves it.
"""

import shutil
import socket
from collections.abc import Callable, Collection, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from dc1.domain.base.clock import ManualClock, iso, parse_iso
from dc1.edge import EdgeConfig, Envoy
from dc1.storage.money import ledger_audit
from tests.stack.people import Admin, Renter, answered
from tests.stack.poll_daemon import REPORT, PollDaemon
from tests.stack.rest import Json, Rest
from tests.stack.server import HermeticSettings, LoopThread, Server, make_template
from tests.stack.stream_daemon import StreamDaemon
from tests.stack.waiting import at_once, eventually

T = TypeVar("T")

ADMIN_TOKEN = "a-token-for-tests"
CORS_ORIGIN = "https://app.example.sa"
START = parse_iso("2026-03-22T19:00:10.000Z")

_HEARTBEAT_SECONDS = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Edge:
    """An Envoy that stays while servers behind it come and go."""

    def __init__(self, directory: Path) -> None:
        self.loop = LoopThread()
        self.grpc_port = free_port()
        self.template = make_template(directory / "template.sqlite3")
        self.config = EdgeConfig(
            directory=directory / "envoy",
            http_port=0,
            grpc_port=self.grpc_port,
            admin_port=0,
            concurrency=1,
            cors_origins=(CORS_ORIGIN,),
        )
        self._envoy = Envoy(self.config)
        self.loop.run(self._envoy.start())
        self.target = f"127.0.0.1:{self._envoy.http_port}"

    @property
    def url(self) -> str:
        return f"http://{self.target}"

    @property
    def log(self) -> Path:
        """Envoy's own, without calls."""
        return self.config.directory / "envoy.log"

    def close(self) -> None:
        self.loop.run(self._envoy.stop())
        self.loop.close()


class Stack:
    """A market of its own behind a shared edge."""

    def __init__(self, edge: Edge, directory: Path, **settings: Any) -> None:
        self.edge = edge
        self.clock = ManualClock(START)
        self.rest = Rest(edge.url)
        self.admin = Admin(self.rest, ADMIN_TOKEN)
        self.daemons: list[PollDaemon] = []
        self._streams: list[StreamDaemon] = []
        self._numbers = count(1)
        self.data_directory = directory
        self._settings = settings
        self.database_url = f"sqlite:///{directory / 'dc1.sqlite3'}"
        shutil.copy(edge.template, directory / "dc1.sqlite3")
        self._server: Server | None = None
        self.start_server()

    # The server

    def start_server(self) -> None:
        """Start the server, and wait until the edge passes calls on to it."""
        chosen = {
            "data_dir": self.data_directory,
            "database_url": self.database_url,
            "grpc_port": self.edge.grpc_port,
            "admin_token": ADMIN_TOKEN,
            "rate_limits_enabled": False,
            **self._settings,
        }
        self._server = Server(self.edge.loop, HermeticSettings(**chosen), self.clock)
        eventually(lambda: self.rest.get("/").status_code == 200, "the edge finding the server")

    def stop_server(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def restart(self, **settings: Any) -> None:
        """Stop and start anew on the same database, with some settings changed."""
        self.stop_server()
        self._settings |= settings
        self.start_server()

    @property
    def server(self) -> Server:
        assert self._server is not None
        return self._server

    def close(self) -> None:
        """Stop everything; the books must balance, whatever the test did."""
        for stream in self._streams:
            stream.close()
        wrong = [] if self._server is None else self.edge.loop.run(self._server.database.read(ledger_audit.verify))
        self.stop_server()
        self.rest.close()
        assert not wrong, wrong

    # Time

    def now(self, offset_seconds: float = 0) -> str:
        return iso(self.clock.now_ms() + round(offset_seconds * 1000))

    def advance(self, seconds: float, silent: Collection[PollDaemon] = ()) -> None:
        """Let time pass, during which every daemon that was ever heard goes on reporting, the silent ones excepted."""
        left = float(seconds)
        while left > 0:
            step = min(left, _HEARTBEAT_SECONDS)
            self.clock.advance(step)
            left -= step
            for daemon in self.daemons:
                if daemon.heard and daemon not in silent:
                    daemon.post("/providers/heartbeat", {})

    def at_once(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Make all calls at the same time."""
        return at_once(calls)

    # People and daemons

    def add_renter(self, **changes: Any) -> Renter:
        number = next(self._numbers)
        body = {"name": f"Renter {number}", "email": f"renter{number}@example.sa", **changes}
        answer = answered(self.rest.post("/renters/register", body), 201)
        return Renter(self.rest, answer["renter_id"], answer["api_key"])

    def register_provider(self, **changes: Any) -> PollDaemon:
        """A provider that no admin has decided about."""
        number = next(self._numbers)
        account = {"name": f"Provider {number}", "email": f"gpu{number}@example.sa", "gpu_model": "RTX 4090"}
        answer = answered(self.rest.post("/providers/register", {**account, "os": "linux", **changes}), 201)
        daemon = PollDaemon(self.rest, answer["provider_id"], answer["api_key"])
        self.daemons.append(daemon)
        return daemon

    def add_provider(self, report: Json = REPORT) -> PollDaemon:
        """An approved provider whose daemon was just heard."""
        daemon = self.register_provider()
        self.admin.approve(daemon.id)
        daemon.heartbeat(report)
        return daemon

    def connect(self, provider: PollDaemon, report: Json = REPORT) -> StreamDaemon:
        """A daemon of this provider on the stream, welcomed."""
        stream = StreamDaemon(self.edge.target, provider.key, report)
        self._streams.append(stream)
        stream.hello()
        return stream

    def cut(self, stream: StreamDaemon) -> None:
        """Break a stream off and wait until the server has noticed."""
        before = self.server.open_streams
        stream.cut()
        eventually(lambda: self.server.open_streams < before, "the server noticing the cut")

    def next_job(self, daemon: PollDaemon) -> Json:
        """The job that a daemon is handed once one has come to it."""
        job: Json = eventually(lambda: daemon.ask()["job"], "a job for the daemon")
        return job

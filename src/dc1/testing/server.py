"""The real server in this process, on a loop of its own thread."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from dc1.control.control_plane import ControlPlane
from dc1.domain.base.clock import Clock
from dc1.server.app import Application
from dc1.server.registry import Foundation, Registry, build
from dc1.server.watching.metrics_server import MetricsServer
from dc1.settings.settings import Settings
from dc1.storage.engine.database import Database
from dc1.testing.rest import no_certificates
from dc1.testing.waiting import eventually

T = TypeVar("T")

# As long as production wants it, for tests of production.
ADMIN_TOKEN = "a-token-for-tests-that-is-long-enough"

_CALL_SECONDS = 30.0
_DRAIN_SECONDS = 2.0


class LoopThread:
    """An event loop that runs in a thread until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # A daemon thread: a test that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._loop.run_forever, name="market-loop", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop to its end, and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CALL_SECONDS)

    def call(self, step: Callable[[], object]) -> None:
        """Have a function called on the loop soon."""
        self._loop.call_soon_threadsafe(step)

    def close(self) -> None:
        """Stop the loop and wait for its thread."""
        # Before the loop stops, which could not wait for them any more: threads of `to_thread` would outlive it.
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_SECONDS)
        self._loop.close()


class HermeticSettings(Settings):
    """Settings that no environment variable reaches."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what the constructor is given and nothing else."""
        # Nothing of the machine: a `DC1_` variable of whoever runs the tests must not decide how they end.
        return (init_settings,)


class Server:
    """One application in this process, from its start to its stop."""

    def __init__(self, loop: LoopThread, settings: Settings, clock: Clock) -> None:
        self._loop = loop
        self._app = Application(settings, self._build, clock)
        self._foundation: Foundation | None = None
        self._market: ControlPlane | None = None
        self._metrics: MetricsServer | None = None
        loop.run(self._app.start())

    def _build(self, foundation: Foundation) -> Registry:
        # The real wiring, listened in on: what is tested is put together as it is in production.
        registry = build(foundation)
        self._foundation = foundation
        self._market = next(part for part in registry.background if isinstance(part, ControlPlane))
        self._metrics = next((part for part in registry.background if isinstance(part, MetricsServer)), None)
        return registry

    @property
    def database(self) -> Database:
        """The server's database; what is done with it is run on the server's loop."""
        assert self._foundation is not None
        return self._foundation.database

    @property
    def market(self) -> ControlPlane:
        """What is alive in the server. Its loop is another one: look, do not touch."""
        assert self._market is not None
        return self._market

    @property
    def metrics_port(self) -> int:
        """Where metrics are read, of a server with an address for them."""
        assert self._metrics is not None
        return self._metrics.port

    def look_at_market(self) -> None:
        """Look now at what metrics tell of the market, and not in a quarter of a minute."""
        assert self._metrics is not None
        self._loop.run(self._metrics.watch.look())

    def send_due(self) -> None:
        """Send what came due as the clock was moved: whoever sends it sleeps by the machine's."""
        self._loop.call(self.market.outboxes.look)

    @property
    def open_streams(self) -> int:
        """How many daemons hold a stream, as the server sees it."""
        return len(self.market.sessions)

    @property
    def calls_waiting(self) -> int:
        """How many calls under /v1 wait for a provider."""
        return self.market.completions.waiting

    def stop(self) -> None:
        """Stop as a server does that is asked to: its parts end in order, and what they hold is stored."""
        self._loop.run(self._app.drain(_DRAIN_SECONDS))


class Frontier(Protocol):
    """What stands before a server: an edge."""

    @property
    def url(self) -> str:
        """Where REST is spoken."""
        ...

    @property
    def grpc_socket(self) -> Path:
        """Where the server is expected."""
        ...


def serve_behind(edge: Frontier, loop: LoopThread, clock: Clock, **settings: Any) -> Server:
    """Start a server that testers can use without limits, and wait until the edge passes calls on to it."""
    # Limits off, as a test makes in a second the calls of an hour; those that are about limits switch them on.
    chosen = {
        "grpc_socket": edge.grpc_socket,
        "admin_token": ADMIN_TOKEN,
        "rate_limits_enabled": False,
        # Those that are about probes ask for them: a second of all cores would stall what runs beside.
        "probe_interval_seconds": 0,
        **settings,
    }
    server = Server(loop, HermeticSettings(**chosen), clock)
    with httpx.Client(base_url=edge.url, verify=no_certificates(), trust_env=False) as client:
        # Asked through the edge: Envoy passes nothing on before its own health check has seen the server.
        eventually(lambda: client.get("/").status_code == 200, "the edge finding the server")
    return server


def make_template(path: Path) -> Path:
    """Make a migrated, empty database to copy from."""
    loop = LoopThread()
    loop.run(Database.open(f"sqlite:///{path}").close())
    loop.close()
    return path

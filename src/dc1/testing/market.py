"""A whole market in a process, as its users meet it: real Envoy before the real server on a database of its own.

Only the clock is not real: it stands still until somebody moves it.
"""

import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from dc1.domain.base.clock import iso, parse_iso
from dc1.storage.money import ledger_audit
from dc1.testing.accounts import Registrar
from dc1.testing.clock import ManualClock
from dc1.testing.edge import Edge
from dc1.testing.people import Admin, Renter, answered
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.rest import Json, Rest
from dc1.testing.server import ADMIN_TOKEN, Server, serve_behind
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import at_once, eventually

T = TypeVar("T")

START = parse_iso("2026-03-22T19:00:10.000Z")
"""What the clock of a new market tells, in milliseconds since the epoch."""

# Shorter than any age at which a silent daemon counts as gone, so that time can pass in one call.
_HEARTBEAT_SECONDS = 30
# As rare as they may be where hours pass: each is a call, and nobody counts them.
_LONG_SECONDS, _RARE_HEARTBEAT_SECONDS = 900, 60


class LocalMarket:
    """A market of its own behind a shared edge: rate limits off and the admin token set, unless `settings` say else.

    Args:
        edge: the Envoy in front of it.
        directory: where its database and whatever else it writes is kept.
        settings: those of `dc1.settings.Settings` that are not to be at their defaults.
    """

    def __init__(self, edge: Edge, directory: Path, **settings: Any) -> None:
        self.edge = edge
        self.clock = ManualClock(START)
        self.rest = Rest(edge.url)
        self.admin = Admin(self.rest, ADMIN_TOKEN)
        self.daemons: list[PollDaemon] = []
        self._streams: list[StreamDaemon] = []
        self._registrar = Registrar()
        self.data_directory = directory
        self._settings = settings
        self.database_url = f"sqlite:///{directory / 'dc1.sqlite3'}"
        # A copy of a migrated database is there at once; migrating one takes longer than most tests.
        shutil.copy(edge.template, directory / "dc1.sqlite3")
        self._server: Server | None = None
        self.start_server()

    @classmethod
    @contextmanager
    def running(cls, **settings: Any) -> Iterator["LocalMarket"]:
        """Start a market with an edge of its own; leaving the block stops both and removes what they wrote."""
        with TemporaryDirectory(prefix="dc1-market-") as directory:
            edge = Edge(Path(directory))
            try:
                market = cls(edge, Path(directory), **settings)
                try:
                    yield market
                finally:
                    market.close()
            finally:
                edge.close()

    # The server

    def start_server(self) -> None:
        """Start the server, and wait until the edge passes calls on to it."""
        places = {"data_dir": self.data_directory, "database_url": self.database_url}
        self._server = serve_behind(self.edge, self.edge.loop, self.clock, **{**places, **self._settings})

    def stop_server(self) -> None:
        """Stop the server; the edge stays and answers for it."""
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
        """The server that runs now."""
        assert self._server is not None
        return self._server

    def close(self) -> None:
        """Stop everything; the books must balance, whatever was done."""
        for stream in self._streams:
            stream.close()
        # Before the server stops, which closes its database.
        wrong = [] if self._server is None else self.edge.loop.run(self._server.database.read(ledger_audit.verify))
        self.stop_server()
        self.rest.close()
        assert not wrong, wrong

    # Time

    def now(self, offset_seconds: float = 0) -> str:
        """Return the market's time, or one some seconds from it, as ISO-8601."""
        return iso(self.clock.now_ms() + round(offset_seconds * 1000))

    def advance(self, seconds: float, silent: Collection[PollDaemon] = ()) -> None:
        """Let time pass, during which every daemon that was ever heard goes on reporting, the silent ones excepted."""
        left = float(seconds)
        longest = _RARE_HEARTBEAT_SECONDS if seconds > _LONG_SECONDS else _HEARTBEAT_SECONDS
        # In steps: one leap would find every daemon silent for its whole length, and take their jobs from them.
        while left > 0:
            step = min(left, longest)
            self.clock.advance(step)
            left -= step
            for daemon in self.daemons:
                if daemon.heard and daemon not in silent:
                    daemon.post("/providers/heartbeat", {})
        if self._server is not None:
            self._server.send_due()

    def at_once(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Make all calls at the same time."""
        return at_once(calls)

    # People and daemons

    def add_renter(self, **changes: Any) -> Renter:
        """Open the account of another renter."""
        return self._registrar.renter(self.rest, **changes)

    def register_provider(self, **changes: Any) -> PollDaemon:
        """Open the account of a provider that no admin has decided about."""
        daemon = self._registrar.provider(self.rest, **changes)
        self.daemons.append(daemon)
        return daemon

    def add_provider(self, report: Json = REPORT) -> PollDaemon:
        """Add an approved provider whose daemon was just heard."""
        daemon = self.register_provider()
        self.admin.approve(daemon.id)
        daemon.heartbeat(report)
        return daemon

    def add_machine(self, owner: PollDaemon, *, approved: bool = True, **changes: Any) -> PollDaemon:
        """Add a further machine to an owner's account, whose daemon was not heard yet."""
        body = {"name": "Further", "gpu_model": "RTX 4090", **changes}
        answer = answered(owner.post("/providers/me/machines", body), 201)
        if approved:
            self.admin.approve(answer["provider_id"])
        return PollDaemon(self.rest, answer["provider_id"], answer["api_key"])

    def connect(self, provider: PollDaemon, report: Json = REPORT) -> StreamDaemon:
        """Return a daemon of this provider on the stream, welcomed."""
        stream = self.open_stream(provider, report)
        stream.hello()
        return stream

    def open_stream(self, provider: PollDaemon, report: Json = REPORT, instance_id: str = "scripted") -> StreamDaemon:
        """Return a daemon of this provider that has said nothing yet."""
        stream = StreamDaemon(self.edge.target, provider.key, report, instance_id)
        self._streams.append(stream)
        return stream

    def cut(self, stream: StreamDaemon) -> None:
        """Break a stream off and wait until the server has noticed."""
        # Waited for, because a cut is noticed on another thread: time that is moved before that would not count as
        # silence.
        before = self.server.open_streams
        stream.cut()
        eventually(lambda: self.server.open_streams < before, "the server noticing the cut")

    def next_job(self, daemon: PollDaemon) -> Json:
        """Return the job that a daemon is handed once one has come to it."""
        # More than once: a job that is taken from somebody comes back to the queue in its own time, on the server's
        # loop.
        job: Json = eventually(lambda: daemon.ask()["job"], "a job for the daemon")
        return job

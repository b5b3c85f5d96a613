"""Two servers on one PostgreSQL, each behind an Envoy of its own, so that a test can say which one it means."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr
from sqlalchemy import text

from dc1.domain.base.clock import Clock, SystemClock
from dc1.storage.engine.database import Connection
from dc1.storage.money import ledger_audit
from tests.stack.people import Admin, Renter, answered
from tests.stack.poll_daemon import REPORT, PollDaemon
from tests.stack.rest import Json, Rest
from tests.stack.server import HermeticSettings, LoopThread, Server
from tests.stack.stack import ADMIN_TOKEN, Edge
from tests.stack.stream_daemon import StreamDaemon
from tests.stack.waiting import eventually

T = TypeVar("T")


class AheadClock:
    """A clock that goes wrong by some seconds."""

    def __init__(self, seconds: float) -> None:
        self._clock = SystemClock()
        self._ahead_ms = round(seconds * 1000)

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._ahead_ms


class Replica:
    """One server in this process, on a loop of its own."""

    def __init__(self, edge: Edge, directory: Path, database_url: str, clock: Clock, **settings: Any) -> None:
        self._edge = edge
        self._loop = LoopThread()
        chosen = HermeticSettings(
            data_dir=directory,
            database_url=database_url,
            grpc_port=edge.grpc_port,
            admin_token=SecretStr(ADMIN_TOKEN),
            rate_limits_enabled=False,
            **settings,
        )
        self.server = Server(self._loop, chosen, clock)
        self.rest = Rest(edge.url)
        self.admin = Admin(self.rest, ADMIN_TOKEN)
        eventually(lambda: self.rest.get("/").status_code == 200, "the edge finding the replica")

    @property
    def target(self) -> str:
        return self._edge.target

    def knows_another(self) -> bool:
        replication = self.server.market.replication
        return replication is not None and bool(replication.others)

    def stored(self, read: Callable[[Connection], T]) -> T:
        return self._loop.run(self.server.database.read(read))

    def store(self, change: Callable[[Connection], T]) -> T:
        return self._loop.run(self.server.database.write(change))

    def renter(self, renter: Renter) -> Renter:
        """The same renter, calling this replica."""
        return Renter(self.rest, renter.id, renter.key)

    def provider(self, provider: PollDaemon) -> PollDaemon:
        """The same provider, calling this replica."""
        return PollDaemon(self.rest, provider.id, provider.key)

    def close(self) -> None:
        self.rest.close()
        self.server.stop()
        self._loop.close()


class Pair:
    """Replica A and replica B; they know of each other."""

    def __init__(
        self, edges: Sequence[Edge], directory: Path, database_url: str, clocks: Sequence[Clock], **settings: Any
    ):
        self._streams: list[StreamDaemon] = []
        self._numbers = count(1)
        self.a, self.b = (
            Replica(edge, directory, database_url, clock, **settings) for edge, clock in zip(edges, clocks, strict=True)
        )
        for replica in (self.a, self.b):
            eventually(replica.knows_another, "the replicas knowing each other")

    def close(self) -> None:
        """Stop everything; the books must balance, whatever the test did."""
        for stream in self._streams:
            stream.close()
        wrong = self.a.stored(ledger_audit.verify)
        self.a.close()
        self.b.close()
        assert wrong == []

    def add_renter(self, at: Replica | None = None) -> Renter:
        at = at or self.a
        number = next(self._numbers)
        body = {"name": f"Renter {number}", "email": f"renter{number}@example.sa"}
        answer = answered(at.rest.post("/renters/register", body), 201)
        return Renter(at.rest, answer["renter_id"], answer["api_key"])

    def register_provider(self, at: Replica) -> PollDaemon:
        number = next(self._numbers)
        body = {
            "name": f"Provider {number}",
            "email": f"gpu{number}@example.sa",
            "gpu_model": "RTX 4090",
            "os": "linux",
        }
        answer = answered(at.rest.post("/providers/register", body), 201)
        return PollDaemon(at.rest, answer["provider_id"], answer["api_key"])

    def add_provider(self, at: Replica) -> PollDaemon:
        """An approved provider that was not heard of yet."""
        provider = self.register_provider(at)
        at.admin.approve(provider.id)
        return provider

    def connect(self, provider: PollDaemon, at: Replica, report: Json = REPORT) -> StreamDaemon:
        """A daemon of this provider with a stream to one replica, welcomed."""
        stream = StreamDaemon(at.target, provider.key, report)
        self._streams.append(stream)
        stream.hello()
        return stream

    def await_online(self, provider: PollDaemon) -> None:
        """Wait until both replicas know that the daemon is there."""
        for known in (self.a.provider(provider), self.b.provider(provider)):
            eventually(partial(_is_online, known), "the daemon being known")


def _is_online(provider: PollDaemon) -> bool:
    return provider.liveness() == "online"


def waiting_for_locks(conn: Connection) -> int:
    """Count the transactions that wait for another one to end."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return int(conn.execute(text(query)).scalar_one())

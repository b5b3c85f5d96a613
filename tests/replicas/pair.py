"""Two servers on one PostgreSQL, each behind an Envoy of its own, so that a test can say which one it means."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import text

from dc1.control.cluster.replication import Replication
from dc1.domain.base.clock import Clock
from dc1.storage.engine.database import Connection
from dc1.storage.money import ledger_audit
from dc1.testing.accounts import Registrar
from dc1.testing.edge import Edge
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.rest import Json, Rest
from dc1.testing.server import ADMIN_TOKEN, LoopThread, serve_behind
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually

T = TypeVar("T")


class Replica:
    """One server in this process, on a loop of its own."""

    def __init__(self, edge: Edge, directory: Path, database_url: str, clock: Clock, **settings: Any) -> None:
        self._edge = edge
        self._loop = LoopThread()
        places = {"data_dir": directory, "database_url": database_url}
        self.server = serve_behind(edge, self._loop, clock, **{**places, **settings})
        self.rest = Rest(edge.url)
        self.admin = Admin(self.rest, ADMIN_TOKEN)

    @property
    def target(self) -> str:
        return self._edge.target

    def knows_another(self) -> bool:
        return bool(self.server.market.replicas.others)

    def has_readers_elsewhere(self, row_id: int) -> bool:
        """Whether it knows that a job is read at another replica, whom it tells from then on what the run says."""
        replicas = self.server.market.replicas
        assert isinstance(replicas, Replication)
        return bool(replicas._telling.readers(row_id))

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
        self._registrar = Registrar()
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
        return self._registrar.renter((at or self.a).rest)

    def register_provider(self, at: Replica) -> PollDaemon:
        return self._registrar.provider(at.rest)

    def add_provider(self, at: Replica) -> PollDaemon:
        """An approved provider that was not heard of yet."""
        return self._registrar.approved_provider(at.rest, at.admin)

    def connect(self, provider: PollDaemon, at: Replica, report: Json = REPORT) -> StreamDaemon:
        """A daemon of this provider with a stream to one replica, welcomed."""
        stream = self.open_stream(provider, at, report)
        stream.hello()
        return stream

    def open_stream(
        self, provider: PollDaemon, at: Replica, report: Json = REPORT, instance_id: str = "scripted"
    ) -> StreamDaemon:
        """A daemon of this provider that has said nothing to the replica yet."""
        stream = StreamDaemon(at.target, provider.key, report, instance_id)
        self._streams.append(stream)
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

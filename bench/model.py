"""What a market of any size costs, reckoned from what a beat, a job and a stream cost where they were measured.

`make model` prints how far it is from each measurement, and what it says of markets that nobody measured.
docs/scale.md says where its numbers come from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from rich.console import Console
from rich.table import Table

MOST_OF_A_CORE = 0.6
"""How busy a server's one core may be: beyond it calls wait for each other, and p99 doubles."""

MOST_SERVERS = 64
"""Servers of one database: each keeps `DC1_DATABASE_CONNECTIONS` and two, eight of which make 640 connections."""

DATABASE_CORES = 32
"""Of one PostgreSQL, of which six in ten are used: what is sold as one machine today, and fails over as one."""

MOST_STREAMS_OF_AN_EDGE = 15_000
"""Of its 20,000 connections: the others are for renters, and for daemons that come back."""

_SECONDS_OF_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Costs:
    """What each thing takes: milliseconds of a core, KiB and MiB of memory, bytes on the disk."""

    # A beat costs more where it comes alone: with others a turn of the loop, a write and a wake-up are shared.
    beat_ms: float = 0.20
    beat_alone_ms: float = 1.05
    beats_of_half: float = 500
    """Beats a second at one server at which half of `beat_alone_ms` is saved."""
    beat_edge_ms: float = 0.03
    beat_edge_alone_ms: float = 0.29
    idle_ms: float = 18
    """A second of a server with nothing to do: timers, and the database that is looked at."""
    job_ms: float = 4.8
    """Its whole life, at the server that has it: submission, offer, start, end, settlement."""
    job_elsewhere_ms: float = 0.15
    """The same at each other server of the database: 0.01 to pass over it, the rest to count what its machine takes."""
    job_edge_ms: float = 0.8
    job_database_ms: float = 3.0
    job_elsewhere_database_ms: float = 0.3
    minute_database_ms: float = 0.03
    """A row of telemetry, one a minute of each machine, written with those of all others."""
    server_mib: float = 150
    edge_mib: float = 60
    stream_kib: float = 53
    stream_edge_kib: float = 35
    job_bytes: float = 6_000
    minute_bytes: float = 230


TODAY = Costs()


@dataclass(frozen=True, slots=True)
class Market:
    """How large a market is; each machine beats every `beat_seconds`, and takes `jobs_an_hour`."""

    daemons: int
    servers: int
    beat_seconds: float = 10
    jobs_an_hour: float = 2

    @property
    def beats(self) -> float:
        """Beats a second."""
        return self.daemons / self.beat_seconds

    @property
    def edges(self) -> int:
        """Edges in front of the servers, each of which has room for 20,000 connections."""
        return ceil(self.daemons / MOST_STREAMS_OF_AN_EDGE)

    @property
    def jobs(self) -> float:
        """Jobs a second."""
        return self.daemons * self.jobs_an_hour / 3600


@dataclass(frozen=True, slots=True)
class Bill:
    """What a market takes: cores that are busy all the time, GiB of memory, GiB that the disk grows by in a day."""

    server_cores: float
    edge_cores: float
    database_cores: float
    memory_gib: float
    disk_gib_a_day: float


def bill(market: Market, costs: Costs = TODAY) -> Bill:
    """Reckon what a market takes of its servers together, of its edges, of its database."""
    servers, others = market.servers, market.servers - 1
    beat_ms = costs.beat_ms + costs.beat_alone_ms / (1 + market.beats / servers / costs.beats_of_half)
    alone_ms = costs.beat_edge_alone_ms / (1 + market.beats / market.edges / costs.beats_of_half)
    job_ms = costs.job_ms + others * costs.job_elsewhere_ms
    minutes = market.daemons / 60
    of_database = costs.job_database_ms + others * costs.job_elsewhere_database_ms
    streams_gib = market.daemons * (costs.stream_kib + costs.stream_edge_kib) / 1024**2
    rows = market.jobs * costs.job_bytes + minutes * costs.minute_bytes
    return Bill(
        (servers * costs.idle_ms + market.beats * beat_ms + market.jobs * job_ms) / 1000,
        (market.beats * (costs.beat_edge_ms + alone_ms) + market.jobs * costs.job_edge_ms) / 1000,
        (market.jobs * of_database + minutes * costs.minute_database_ms) / 1000,
        streams_gib + (servers * costs.server_mib + market.edges * costs.edge_mib) / 1024,
        rows * _SECONDS_OF_A_DAY / 1024**3,
    )


def fitting(daemons: int, jobs_an_hour: float, costs: Costs = TODAY) -> Market | None:
    """Return the market of the fewest servers on one database that carries so many machines; None where none does."""
    for servers in range(1, MOST_SERVERS + 1):
        market = Market(daemons, servers, jobs_an_hour=jobs_an_hour)
        needed = bill(market, costs)
        if needed.database_cores > DATABASE_CORES * MOST_OF_A_CORE:
            return None
        if needed.server_cores <= servers * MOST_OF_A_CORE:
            return market
    return None


def regions(daemons: int, jobs_an_hour: float, costs: Costs = TODAY) -> tuple[int, Market]:
    """Return how many markets of one size, each with a database of its own, carry so many machines; and one of them."""
    count = 1
    while (market := fitting(ceil(daemons / count), jobs_an_hour, costs)) is None:
        count += 1
    return count, market


@dataclass(frozen=True, slots=True)
class Measured:
    """A market that was measured, and what was found of all its servers together, and of its edge."""

    market: Market
    server_cores: float
    edge_cores: float | None = None
    costs: Costs = TODAY

    def misses(self) -> Iterator[tuple[str, float, float]]:
        """Yield what was measured and what the model says of it."""
        said = bill(self.market, self.costs)
        yield "servers", self.server_cores, said.server_cores
        if self.edge_cores is not None:
            yield "edge", self.edge_cores, said.edge_cores


MEASURED: tuple[Measured, ...] = (
    Measured(Market(100, 1, jobs_an_hour=0), 0.03),
    Measured(Market(2_000, 1, jobs_an_hour=0), 0.21, 0.05),
    Measured(Market(10_000, 1, jobs_an_hour=0), 0.55, 0.12),
    # These two later, when beats were read for less, on slower cores.
    Measured(Market(10_000, 1, jobs_an_hour=3.6), 0.64, 0.16),
    Measured(Market(19_000, 1, jobs_an_hour=0), 0.72, 0.20),
)
"""All on two cores that callers, edge, servers and database shared; see docs/scale.md."""


MEASURED_HEAD = ("measured", "servers", "of", "measured, cores", "model, cores", "off")
SIZES_HEAD = (
    "daemons",
    "jobs an hour each",
    "regions",
    "servers",
    "cores: servers, edges, databases",
    "GiB",
    "GiB a day",
)


def measured_rows() -> Iterator[tuple[str, ...]]:
    """Yield how far the model is from what was measured."""
    for one in MEASURED:
        for what, found, said in one.misses():
            load = f"{one.market.daemons:,} daemons, {one.market.jobs:.0f} jobs/s"
            yield load, str(one.market.servers), what, f"{found:.2f}", f"{said:.2f}", f"{said / found - 1:+.0%}"


def size_rows() -> Iterator[tuple[str, ...]]:
    """Yield what the model says of sizes that nobody measured."""
    for daemons in (1_000, 10_000, 100_000, 1_000_000):
        for jobs_an_hour in (0.1, 2, 20):
            count, market = regions(daemons, jobs_an_hour)
            each = bill(market)
            cores = (each.server_cores, each.edge_cores, each.database_cores)
            memory, disk = (f"{count * part:,.0f}" for part in (each.memory_gib, each.disk_gib_a_day))
            shown = ", ".join(f"{count * part:,.1f}" for part in cores)
            yield f"{daemons:,}", f"{jobs_an_hour:g}", str(count), f"{count * market.servers:,}", shown, memory, disk


def tables() -> Iterator[Table]:
    """Draw both for the terminal."""
    for head, rows in ((MEASURED_HEAD, measured_rows()), (SIZES_HEAD, size_rows())):
        drawn = Table(*head)
        for row in rows:
            drawn.add_row(*row)
        yield drawn


if __name__ == "__main__":
    for drawn in tables():
        Console(soft_wrap=True).print(drawn)

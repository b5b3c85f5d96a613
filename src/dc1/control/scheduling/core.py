"""What nearly every part of control works on."""

from dataclasses import dataclass, field
from typing import Self

from dc1.control.config import ControlConfig
from dc1.control.feeds.job_traces import JobTraces
from dc1.control.feeds.job_watch import JobWatch
from dc1.control.feeds.outboxes import Outboxes
from dc1.control.feeds.run_counts import RunCounts
from dc1.control.fleet.fleet import Fleet
from dc1.control.scheduling.job_feed import JobFeed
from dc1.control.scheduling.leases import Leases
from dc1.control.scheduling.sessions import Sessions
from dc1.domain.base.clock import Clock
from dc1.storage.engine.database import Database


@dataclass(frozen=True, slots=True)
class Core:
    """The durable state of the market and one server's memory of it.

    The memory belongs to the event loop: it is read and changed there alone, and never across an `await`, so that it
    needs no locks. A transaction runs on a thread of the database and is given plain values.
    """

    db: Database
    clock: Clock
    config: ControlConfig
    fleet: Fleet
    leases: Leases
    sessions: Sessions
    job_feed: JobFeed
    job_watch: JobWatch
    run_counts: RunCounts
    job_traces: JobTraces = field(default_factory=JobTraces)
    outboxes: Outboxes = field(default_factory=Outboxes)

    @classmethod
    def empty(cls, db: Database, clock: Clock, config: ControlConfig) -> Self:
        """Return a memory that knows of nothing yet."""
        fleet = Fleet(clock, config.thresholds, config.ask_bounds)
        return cls(db, clock, config, fleet, Leases(), Sessions(), JobFeed(), JobWatch(fleet.account_of), RunCounts())

"""How much of machines their jobs take, for servers that do not serve them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection, case, func, select

from dc1.domain.jobs.states import JobSource, JobStatus
from dc1.storage.cluster.arrays import is_any_of, is_none_of
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.jobs.jobs import LEASED
from dc1.storage.schema.tables import jobs


@dataclass(frozen=True, slots=True)
class HeldJobs:
    """GPUs that jobs of a machine take, and how many of the jobs are offered and run."""

    gpus: int = 0
    offered: int = 0
    running: int = 0

    def plus(self, other: Self) -> Self:
        """Return both together."""
        return type(self)(self.gpus + other.gpus, self.offered + other.offered, self.running + other.running)

    def minus(self, other: Self) -> Self:
        """Return this without the other."""
        return type(self)(self.gpus - other.gpus, self.offered - other.offered, self.running - other.running)


NOTHING_HELD = HeldJobs()


_HELD = PreparedStatement(
    select(
        jobs.c.provider_id,
        func.sum(jobs.c.gpu_count),
        func.sum(case((jobs.c.status == JobStatus.PENDING, 1), else_=0)),
        func.sum(case((jobs.c.status == JobStatus.RUNNING, 1), else_=0)),
    )
    .where(
        is_any_of(jobs.c.provider_id, "machines"),
        LEASED,
        jobs.c.source != JobSource.V1,
        is_none_of(jobs.c.id, "known"),
    )
    .group_by(jobs.c.provider_id)
)


def held_jobs(conn: Connection, provider_ids: Collection[int], known: Collection[int]) -> dict[int, HeldJobs]:
    """Return what jobs take of each of these machines, calls under /v1 and `known` jobs left out."""
    rows = _HELD.rows(conn, {"machines": [*provider_ids], "known": [*known]})
    found = {row[0]: HeldJobs(*map(int, row[1:])) for row in rows}
    return dict.fromkeys(provider_ids, NOTHING_HELD) | found

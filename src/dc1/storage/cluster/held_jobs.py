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
    """GPUs that jobs of a machine take, how many of the jobs are offered and run, and how many are calls under /v1."""

    gpus: int = 0
    offered: int = 0
    running: int = 0
    calls: int = 0

    def plus(self, other: Self) -> Self:
        """Return both together."""
        gpus, offered = self.gpus + other.gpus, self.offered + other.offered
        return type(self)(gpus, offered, self.running + other.running, self.calls + other.calls)

    def minus(self, other: Self) -> Self:
        """Return this without the other."""
        gpus, offered = self.gpus - other.gpus, self.offered - other.offered
        return type(self)(gpus, offered, self.running - other.running, self.calls - other.calls)


NOTHING_HELD = HeldJobs()


_IS_CALL = jobs.c.source == JobSource.V1
_HELD = PreparedStatement(
    select(
        jobs.c.provider_id,
        # A call takes none of its own, however many its row says.
        func.sum(case((_IS_CALL, 0), else_=jobs.c.gpu_count)),
        func.sum(case((jobs.c.status == JobStatus.PENDING, 1), else_=0)),
        func.sum(case((jobs.c.status == JobStatus.RUNNING, 1), else_=0)),
        func.sum(case((_IS_CALL, 1), else_=0)),
    )
    .where(
        is_any_of(jobs.c.provider_id, "machines"),
        LEASED,
        is_none_of(jobs.c.id, "known"),
    )
    .group_by(jobs.c.provider_id)
)


def held_jobs(conn: Connection, provider_ids: Collection[int], known: Collection[int]) -> dict[int, HeldJobs]:
    """Return what jobs take of each of these machines, `known` jobs left out."""
    rows = _HELD.rows(conn, {"machines": [*provider_ids], "known": [*known]})
    found = {row[0]: HeldJobs(*map(int, row[1:])) for row in rows}
    return dict.fromkeys(provider_ids, NOTHING_HELD) | found


_HOLDERS = PreparedStatement(
    select(jobs.c.id, jobs.c.provider_id, jobs.c.source).where(is_any_of(jobs.c.id, "wanted"), LEASED)
)


def holders(conn: Connection, row_ids: Collection[int]) -> dict[int, tuple[int, JobSource]]:
    """Return which machines have those of the jobs that are offered or run, and where each of them came from."""
    rows = _HOLDERS.rows(conn, {"wanted": [*row_ids]})
    return {row_id: (provider_id, source) for row_id, provider_id, source in rows}

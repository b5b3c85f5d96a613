"""What ended runs do to a provider's counts and to its reputation, in the transaction that ends them."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, Float, bindparam, delete, update

from dc1.domain.base.clock import day_start_ms
from dc1.domain.providers.reputation import NO_RUNS, RunRecord, weight_at
from dc1.storage.engine.statements import PreparedStatement, upsert
from dc1.storage.schema.tables import provider_faults, providers

_KEY = ("provider_id", "renter_id", "day_ms")
_COUNT = PreparedStatement(
    update(providers)
    .where(providers.c.id == bindparam("provider"))
    .values(
        completed_jobs=providers.c.completed_jobs + bindparam("completed", type_=BigInteger),
        failed_jobs=providers.c.failed_jobs + bindparam("failed", type_=BigInteger),
        recent_completed=providers.c.recent_completed + bindparam("completed_weight", type_=Float),
        recent_failed=providers.c.recent_failed + bindparam("failed_weight", type_=Float),
        weighed_runs=providers.c.weighed_runs + bindparam("weighed", type_=BigInteger),
        total_earned_halala=providers.c.total_earned_halala + bindparam("earned", type_=BigInteger),
    )
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What an ended run adds to what is known of its provider; memory adds the same after the commit."""

    completed_jobs: int = 0
    failed_jobs: int = 0
    record: RunRecord = NO_RUNS


NO_CHANGE = Standing()


def count_completed(conn: Connection, provider_id: int, earned_halala: int, now_ms: int) -> Standing:
    """Count a completed run and its earnings."""
    return _count(conn, provider_id, Standing(1, 0, RunRecord(completed=weight_at(now_ms), runs=1)), earned_halala)


def count_failed(conn: Connection, provider_id: int, renter_id: int, earned_halala: int, now_ms: int) -> Standing:
    """Count a run that failed by the provider's fault; for the score, one of a renter counts once a day."""
    is_weighed = _is_first_of_day(conn, provider_id, renter_id, day_start_ms(now_ms))
    record = RunRecord(failed=weight_at(now_ms), runs=1) if is_weighed else NO_RUNS
    return _count(conn, provider_id, Standing(0, 1, record), earned_halala)


def count_earned(conn: Connection, provider_id: int, earned_halala: int) -> None:
    """Count what was earned by a run that says nothing of its provider."""
    if earned_halala:
        _count(conn, provider_id, NO_CHANGE, earned_halala)


def _count(conn: Connection, provider_id: int, standing: Standing, earned_halala: int) -> Standing:
    _COUNT.send(
        conn,
        {
            "provider": provider_id,
            "completed": standing.completed_jobs,
            "failed": standing.failed_jobs,
            "completed_weight": standing.record.completed,
            "failed_weight": standing.record.failed,
            "weighed": standing.record.runs,
            "earned": earned_halala,
        },
    )
    return standing


def _is_first_of_day(conn: Connection, provider_id: int, renter_id: int, day_ms: int) -> bool:
    # By the key, as two runs may fail at once; the other transaction is waited for.
    values = {"provider_id": provider_id, "renter_id": renter_id, "day_ms": day_ms}
    inserted = upsert(conn, provider_faults, _KEY).run(conn, values) == 1
    if inserted:
        # Days that are over are never asked for again.
        old = delete(provider_faults).where(
            provider_faults.c.provider_id == provider_id, provider_faults.c.day_ms < day_ms
        )
        conn.execute(old)
    return inserted

"""What ended runs do to a provider's counts and to its reputation, in the transaction that ends them."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, Float, bindparam, delete, update

from dc1.domain.base.clock import day_start_ms
from dc1.domain.money.pricing import Settlement
from dc1.domain.providers.reputation import NO_RUNS, RunRecord, weight_at
from dc1.storage.engine.statements import PreparedStatement, upsert
from dc1.storage.money.remainders import carry
from dc1.storage.schema.tables import provider_faults, providers

_KEY = ("provider_id", "renter_id", "day_ms")
_whole_fee, _carried = carry(providers.c.carried_fee_micro_halala, bindparam("fee", type_=BigInteger))
_count = (
    update(providers)
    .where(providers.c.id == bindparam("provider"))
    .values(
        completed_jobs=providers.c.completed_jobs + bindparam("completed", type_=BigInteger),
        failed_jobs=providers.c.failed_jobs + bindparam("failed", type_=BigInteger),
        recent_completed=providers.c.recent_completed + bindparam("completed_weight", type_=Float),
        recent_failed=providers.c.recent_failed + bindparam("failed_weight", type_=Float),
        weighed_runs=providers.c.weighed_runs + bindparam("weighed", type_=BigInteger),
        # What the remainders of the platform's share make whole is taken from what this run earned.
        total_earned_halala=providers.c.total_earned_halala + bindparam("earned", type_=BigInteger) - _whole_fee,
        carried_fee_micro_halala=_carried,
    )
)
_COUNT = PreparedStatement(_count)
_COUNT_AND_TELL = PreparedStatement(_count.returning(providers.c.carried_fee_micro_halala))


@dataclass(frozen=True, slots=True)
class Standing:
    """What an ended run adds to what is known of its provider; memory adds the same after the commit."""

    completed_jobs: int = 0
    failed_jobs: int = 0
    record: RunRecord = NO_RUNS


NO_CHANGE = Standing()


def completed(now_ms: int) -> Standing:
    """Return what a completed run adds."""
    return Standing(1, 0, RunRecord(completed=weight_at(now_ms), runs=1))


def failed(conn: Connection, provider_id: int, renter_id: int, now_ms: int) -> Standing:
    """Note a run that failed by the provider's fault, and return what it adds; of a renter one counts once a day."""
    is_weighed = _is_first_of_day(conn, provider_id, renter_id, day_start_ms(now_ms))
    return Standing(0, 1, RunRecord(failed=weight_at(now_ms), runs=1) if is_weighed else NO_RUNS)


def count(conn: Connection, provider_id: int, standing: Standing, settlement: Settlement) -> Settlement:
    """Count an ended run and its earnings; return the settlement with the provider's remainder carried."""
    if standing == NO_CHANGE and not settlement.actual:
        return settlement
    values = {
        "provider": provider_id,
        "completed": standing.completed_jobs,
        "failed": standing.failed_jobs,
        "completed_weight": standing.record.completed,
        "failed_weight": standing.record.failed,
        "weighed": standing.record.runs,
        "earned": settlement.provider,
        "fee": settlement.fee_micro,
    }
    if not settlement.fee_micro:
        # Nothing can become whole, so there is no answer to wait for.
        _COUNT.send(conn, values)
        return settlement
    ((left_micro,),) = _COUNT_AND_TELL.rows(conn, values)
    return settlement.with_fee_carried(left_micro)


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

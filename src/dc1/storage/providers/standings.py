"""What ended runs do to a provider's counts and to its reputation, in the transaction that ends them."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, Float, bindparam, delete, select, update

from dc1.domain.base.clock import day_start_ms
from dc1.domain.money.pricing import Settlement
from dc1.domain.providers.reputation import NO_RUNS, RunRecord, weight_at
from dc1.storage.engine.followed import COUNTS_ONLY
from dc1.storage.engine.statements import Answer, PreparedStatement, upsert
from dc1.storage.schema.tables import account_id_of, provider_faults, providers

_KEY = ("provider_id", "renter_id", "day_ms")
_AHEAD = (providers.c.carried_share_micro_halala, providers.c.carried_promo_share_micro_halala)
_machine = providers.alias("machine")
_CARRIED = PreparedStatement(
    # Not in the update that follows, which cannot tell what it found: how much is due is rounded by both. By owner, for
    # one with many machines has one wallet.
    select(providers.c.id, *_AHEAD)
    .select_from(_machine)
    .join(providers, providers.c.id == account_id_of(_machine))
    .where(_machine.c.id == bindparam("provider"))
    .with_for_update(key_share=True, of=providers)
)
_CARRY = PreparedStatement(
    update(providers)
    .where(providers.c.id == bindparam("owner"))
    .values(
        carried_share_micro_halala=_AHEAD[0] + bindparam("ahead", type_=BigInteger),
        carried_promo_share_micro_halala=_AHEAD[1] + bindparam("ahead_promo", type_=BigInteger),
    )
    .execution_options(**COUNTS_ONLY)
)
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
        carried_share_micro_halala=_AHEAD[0] + bindparam("ahead", type_=BigInteger),
        carried_promo_share_micro_halala=_AHEAD[1] + bindparam("ahead_promo", type_=BigInteger),
    )
    .execution_options(**COUNTS_ONLY)
)


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


def ask_carried(conn: Connection, provider_id: int) -> Answer:
    """Lock what the owner of a machine carries and return what tells it, as `count` wants it."""
    return _CARRIED.ask(conn, {"provider": provider_id})


def count(
    conn: Connection,
    provider_id: int,
    standing: Standing,
    settlement: Settlement,
    carried: Answer | None = None,
    *,
    is_promo: bool = False,
) -> tuple[Settlement, int]:
    """Count an ended run and its earnings; return the settlement with the owner's share carried, and the owner.

    `carried` was asked for by who may settle with a charge. `is_promo` says that the run was a call paid with starter
    credit, whose shares are carried apart from money's.
    """
    final, owner_id = settlement, provider_id
    if settlement.actual or settlement.share_micro:
        assert carried is not None
        ((owner_id, money_micro, promo_micro),) = carried()
        final = settlement.with_share_carried(promo_micro if is_promo else money_micro)
    elif standing == NO_CHANGE:
        return settlement, owner_id
    ahead = {"ahead": 0 if is_promo else final.ahead_micro, "ahead_promo": final.ahead_micro if is_promo else 0}
    if owner_id != provider_id:
        _CARRY.send(conn, ahead | {"owner": owner_id})
        ahead = dict.fromkeys(ahead, 0)
    values = {
        "provider": provider_id,
        "completed": standing.completed_jobs,
        "failed": standing.failed_jobs,
        "completed_weight": standing.record.completed,
        "failed_weight": standing.record.failed,
        "weighed": standing.record.runs,
        "earned": final.provider + final.advance,
    }
    _COUNT.send(conn, values | ahead)
    return final, owner_id


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

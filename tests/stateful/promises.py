"""What must be true of the market's books and leases at every moment, read from the rows and from no counter."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil, fsum, isclose

from sqlalchemy import Connection, select

from dc1.domain.base.clock import DAY_MS, month_start_ms
from dc1.domain.jobs.faults import Fault
from dc1.domain.providers.reputation import weight_at
from dc1.storage.jobs.job_records import JobRow, job_shape
from dc1.storage.schema.tables import (
    accounts,
    job_attempts,
    job_logs,
    jobs,
    key_budgets,
    movements,
    postings,
    providers,
    renters,
)

SOURCES = ("promo", "external", "adjustment")
SETTLING = ("charge_provider", "charge_provider_promo", "charge_platform", "refund")


class Promises:
    """Remembers how each job was settled, because that must never change."""

    def __init__(self) -> None:
        self._settled: dict[int, JobRow] = {}

    def check(self, conn: Connection, slots: Mapping[int, int]) -> None:
        """Fail where a promise is broken; ``slots`` are those of each provider."""
        rows = job_shape.all(conn.execute(select(*job_shape.columns)))
        self._postings_sum_to_zero_and_balances_are_what_they_come_to(conn)
        self._each_job_is_settled_once_and_in_full(conn, rows)
        self._faults_decide_about_money(conn, rows)
        self._scores_count_a_renter_once_a_day(conn)
        self._starter_credit_is_no_money(conn)
        self._leases_fit(conn, rows, slots)
        self._budgets_count_what_was_ordered_in_their_month(conn, rows)
        self._no_machine_costs_more_than_was_held(conn, rows)
        for row in rows:
            if row.is_terminal:
                # A retry is told in the events of the job that it repeats; nothing else moves there any more.
                last = replace(row, event_sequence=0)
                assert self._settled.setdefault(row.id, last) == last, "a terminal job changed"
                assert row.due_at_ms is None
        assert self._settled.keys() == {row.id for row in rows if row.is_terminal}, "a terminal job lives again"

    def _postings_sum_to_zero_and_balances_are_what_they_come_to(self, conn: Connection) -> None:
        sums: Counter[int] = Counter()
        balances: Counter[tuple[str, int]] = Counter()
        for posting in conn.execute(select(postings)):
            sums[posting.movement_id] += posting.amount_halala
            balances[posting.account_kind, posting.owner_id] += posting.amount_halala
        assert not any(sums.values()), "postings of a movement do not sum to zero"
        assert sums.keys() == set(conn.scalars(select(movements.c.id))), "a movement has no postings"
        for account in conn.execute(select(accounts)):
            assert account.balance_halala == balances[account.kind, account.owner_id], "a balance is not its postings"
            assert account.balance_halala >= 0 or account.kind in SOURCES, "a balance is negative"

    def _each_job_is_settled_once_and_in_full(self, conn: Connection, rows: list[JobRow]) -> None:
        moved: defaultdict[int, Counter[str]] = defaultdict(Counter)
        times: Counter[tuple[int, str]] = Counter()
        for movement in conn.execute(select(movements).where(movements.c.job_id.is_not(None))):
            moved[movement.job_id][movement.kind] += movement.amount_halala
            times[movement.job_id, movement.kind] += 1
        assert set(times.values()) <= {1}, "a job was paid twice"
        for row in rows:
            entries = moved[row.id]
            assert entries["hold"] == row.cost_halala
            settled = [entries[kind] for kind in SETTLING]
            if row.is_terminal:
                money, promo, platform, refund = settled
                provider = money + promo
                assert [provider, platform, refund] == [
                    row.provider_earned_halala,
                    row.dc1_fee_halala,
                    row.refunded_halala,
                ]
                assert row.actual_cost_halala == provider + platform
                assert row.cost_halala == row.actual_cost_halala + refund
            else:
                assert not any(settled), "a job was settled before its end"

    def _budgets_count_what_was_ordered_in_their_month(self, conn: Connection, rows: list[JobRow]) -> None:
        spent: Counter[tuple[str | int, int]] = Counter()
        for row in rows:
            used = row.actual_cost_halala if row.is_terminal else row.cost_halala
            month_ms = month_start_ms(row.submitted_at_ms)
            spent[row.renter_id, month_ms] += used or 0
            if row.scoped_key_id is not None:
                spent[row.scoped_key_id, month_ms] += used or 0
        for key in conn.execute(select(key_budgets)):
            assert key.month_halala == spent[key.key_id, key.month_ms], "a key's month is not its orders"
        for renter in conn.execute(select(renters)):
            assert renter.quota_month_halala == spent[renter.id, renter.quota_month_ms], "a month is not its orders"

    @staticmethod
    def key_had_room(conn: Connection, key_id: str) -> None:
        """Fail where an order passed the budget of its key."""
        row = conn.execute(select(key_budgets).where(key_budgets.c.key_id == key_id)).one()
        assert row.monthly_halala is None or row.month_halala <= row.monthly_halala, "a key passed its budget"

    def _no_machine_costs_more_than_was_held(self, conn: Connection, rows: list[JobRow]) -> None:
        held = {row.id: row.hold_price_bps for row in rows}
        for attempt in conn.execute(select(job_attempts)):
            most = held[attempt.job_id]
            assert (attempt.price_bps is None) == (most is None), "an attempt has no price"
            assert most is None or attempt.price_bps <= most, "a machine costs more than was held"
        for row in rows:
            if row.hold_price_bps is None or row.used_seconds is None or not row.actual_cost_halala:
                continue
            price = Fraction(row.rate_halala_per_minute * (row.run_price_bps or 0), 10_000)
            exact = price * Fraction(row.class_multiplier) * Fraction(row.used_seconds) / 60
            assert row.actual_cost_halala == min(row.cost_halala, ceil(exact)), "not billed by the machine that ran it"

    def _faults_decide_about_money(self, conn: Connection, rows: list[JobRow]) -> None:
        worked = set(conn.scalars(select(job_logs.c.job_id)))
        for row in rows:
            assert (row.fault is not None) == (row.status in ("failed", "cancelled")), (
                "an end has a fault, success none"
            )
            if row.fault in (Fault.PROVIDER, Fault.MARKET) and row.token_price_halala is None:
                assert row.actual_cost_halala == 0, "somebody else's fault was charged"
                assert row.refunded_halala == row.cost_halala
            if row.status == "failed" and row.actual_cost_halala:
                shown = row.working_since_ms is not None or row.id in worked
                assert shown, "a failure was charged of a run that showed no work"
            if row.started_at_ms is None:
                assert not row.actual_cost_halala, "what never ran was charged"

    def _scores_count_a_renter_once_a_day(self, conn: Connection) -> None:
        failed: defaultdict[int, list[float]] = defaultdict(list)
        ends = (
            select(job_attempts.c.provider_id, jobs.c.renter_id, job_attempts.c.ended_at_ms)
            .join(jobs, jobs.c.id == job_attempts.c.job_id)
            .where(job_attempts.c.fault == Fault.PROVIDER)
        )
        days: dict[tuple[int, int, int], int] = {}
        for provider, renter, ended_ms in conn.execute(ends):
            key = (provider, renter, ended_ms // DAY_MS)
            days[key] = min(ended_ms, days.get(key, ended_ms))
        for (provider, _, _), ended_ms in days.items():
            failed[provider].append(weight_at(ended_ms))
        for row in conn.execute(select(providers.c.id, providers.c.recent_failed)):
            assert isclose(row.recent_failed, fsum(failed[row.id]), rel_tol=1e-9), "a score is not its failures"

    def _starter_credit_is_no_money(self, conn: Connection) -> None:
        """Fail where a provider is paid from starter credit of a renter who never paid, or money is kept from it."""
        paid: Counter[int] = Counter()
        for move in conn.execute(select(movements).order_by(movements.c.id)):
            ends = conn.execute(select(postings).where(postings.c.movement_id == move.id)).all()
            to = next(end for end in ends if end.amount_halala > 0)
            if move.kind in ("topup", "admin_payment"):
                paid[to.owner_id] += move.amount_halala
            if move.kind == "charge_provider" and move.promo_halala:
                source = next(end for end in ends if end.amount_halala < 0)
                assert paid[source.owner_id] > 0, "starter credit of a renter who never paid became money"
            if to.account_kind == "promo_earnings":
                assert move.promo_halala == move.amount_halala, "money was kept apart"
        assert all(promo >= 0 for promo in conn.scalars(select(renters.c.promo_halala)))

    def _leases_fit(self, conn: Connection, rows: list[JobRow], slots: Mapping[int, int]) -> None:
        live = Counter(conn.scalars(select(job_attempts.c.job_id).where(job_attempts.c.ended_at_ms.is_(None))))
        assert live == Counter(row.id for row in rows if row.status == "running"), "one live lease, only while running"
        taken: Counter[int] = Counter()
        for row in rows:
            if row.status in ("pending", "running"):
                assert row.provider_id is not None
                taken[row.provider_id] += row.gpu_count
        assert all(used <= slots[provider] for provider, used in taken.items()), "more leases than slots"

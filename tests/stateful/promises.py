"""What must be true of the market's books and leases at every moment, read from the rows and from no counter."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection, select

from dc1.storage.jobs.job_records import JobRow, job_shape
from dc1.storage.schema.tables import accounts, job_attempts, movements, postings

SOURCES = ("promo", "external", "adjustment")
SETTLING = ("charge_provider", "charge_platform", "refund")


class Promises:
    """Remembers how each job was settled, because that must never change."""

    def __init__(self) -> None:
        self._settled: dict[int, JobRow] = {}

    def check(self, conn: Connection, slots: Mapping[int, int]) -> None:
        """Fail where a promise is broken; ``slots`` are those of each provider."""
        rows = job_shape.all(conn.execute(select(*job_shape.columns)))
        self._postings_sum_to_zero_and_balances_are_what_they_come_to(conn)
        self._each_job_is_settled_once_and_in_full(conn, rows)
        self._leases_fit(conn, rows, slots)
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
                assert settled == [row.provider_earned_halala, row.dc1_fee_halala, row.refunded_halala]
                provider, platform, refund = settled
                assert row.actual_cost_halala == provider + platform
                assert row.cost_halala == row.actual_cost_halala + refund
            else:
                assert not any(settled), "a job was settled before its end"

    def _leases_fit(self, conn: Connection, rows: list[JobRow], slots: Mapping[int, int]) -> None:
        live = Counter(conn.scalars(select(job_attempts.c.job_id).where(job_attempts.c.ended_at_ms.is_(None))))
        assert live == Counter(row.id for row in rows if row.status == "running"), "one live lease, only while running"
        taken: Counter[int] = Counter()
        for row in rows:
            if row.status in ("pending", "running"):
                assert row.provider_id is not None
                taken[row.provider_id] += row.gpu_count
        assert all(used <= slots[provider] for provider, used in taken.items()), "more leases than slots"

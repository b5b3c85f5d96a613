"""What everybody got, beside what everybody should have: from the rows of the market, and from what really happened."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from sqlalchemy import Connection, func, select

from dc1.domain.money.bookkeeping import MovementKind
from dc1.domain.money.machine_prices import HUNDRED, UNIT_PRICE_BPS
from dc1.storage.jobs.job_records import JobRow, job_shape
from dc1.storage.schema.tables import jobs, movements
from dc1.testing.daemon_script import Attempt
from tests.economy.kinds import HONEST_OWNERS, MODELS, WORTH_PCT, OwnerKind, RenterKind
from tests.economy.people import Order, Truth

SHARE = Fraction(3, 4)
ROUNDING_HALALA = 1.0
"""A bill is rounded up to a halala, of which the provider's share may be all."""

Kind = TypeVar("Kind", RenterKind, OwnerKind)
_WORKING = {*HONEST_OWNERS, OwnerKind.INFLATES, OwnerKind.FRIEND, *MODELS}


@dataclass(slots=True)
class Sums:
    """Of one kind: how many jobs, and in halala what moved and what should have."""

    jobs: int = 0
    moved: int = 0
    due: Fraction = field(default_factory=Fraction)

    @property
    def gain(self) -> float:
        """What the kind has beyond what is due, in halala a job."""
        return float(self.moved - self.due) / self.jobs if self.jobs else 0.0


@dataclass(frozen=True, slots=True)
class Reckoning:
    """By kind; a renter's `moved` is what it was spared, below 0, so that a gain is a gain for all."""

    renters: Mapping[RenterKind, Sums]
    owners: Mapping[OwnerKind, Sums]
    honest_renters_at: Mapping[OwnerKind, Sums]
    """Honest renters' jobs, by the kind of the machine that had them last."""
    beyond_budgets: int
    """What renters spent beyond their months' limits, in halala."""

    @property
    def unfair(self) -> list[str]:
        """What nobody should have: a cheat that gains, or somebody honest who loses, beyond the rounding of bills."""
        cheats = (*_without(self.renters, RenterKind.HONEST), *_without(self.owners, OwnerKind.HONEST))
        found = [f"{kind}: {each.gain:+.3f}" for kind, each in cheats if each.gain > ROUNDING_HALALA]
        honest = ((kind, self.owners[kind]) for kind in HONEST_OWNERS if kind in self.owners)
        found += [f"{kind}: {each.gain:+.3f}" for kind, each in honest if each.gain < -ROUNDING_HALALA]
        if self.beyond_budgets:
            found.append(f"{RenterKind.EVADES_ITS_BUDGET}: {self.beyond_budgets} halala beyond it")
        return found + [
            f"honest at machines that {kind}: {each.gain:+.3f}"
            for kind, each in self.honest_renters_at.items()
            if each.gain < -ROUNDING_HALALA
        ]

    @property
    def numbers(self) -> dict[str, dict[str, dict[str, float]]]:
        """All of it, for programs."""
        parts: dict[str, Mapping[RenterKind, Sums] | Mapping[OwnerKind, Sums]]
        parts = {"renters": self.renters, "owners": self.owners, "honest_renters_at": self.honest_renters_at}
        return {
            name: {kind.value: {"jobs": each.jobs, "halala_a_job": round(each.gain, 4)} for kind, each in part.items()}
            for name, part in parts.items()
        }

    def __str__(self) -> str:
        return "\n".join(
            (
                "halala a job, beyond what is due:",
                *_lines("renters", self.renters),
                *_lines("owners", self.owners),
                *_lines("honest renters, at machines that", self.honest_renters_at),
                f"  spent beyond the limits of months: {self.beyond_budgets} halala",
            )
        )


def _lines(title: str, sums: Mapping[RenterKind, Sums] | Mapping[OwnerKind, Sums]) -> Iterable[str]:
    yield f"  {title}"
    yield from (f"    {kind.value:<75}{each.gain:>9.3f} in {each.jobs} jobs" for kind, each in sums.items())


def _without(sums: Mapping[Kind, Sums], honest: Kind) -> Iterable[tuple[Kind, Sums]]:
    return ((kind, each) for kind, each in sums.items() if kind is not honest)


def reckon(
    conn: Connection,
    orders: Mapping[str, Order],
    truths: Mapping[Attempt, Truth],
    budgets: Mapping[int, int],
) -> Reckoning:
    """Compare each job's bill, and what an operator gave back of it, with the work that was done for it."""
    given, taken = (_sums(conn, kind) for kind in (MovementKind.CHARGE_RETURNED, MovementKind.EARNINGS_RETURNED))
    renters: defaultdict[RenterKind, Sums] = defaultdict(Sums)
    owners: defaultdict[OwnerKind, Sums] = defaultdict(Sums)
    honest: defaultdict[OwnerKind, Sums] = defaultdict(Sums)
    spent: defaultdict[int, int] = defaultdict(int)
    for job in job_shape.all(conn.execute(select(*job_shape.columns).order_by(jobs.c.id))):
        order, truth = orders[job.job_id], truths.get((job.job_id, job.attempt_number))
        worth = _worth(job, order, truth)
        paid = (job.actual_cost_halala or 0) - given.get(job.id, 0)
        spent[job.renter_id] += job.actual_cost_halala or 0
        # That a cheat has to sell for less than its card is worth is no renter's gain.
        sold = worth * min(Fraction(1), Fraction(job.run_price_bps or 0, _worth_bps(truth))) if truth else worth
        _add(renters[order.kind], -paid, -sold)
        if truth is not None:
            # What is kept apart is no cash.
            cash = job.earned_halala - (job.promo_earned_halala or 0) - taken.get(job.id, 0)
            _add(owners[truth.kind], cash, Fraction(0) if order.paid_by_friend else worth * SHARE)
            if order.kind is RenterKind.HONEST:
                _add(honest[truth.kind], -paid, -sold)
    return Reckoning(renters, owners, honest, sum(max(0, spent[renter] - most) for renter, most in budgets.items()))


def _sums(conn: Connection, kind: MovementKind) -> dict[int, int]:
    """Return what the ledger's movements of a kind come to, by job; of what was earned from credit nothing is cash."""
    cash = movements.c.amount_halala - (movements.c.promo_halala if kind is MovementKind.EARNINGS_RETURNED else 0)
    query = select(movements.c.job_id, func.sum(cash)).where(movements.c.kind == kind).group_by(movements.c.job_id)
    return {job_id: int(total) for job_id, total in conn.execute(query)}


def _worth_bps(truth: Truth) -> int:
    return WORTH_PCT.get(truth.kind, HUNDRED) * truth.ask_pct


def _worth(job: JobRow, order: Order, truth: Truth | None) -> Fraction:
    """Return what the work of the last run is worth: what the same card costs by its own name, asked for as much.

    Of a machine that does not work nothing is worth anything.
    """
    if truth is None or truth.kind not in _WORKING:
        return Fraction(0)
    price = Fraction(_worth_bps(truth), UNIT_PRICE_BPS) * job.rate_halala_per_minute * Fraction(job.class_multiplier)
    return price * Fraction(truth.worked_seconds) / 60


def _add(sums: Sums, moved: int, due: Fraction) -> None:
    sums.jobs += 1
    sums.moved += moved
    sums.due += due

"""Providers whose runs end as their renters' fault far more often than the same work does elsewhere.

Each such run is charged, and whether the program or the machine failed is the daemon's word. One run proves nothing;
that the same image or model fails here for renter after renter, and at others for few, does.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

FEWEST_RUNS = 20
FEWEST_RENTERS = 5
LEAST_EXCESS = 0.3
"""By so much the share of renters' faults here is above that elsewhere, at the least."""

LEAST_DEVIATIONS = 5.0
"""And by so many standard deviations: with 50 providers judged all the time, what is rare happens every day."""


@dataclass(slots=True)
class Runs:
    """The ended runs of one kind of work at one provider: all, and those called the renter's fault, by renter."""

    ended: Counter[int] = field(default_factory=Counter)
    faulted: Counter[int] = field(default_factory=Counter)

    def add(self, renter_id: int, runs: int, faulted: int) -> None:
        """Count runs of a renter."""
        self.ended[renter_id] += runs
        self.faulted[renter_id] += faulted

    def forget(self, runs: "Runs") -> None:
        """Take runs out that were counted before; a renter without any is not known any more."""
        self.ended -= runs.ended
        self.faulted -= runs.faulted

    @property
    def shares(self) -> list[float]:
        """The share of faults of each renter; each counts once, so that none decides by how much it orders."""
        return [self.faulted[renter_id] / runs for renter_id, runs in self.ended.items()]


def outliers(work: Mapping[int, Runs]) -> Iterator[int]:
    """Yield the providers, of those that did one kind of work, where far more of it ends as the renter's fault."""
    whole = Runs()
    for runs in work.values():
        whole.ended.update(runs.ended)
        whole.faulted.update(runs.faulted)
    for provider_id, runs in work.items():
        # The cheap look first: of most providers few runs end so, whatever others' do.
        if _is_known(runs) and _mean(runs.shares) >= LEAST_EXCESS and _stands_out(runs, _without(whole, runs)):
            yield provider_id


def _without(whole: Runs, runs: Runs) -> Runs:
    return Runs(whole.ended - runs.ended, whole.faulted - runs.faulted)


def _mean(shares: list[float]) -> float:
    return sum(shares) / len(shares)


def _is_known(runs: Runs) -> bool:
    return len(runs.ended) >= FEWEST_RENTERS and runs.ended.total() >= FEWEST_RUNS


def _stands_out(here: Runs, elsewhere: Runs) -> bool:
    # What nobody else does cannot be compared: a program that fails everywhere is its renters'.
    if not _is_known(elsewhere):
        return False
    shares, others = here.shares, elsewhere.shares
    excess = _mean(shares) - _mean(others)
    # As if one more renter had failed elsewhere: where none has, a single one here would be infinitely many deviations.
    usual = (sum(others) + 1) / (len(others) + 2)
    deviation = math.sqrt(usual * (1 - usual) / len(shares))
    return excess >= LEAST_EXCESS and excess >= LEAST_DEVIATIONS * deviation

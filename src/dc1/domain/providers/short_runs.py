"""Providers whose runs are over in next to no time, where the same work takes others long.

A made-up result costs a halala at the least, and whether it is one only its renter sees. That run after run of renter
after renter is done at once here does not happen to a machine that works, however fast it is.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dc1.domain.providers.fault_outliers import FEWEST_RENTERS, FEWEST_RUNS

MOST_SHARE = 1 / 50
"""Of the time that others take: the fastest card of the table does 45 times what the slowest does."""

LEAST_USUAL_MS = 30_000
"""Work that is short everywhere tells nothing."""

_STEPS = 4


@dataclass(slots=True)
class RunTimes:
    """How long completed runs of one kind of work took at one provider, by renter and quarter of a power of two."""

    by_renter: dict[int, Counter[int]] = field(default_factory=dict)

    def add(self, renter_id: int, milliseconds: int) -> None:
        """Count a run of a renter."""
        self.by_renter.setdefault(renter_id, Counter())[round(_STEPS * math.log2(max(1, milliseconds)))] += 1

    def forget(self, times: "RunTimes") -> None:
        """Take runs out that were counted before."""
        for renter_id, runs in times.by_renter.items():
            self.by_renter[renter_id] -= runs
            if not self.by_renter[renter_id]:
                del self.by_renter[renter_id]

    @property
    def usual_ms(self) -> float | None:
        """The median of the renters' medians, so that none decides by how much it orders; None of too few to tell."""
        return _usual_ms(Counter(map(_median, self.by_renter.values())), _runs_of(self.by_renter.values()))


class Whole:
    """One kind of work at all providers, of which each one's part can be taken out without counting all anew."""

    def __init__(self, work: Iterable[RunTimes]) -> None:
        self._by_renter: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for times in work:
            for renter_id, runs in times.by_renter.items():
                self._by_renter[renter_id].update(runs)
        self._median_of = {renter_id: _median(runs) for renter_id, runs in self._by_renter.items()}
        self._medians = Counter(self._median_of.values())
        self._runs = _runs_of(self._by_renter.values())
        self.usual_ms = _usual_ms(self._medians, self._runs)

    def usual_ms_without(self, times: RunTimes) -> float | None:
        """Return what is usual elsewhere, as `RunTimes.usual_ms`."""
        medians = self._medians.copy()
        for renter_id, runs in times.by_renter.items():
            medians[self._median_of[renter_id]] -= 1
            if left := self._by_renter[renter_id] - runs:
                medians[_median(left)] += 1
        return _usual_ms(medians, self._runs - _runs_of(times.by_renter.values()))


def too_short(work: Mapping[int, RunTimes]) -> Iterator[int]:
    """Yield the providers, of those that did one kind of work, that are done with it in no time."""
    whole = Whole(work.values())
    for provider_id, times in work.items():
        here_ms = times.usual_ms
        # The cheap look first: most providers are not faster than most.
        if here_ms is None or whole.usual_ms is None or here_ms > whole.usual_ms:
            continue
        elsewhere_ms = whole.usual_ms_without(times)
        if elsewhere_ms is not None and elsewhere_ms >= LEAST_USUAL_MS and here_ms <= MOST_SHARE * elsewhere_ms:
            yield provider_id


def _usual_ms(medians: Counter[int], runs: int) -> float | None:
    if medians.total() < FEWEST_RENTERS or runs < FEWEST_RUNS:
        return None
    return float(2 ** (_median(medians) / _STEPS))


def _runs_of(renters: Iterable[Counter[int]]) -> int:
    return sum(runs.total() for runs in renters)


def _median(counts: Counter[int]) -> int:
    """Return the upper median of what was counted."""
    left = counts.total() // 2
    for step in sorted(counts):
        left -= counts[step]
        if left < 0:
            return step
    raise ValueError("nothing was counted")

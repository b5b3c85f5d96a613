"""Providers whose runs are over in next to no time, where the same work takes others long.

A made-up result costs a halala at the least, and whether it is one only its renter sees. That run after run of renter
after renter is done at once here does not happen to a machine that works, however fast it is.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
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

    runs: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, renter_id: int, milliseconds: int) -> None:
        """Count a run of a renter."""
        self.runs[renter_id, round(_STEPS * math.log2(max(1, milliseconds)))] += 1

    def forget(self, times: "RunTimes") -> None:
        """Take runs out that were counted before."""
        self.runs -= times.runs

    @property
    def usual_ms(self) -> float | None:
        """The median of the renters' medians, so that none decides by how much it orders; None of too few to tell."""
        by_renter: defaultdict[int, list[int]] = defaultdict(list)
        for (renter_id, step), runs in sorted(self.runs.items()):
            by_renter[renter_id] += [step] * runs
        if len(by_renter) < FEWEST_RENTERS or self.runs.total() < FEWEST_RUNS:
            return None
        medians = sorted(steps[len(steps) // 2] for steps in by_renter.values())
        return float(2 ** (medians[len(medians) // 2] / _STEPS))


def too_short(work: Mapping[int, RunTimes]) -> Iterator[int]:
    """Yield the providers, of those that did one kind of work, that are done with it in no time."""
    whole = RunTimes()
    for times in work.values():
        whole.runs.update(times.runs)
    usual_ms = whole.usual_ms
    for provider_id, times in work.items():
        here_ms = times.usual_ms
        # The cheap look first: most providers are not faster than most.
        if here_ms is None or usual_ms is None or here_ms > usual_ms:
            continue
        elsewhere_ms = RunTimes(whole.runs - times.runs).usual_ms
        if elsewhere_ms is not None and elsewhere_ms >= LEAST_USUAL_MS and here_ms <= MOST_SHARE * elsewhere_ms:
            yield provider_id

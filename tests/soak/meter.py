"""What the server and Envoy hold and use while a soak runs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

from bench.children import Usage

WARM_UP_SHARE = 1 / 3
"""The first part of the time is not judged: caches fill, and the allocator finds its size."""

_KIB = 1024


@dataclass(frozen=True, slots=True)
class Trend:
    """A process's resident memory after the warm-up, and its growth over that time by the straight line that fits best."""

    mean_mib: float
    growth_mib: float
    minutes: float


class Meter:
    """Reads one process, once a call."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._samples: list[tuple[float, Usage]] = []

    def read(self) -> None:
        self._samples.append((time.monotonic(), Usage.of(self._pid)))

    @property
    def memory_mib(self) -> float:
        return self._samples[-1][1].memory_kib / _KIB

    def share_of_core(self, samples: int | None = None) -> float:
        """CPU over the last so many samples, or over all."""
        (began, before), (ended, after) = self._samples[-samples if samples else 0 :][0], self._samples[-1]
        return (after.cpu_seconds - before.cpu_seconds) / (ended - began) if ended > began else 0.0

    def trend(self) -> Trend:
        return trend([(at, usage.memory_kib / _KIB) for at, usage in self._samples])


def trend(samples: Sequence[tuple[float, float]]) -> Trend:
    """How memory developed after the warm-up; `samples` are seconds and MiB, the first at the beginning."""
    (began, _), (ended, _) = samples[0], samples[-1]
    judged = [sample for sample in samples if sample[0] >= began + (ended - began) * WARM_UP_SHARE]
    seconds = judged[-1][0] - judged[0][0]
    slope = linear_regression([at for at, _ in judged], [mib for _, mib in judged]).slope if seconds else 0.0
    return Trend(fmean(mib for _, mib in judged), slope * seconds, seconds / 60)

"""What the processes of a market hold and use while a soak runs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, linear_regression

from bench.children import Usage

WARM_UP_SHARE = 1 / 3
"""The first part of the time is not judged: caches fill, and the allocator finds its size."""

_KIB = 1024


@dataclass(frozen=True, slots=True)
class Trend:
    """A quantity after the warm-up, and its growth over that time by the straight line that fits best."""

    mean: float
    growth: float
    minutes: float


class Meter:
    """Reads one process, once a call."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._samples: list[tuple[float, Usage, int]] = []

    def read(self) -> None:
        files = sum(1 for _ in Path(f"/proc/{self._pid}/fd").iterdir())
        self._samples.append((time.monotonic(), Usage.of(self._pid), files))

    @property
    def memory_mib(self) -> float:
        return self._samples[-1][1].memory_kib / _KIB

    def share_of_core(self, samples: int | None = None) -> float:
        """CPU over the last so many samples, or over all."""
        (began, before, _), (ended, after, _) = self._samples[-samples if samples else 0 :][0], self._samples[-1]
        return (after.cpu_seconds - before.cpu_seconds) / (ended - began) if ended > began else 0.0

    def memory(self) -> Trend:
        """Resident memory, in MiB."""
        return trend([(at, usage.memory_kib / _KIB) for at, usage, _ in self._samples])

    def files(self) -> Trend:
        """Open files, connections among them."""
        return trend([(at, float(files)) for at, _, files in self._samples])


def trend(samples: Sequence[tuple[float, float]]) -> Trend:
    """How a quantity developed after the warm-up; `samples` are seconds and values, the first at the beginning."""
    (began, _), (ended, _) = samples[0], samples[-1]
    judged = [sample for sample in samples if sample[0] >= began + (ended - began) * WARM_UP_SHARE]
    seconds = judged[-1][0] - judged[0][0]
    slope = linear_regression([at for at, _ in judged], [value for _, value in judged]).slope if seconds else 0.0
    return Trend(fmean(value for _, value in judged), slope * seconds, seconds / 60)

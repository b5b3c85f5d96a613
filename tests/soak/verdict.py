"""Whether a market has come through a soak as it went in."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from dc1.testing.rest import Json
from tests.chaos.verdict import Found, percentiles
from tests.soak.meter import Trend
from tests.soak.witness import Witness
from tests.support.logs import troubles

SERVER, EDGE, DAEMONS = "server", "Envoy", "stream daemons"

GROWTH_ALLOWED_MIB = {SERVER: 16.0, EDGE: 8.0, DAEMONS: 16.0}
"""The most that the memory of a process may grow after the warm-up. What SQLite may cache is 16 MiB, and fills for
longer than ten minutes; on PostgreSQL, or with small caches, the server grows by one or two."""

FILES_ALLOWED = 250.0
"""How many more files a process may have open after that. A slow machine has each of 200 polling daemons open a second
connection, to poll while its heartbeat is answered; one stream in five that is never closed would be more."""

_LINES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one soak, and what is wrong; nothing is when it was passed."""

    title: str
    seconds: float
    answers: Counter[int]
    streams: Counter[str]
    found: Found
    memory: dict[str, Trend]
    files: dict[str, Trend]
    cpu: dict[str, float]
    failures: list[str]

    def __str__(self) -> str:
        ended = ", ".join(f"{status} {jobs}" for status, jobs in sorted(self.found.statuses.items()))
        answers = ", ".join(f"{count:,} x {status}" for status, count in sorted(self.answers.items()))
        lines = [
            f"{self.title}: {self.seconds / 60:.1f} minutes",
            f"  {self.found.statuses.total():,} jobs ({ended}); submission to completion {percentiles(self.found.seconds_to_end)}",
            f"  REST answers: {answers}",
            f"  SSE: {self.streams['frames']:,} frames, {self.streams['ended']:,} streams to their end, "
            f"{self.streams['left']:,} left before it",
        ]
        lines += [
            f"  {name}: {memory.mean:.0f} MiB, {memory.growth:+.1f} MiB in {memory.minutes:.1f} minutes after the "
            f"warm-up (at most {GROWTH_ALLOWED_MIB[name]:+.0f}); {self.files[name].mean:.0f} open files, "
            f"{self.files[name].growth:+.0f}; {self.cpu[name]:.0%} of a core"
            for name, memory in self.memory.items()
        ]
        lines += [f"  FAILED: {failure}" for failure in self.failures] or ["  passed"]
        return "\n".join(lines)

    @property
    def numbers(self) -> Json:
        """Everything, for JSON."""
        return {
            "title": self.title,
            "seconds": self.seconds,
            "answers": dict(self.answers),
            "streams": dict(self.streams),
            "jobs": dict(self.found.statuses),
            "seconds_to_end": self.found.seconds_to_end,
            "memory": {name: asdict(memory) for name, memory in self.memory.items()},
            "files": {name: asdict(files) for name, files in self.files.items()},
            "cpu": self.cpu,
            "failures": self.failures,
        }


def failures(
    witness: Witness,
    found: Found,
    stored: set[int],
    open_jobs: int,
    memory: dict[str, Trend],
    files: dict[str, Trend],
    logs: dict[str, str],
) -> Iterator[str]:
    """What must not be; memory, open files and logs by the name of the process."""
    for name, trend in memory.items():
        if trend.growth > GROWTH_ALLOWED_MIB[name]:
            yield f"the memory of {name} grew by {trend.growth:.1f} MiB after the warm-up"
    for name, trend in files.items():
        if trend.growth > FILES_ALLOWED:
            yield f"{name} had {trend.growth:.0f} more files open after the warm-up"
    for name, log in logs.items():
        if lines := list(troubles(log)):
            yield f"{len(lines)} lines of trouble in the log of {name}: {' | '.join(lines[:_LINES_SHOWN])}"
    if lost := logs[DAEMONS].count('"not_connected"'):
        yield f"{lost} streams of daemons broke"
    if witness.problem_count:
        yield f"{witness.problem_count} unexpected answers: {' | '.join(witness.problems[:_LINES_SHOWN])}"
    if open_jobs:
        yield f"{open_jobs} jobs have not ended"
    if stored != witness.acknowledged:
        lost, made_up = len(witness.acknowledged - stored), len(stored - witness.acknowledged)
        yield f"{lost} acknowledged jobs are not stored, {made_up} stored jobs were acknowledged to nobody"
    yield from (f"the books: {problem}" for problem in found.problems)

"""Whether a market has come through a soak as it went in."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from tests.chaos.verdict import Found, percentiles
from tests.soak.meter import Trend
from tests.soak.witness import Witness
from tests.stack.rest import Json

GROWTH_ALLOWED_MIB = {"server": 16.0, "Envoy": 8.0}
"""The most that the memory of a process may grow after the warm-up. What SQLite may cache is 16 MiB, and fills for a while."""

_LINES_SHOWN = 5
_NOT_LOGGED = re.compile(r"^Traceback|^\w*(Error|Exception|Warning): |^[EF]\d{4} ")


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one soak, and what is wrong; nothing is when it was passed."""

    title: str
    seconds: float
    answers: Counter[int]
    streams: Counter[str]
    found: Found
    memory: dict[str, Trend]
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
            f"  {name}: {memory.mean_mib:.0f} MiB, {memory.growth_mib:+.1f} MiB in {memory.minutes:.1f} minutes after the "
            f"warm-up (at most {GROWTH_ALLOWED_MIB[name]:+.0f}); {self.cpu[name]:.0%} of a core"
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
            "cpu": self.cpu,
            "failures": self.failures,
        }


def failures(
    witness: Witness,
    found: Found,
    stored: set[int],
    open_jobs: int,
    memory: dict[str, Trend],
    server_log: str,
    daemons_log: str,
) -> Iterator[str]:
    """What must not be."""
    for name, trend in memory.items():
        if trend.growth_mib > GROWTH_ALLOWED_MIB[name]:
            yield f"the memory of {name} grew by {trend.growth_mib:.1f} MiB after the warm-up"
    for name, log in (("server", server_log), ("stream daemons", daemons_log)):
        if troubles := list(log_troubles(log)):
            yield f"{len(troubles)} lines of trouble in the log of the {name}: {' | '.join(troubles[:_LINES_SHOWN])}"
    if lost := daemons_log.count('"not connected"'):
        yield f"{lost} streams of daemons broke"
    if witness.problem_count:
        yield f"{witness.problem_count} unexpected answers: {' | '.join(witness.problems[:_LINES_SHOWN])}"
    if open_jobs:
        yield f"{open_jobs} jobs have not ended"
    if stored != witness.acknowledged:
        lost, made_up = len(witness.acknowledged - stored), len(stored - witness.acknowledged)
        yield f"{lost} acknowledged jobs are not stored, {made_up} stored jobs were acknowledged to nobody"
    yield from (f"the books: {problem}" for problem in found.problems)


def log_troubles(log: str) -> Iterator[str]:
    """The lines that are errors: the log's own, and those of tracebacks and of gRPC beside it."""
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            if _NOT_LOGGED.search(line):
                yield line
        else:
            if entry["level"] in ("error", "critical") or "exception" in entry:
                yield line

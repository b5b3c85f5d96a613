"""What was measured, for people and for docs/limits.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: what was measured, how it reads, and the numbers behind it (seconds, counts)."""

    what: str
    shown: str
    numbers: Mapping[str, float]


Findings = Mapping[str, Sequence[Figure]]
"""What was found on each engine; every engine has the same lines."""


def table(machine: str, findings: Findings) -> Table:
    """For the terminal."""
    drawn = Table("through Envoy", *findings, caption=machine, caption_justify="left")
    for row in _rows(findings):
        drawn.add_row(*row)
    return drawn


def markdown(findings: Findings) -> str:
    """For docs/limits.md."""
    head = ["through Envoy", *findings]
    lines = [head, ["---"] * len(head), *_rows(findings)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_json(machine: str, findings: Findings) -> dict[str, Any]:
    """For programs."""
    engines = {
        engine: {figure.what: {"shown": figure.shown, **figure.numbers} for figure in figures}
        for engine, figures in findings.items()
    }
    return {"machine": machine, "engines": engines}


def _rows(findings: Findings) -> list[list[str]]:
    return [
        [figures[0].what, *(figure.shown for figure in figures)] for figures in zip(*findings.values(), strict=True)
    ]


def latency(what: str, seconds: Sequence[float]) -> Figure:
    """The line of something that takes time: its median, and what one in a hundred exceeds."""
    p50, p99 = percentile(seconds, 50), percentile(seconds, 99)
    return Figure(what, f"p50 {milliseconds(p50)}, p99 {milliseconds(p99)}", {"p50": p50, "p99": p99})


def rate(what: str, count: int, seconds: float) -> Figure:
    """The line of something that happens so many times in a second."""
    return Figure(what, f"{count / seconds:,.0f}/s", {"count": count, "seconds": seconds})


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the others do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def milliseconds(seconds: float) -> str:
    """A short time, to two or three digits."""
    return f"{seconds * 1000:.{1 if seconds < 0.1 else 0}f} ms"

"""What was measured, for people and for docs/limits.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: what was measured, how it reads, and the numbers behind it.

    Of `numbers` two checkouts can be compared; `beside` says of how much they were made.
    """

    what: str
    shown: str
    numbers: Mapping[str, float]
    beside: Mapping[str, float] = field(default_factory=dict)


Findings = Mapping[str, Sequence[Figure]]
"""What was found on each engine."""


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
        engine: {
            figure.what: {
                "shown": figure.shown,
                "compared": list(figure.numbers),
                **figure.numbers,
                **figure.beside,
            }
            for figure in figures
        }
        for engine, figures in findings.items()
    }
    return {"machine": machine, "engines": engines}


def _rows(findings: Findings) -> list[list[str]]:
    # In the order of the engine that has most: of a database of one server there is less to tell.
    longest = max(findings.values(), key=len)
    shown = [{figure.what: figure.shown for figure in figures} for figures in findings.values()]
    return [[figure.what, *(each.get(figure.what, "") for each in shown)] for figure in longest]


def latency(what: str, seconds: Sequence[float]) -> Figure:
    """The line of something that takes time: its median, and what one in a hundred exceeds."""
    p50, p99 = percentile(seconds, 50), percentile(seconds, 99)
    return Figure(what, f"p50 {milliseconds(p50)}, p99 {milliseconds(p99)}", {"p50": p50, "p99": p99})


def rate(what: str, count: int, seconds: float) -> Figure:
    """The line of something that happens so many times in a second."""
    return Figure(
        what, f"{count / seconds:,.0f}/s", {"per_second": count / seconds}, {"count": count, "seconds": seconds}
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the others do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def milliseconds(seconds: float) -> str:
    """A short time, to two or three digits."""
    return f"{seconds * 1000:.{1 if seconds < 0.1 else 0}f} ms"

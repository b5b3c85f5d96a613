"""What was measured, for people and for the README."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Finding:
    """One table; `limit` says in a sentence what held it back."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    limit: str
    numbers: dict[str, Any] = field(default_factory=dict)


def show(console: Console, finding: Finding) -> None:
    table = Table(
        *finding.columns, title=finding.title, title_justify="left", caption=finding.limit, caption_justify="left"
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for row in finding.rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def markdown(machine: str, findings: Sequence[Finding]) -> str:
    parts = [f"Measured by `make bench` on {machine}."]
    for finding in findings:
        head = " | ".join(finding.columns)
        rule = "|".join(["---", *["---:"] * (len(finding.columns) - 1)])
        rows = "\n".join(f"| {' | '.join(row)} |" for row in finding.rows)
        parts.append(f"**{finding.title}**\n\n| {head} |\n|{rule}|\n{rows}\n\n{finding.limit}")
    return "\n\n".join(parts) + "\n"


def as_json(machine: str, findings: Sequence[Finding]) -> dict[str, Any]:
    return {"machine": machine, "findings": [asdict(finding) for finding in findings]}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the others do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def each_second(count: float, seconds: float) -> str:
    return f"{count / seconds:,.0f}/s"

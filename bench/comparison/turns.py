"""Two checkouts measured in turns, for what one run says of a busy machine is true of that run alone."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

_HERE = Path(__file__).resolve().parents[2]

Findings = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""What one run found: by engine, by figure, its numbers."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A number of this checkout divided by the other's: of each pair of runs that followed each other."""

    engine: str
    what: str
    number: str
    pairs: Sequence[float]

    @property
    def shown(self) -> str:
        """The median of the pairs, and how far they are apart."""
        return f"{median(self.pairs):.2f} ({min(self.pairs):.2f} to {max(self.pairs):.2f})"


def compare(other: Path, rounds: int, arguments: Sequence[str]) -> list[Ratio]:
    """Measure this checkout and another in turns, `rounds` times each, by the same bench: this one.

    Fails with a CalledProcessError where a run does; the other checkout has to have what the bench imports.
    """
    found: list[tuple[Findings, Findings]] = []
    for number in range(rounds):
        # Who is first has the disk's cache cold, or the machine's clock high: so each is first in turn.
        order = (_HERE, other) if number % 2 == 0 else (other, _HERE)
        runs = {checkout: _run(checkout, arguments) for checkout in order}
        found.append((runs[_HERE], runs[other]))
    return list(_ratios(found))


def table(other: Path, ratios: Sequence[Ratio]) -> Table:
    """For the terminal."""
    drawn = Table("this checkout to the other", "number", "engine", "median of pairs (least to most)")
    drawn.caption, drawn.caption_justify = f"The other is {other}", "left"
    for ratio in ratios:
        drawn.add_row(ratio.what, ratio.number, ratio.engine, ratio.shown)
    return drawn


def as_json(ratios: Sequence[Ratio]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "engine": ratio.engine,
            "what": ratio.what,
            "number": ratio.number,
            "median": median(ratio.pairs),
            "pairs": list(ratio.pairs),
        }
        for ratio in ratios
    ]


def _run(checkout: Path, arguments: Sequence[str]) -> Findings:
    # In front of what is installed, which leads to this checkout.
    path = os.pathsep.join(str(checkout / folder) for folder in ("src", "gen"))
    with tempfile.TemporaryDirectory(prefix="dc1-bench-") as directory:
        file = Path(directory) / "found.json"
        subprocess.run(
            [sys.executable, "-m", "bench", *arguments, "--json", str(file)],
            check=True,
            cwd=_HERE,
            env={**os.environ, "PYTHONPATH": path},
        )
        findings: Findings = json.loads(file.read_text())["engines"]
        return findings


def _ratios(found: Sequence[tuple[Findings, Findings]]) -> Iterator[Ratio]:
    for engine, figures in found[0][0].items():
        for what, figure in figures.items():
            for number in figure["compared"]:
                pairs = [
                    (_number(ours, engine, what, number), _number(theirs, engine, what, number))
                    for ours, theirs in found
                ]
                # A count of what went wrong may be nothing, to which nothing has a ratio.
                if all(ours is not None and theirs for ours, theirs in pairs):
                    yield Ratio(engine, what, number, [(ours or 0) / (theirs or 1) for ours, theirs in pairs])


def _number(findings: Findings, engine: str, what: str, number: str) -> float | None:
    value = findings[engine].get(what, {}).get(number)
    return None if value is None else float(value)

"""Counts reasons: comment lines per 100 lines of code on each floor of `src/dc1`, held to a least by `make lint`."""

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src/dc1"

LEAST = 4.0
"""Comment lines per 100 lines of code over all of `src/dc1`."""

LEAST_ON_FLOOR = {
    "domain": 2.0,
    "control": 4.0,
    "daemon": 4.0,
    "cli": 4.0,
    "server": 4.0,
    "storage": 4.0,
    "settings": 4.0,
}

# What speaks to a tool says nothing to a reader.
_DIRECTIVE = re.compile(r"#\s*(noqa|type:|pragma|ruff:)")
_LAYOUT = frozenset({tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER})


@dataclass(frozen=True, slots=True)
class Count:
    """Lines of comments and of code; docstrings and blank lines are neither."""

    comments: int = 0
    code: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.comments + other.comments, self.code + other.code)

    @property
    def density(self) -> float:
        """Comment lines per 100 lines of code."""
        return 100 * self.comments / max(1, self.code)


def count(source: str) -> Count:
    """Return the lines of one module."""
    comments: set[int] = set()
    code: set[int] = set()
    begins = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if not _DIRECTIVE.match(token.string):
                comments.add(token.start[0])
        elif token.type not in _LAYOUT and not (begins and token.type == tokenize.STRING):
            code.update(range(token.start[0], token.end[0] + 1))
        # A string that begins a statement documents something.
        if token.type not in {tokenize.NL, tokenize.COMMENT}:
            begins = token.type in _LAYOUT
    return Count(len(comments), len(code))


def count_floors(sources: Path = SOURCES) -> dict[str, Count]:
    """Return the lines of every floor; a module beside the floors is one of its own."""
    floors: dict[str, Count] = {}
    for file in sorted(sources.rglob("*.py")):
        floor = file.relative_to(sources).parts[0]
        floors[floor] = floors.get(floor, Count()) + count(file.read_text(encoding="utf-8"))
    return floors


def shortfalls(floors: dict[str, Count]) -> Iterator[str]:
    """Yield a sentence for each floor, and for the whole, that says too few reasons."""
    for floor, least in LEAST_ON_FLOOR.items():
        if floors[floor].density < least:
            yield f"{floor} has {floors[floor].density:.1f} comment lines per 100 lines of code, and needs {least:g}."
    whole = sum(floors.values(), start=Count())
    if whole.density < LEAST:
        yield f"src/dc1 has {whole.density:.1f} comment lines per 100 lines of code, and needs {LEAST:g}."


def main() -> None:
    """Print the floors when one falls short, and end with status 1."""
    floors = count_floors()
    if found := [*shortfalls(floors)]:
        print("\n".join([*(f"{name:12} {lines.density:5.1f}" for name, lines in floors.items()), *found]))
        sys.exit(1)


if __name__ == "__main__":
    main()

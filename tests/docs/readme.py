"""What the README says, taken apart."""

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced code block: its language, its text, and the heading above it."""

    language: str
    text: str
    heading: str


def blocks() -> list[Block]:
    text = README.read_text(encoding="utf-8")
    return [
        Block(fence[1], fence[2], re.findall(r"^#+ (.+)$", text[: fence.start()], re.MULTILINE)[-1])
        for fence in _FENCE.finditer(text)
    ]


def block(heading: str) -> Block:
    (found,) = (one for one in blocks() if one.heading == heading)
    return found


def table_rows(heading: str) -> list[str]:
    section = README.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]

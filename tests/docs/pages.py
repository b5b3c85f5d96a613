"""What the pages for people say, taken apart."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_EXCERPT = re.compile(r"^<!-- from (\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced code block: its language, its text, and the heading above it."""

    language: str
    text: str
    heading: str


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        """Its place in the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without its code blocks."""
        return _FENCE.sub("", self.text)

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(fence[1], fence[2], (_HEADING.findall(self.text[: fence.start()]) or [""])[-1])
            for fence in _FENCE.finditer(self.text)
        ]

    @cached_property
    def excerpts(self) -> list[tuple[str, str]]:
        """The code blocks that are said to be from a file, each with its name."""
        return _EXCERPT.findall(self.text)

    @cached_property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @cached_property
    def code(self) -> list[str]:
        """What stands between backticks in the text."""
        return _CODE.findall(self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """The names by which its headings are linked to."""
        return {anchor_of(heading) for heading in _HEADING.findall(self.prose)}

    def section(self, heading: str) -> str:
        found = re.split(rf"^#+ {re.escape(heading)}$", self.text, flags=re.MULTILINE)[1]
        return re.split(r"^#+ ", found, flags=re.MULTILINE)[0]

    def table_rows(self, heading: str) -> list[str]:
        return [line for line in self.section(heading).splitlines() if line.startswith("|")][2:]


def anchor_of(heading: str) -> str:
    """The name that a heading is linked to by."""
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
    return kept.replace(" ", "-")


def page(name: str) -> Page:
    return Page(ROOT / name)


def pages() -> list[Page]:
    """Every page for people."""
    directories = (".", "docs", "docs/decisions", "examples")
    return [Page(path) for name in directories for path in sorted((ROOT / name).glob("*.md"))]

"""How answers look: the exact JSON for programs, tables for people."""

import contextlib
import csv
import io
import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from dc1.client import Answer

# A file or a pipe has no width to fold at.
_PIPE_WIDTH = 1000

# No markup anywhere: names, prompts and logs are other people's text.
console = Console(markup=False, highlight=False, emoji=False)
if not console.is_terminal:
    console.width = _PIPE_WIDTH
_is_csv = ContextVar("dc1_is_csv", default=False)
# What a spreadsheet calculates; an amount below nothing and the dash for what is not known are none.
_FORMULA = re.compile(r"[=+@\t]|-(?![\d.,]*\Z)")
notes = Console(markup=False, highlight=False, emoji=False, stderr=True)


def emit(answer: Answer, as_json: bool, show: Callable[[dict[str, Any]], None]) -> None:
    """Print the answer as it came when `as_json` is set, else lets `show` print it for people."""
    if as_json:
        print(encodable(answer.text))
    else:
        show(answer.body)


@contextmanager
def as_csv(wanted: bool) -> Iterator[None]:
    """Print tables as comma-separated values inside the block."""
    # Not an argument of every command that shows something: how it looks is none of their business.
    token = _is_csv.set(wanted)
    try:
        yield
    finally:
        _is_csv.reset(token)


def encodable(json_text: str) -> str:
    """Return JSON that standard output can hold, with escapes in place of the letters that it has not."""
    try:
        json_text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        # Such letters stand in strings only, where JSON has escapes for all of them.
        return "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in json_text)
    return json_text


def take_any_letter() -> None:
    """Let standard output and error print everybody's names: letters that they have not become escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard(stream: TextIO | None) -> None:
    """Throw away what a stream holds and is yet to be told, so that the end of the process is none of failure."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def facts(rows: Mapping[str, Any], title: str | None = None) -> None:
    """Print names and values in two columns."""
    if _is_csv.get():
        _print_csv(([name, cell(value)] for name, value in rows.items()))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, cell(value))
    _print_title(title)
    console.print(table)


def listing(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, empty: str) -> None:
    """Print a table, or the sentence `empty` when there are no rows."""
    if _is_csv.get():
        _print_csv([columns, *([cell(value) for value in row] for row in rows)])
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        # The first names the row, and is copied into the next command.
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    if table.rows:
        _print_title(title)
    console.print(table if table.rows else empty)


def _print_csv(rows: Iterable[Sequence[str]]) -> None:
    # A text that a spreadsheet would take for a formula is a stranger's, and is kept a text.
    safe = ([f"'{text}" if _FORMULA.match(text) else text for text in row] for row in rows)
    csv.writer(sys.stdout, lineterminator="\n").writerows(safe)


def _print_title(title: str | None) -> None:
    # Not as the table's own, which is folded to the width of the columns.
    if title is not None:
        console.print(title, style="bold", soft_wrap=True)


def page_of(pagination: Mapping[str, int]) -> str:
    """Return where a page stands, for example `page 2 of 7, 345 in all`."""
    return f"page {pagination['page']} of {pagination['pages']}, {pagination['total']} in all"


def part_of(rows: Sequence[Any], total: int) -> str:
    """Return how much of a list is shown, for example `20 of 345`."""
    return f"{len(rows)} of {total}"


def cell(value: Any) -> str:
    """Return the text of one value: `-` for what is not known, yes and no for booleans."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(printable(str(item)) for item in value) or "-"
        case float():
            return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"
        case _:
            return printable(str(value))


def machine(provider: Mapping[str, Any]) -> str:
    """Return how many of which GPU a provider has, for example `2 x RTX 4090`; of a machine without one `CPU`."""
    model = cell(provider["gpu_model"])
    return f"{provider['gpu_count']} x {model}" if provider["gpu_count"] else model


def measured(provider: Mapping[str, Any]) -> str:
    """Return what was proved of a machine, for example `0.06 TOPS, 9.6 GB/s at 2026-03-22 19:00:05`."""
    figures = f"{provider['tops_int8']:g} TOPS, {provider['memory_gbps']:g} GB/s"
    return f"{figures} at {moment(provider['probed_at'])}"


def sar(halala: float | None) -> str | None:
    """Return an amount in SAR for a column, for example `0.45`; None when there is none yet."""
    return None if halala is None else f"{halala / 100:,.2f}"


def money(halala: float | None) -> str:
    """Return an amount in SAR with its halala, for example `0.45 SAR (45 halala)`; `-` when there is none yet."""
    if halala is None:
        return "-"
    return f"{halala / 100:,.2f} SAR ({halala:,.0f} halala)"


def moment(iso: str | None) -> str | None:
    """Return a time as people read it, for example `2026-03-22 19:00:05`, in UTC; None when there is none."""
    return iso and iso.partition(".")[0].replace("T", " ")


def printable(text: str) -> str:
    """Return the text without the control characters with which a stranger could steer the reader's terminal."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc")

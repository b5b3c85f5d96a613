"""Tables as CSV files that are safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence

from dc1.domain.base.json_types import JsonValue

# A spreadsheet skips a tab or a carriage return before it looks for a formula. Strings are kept as somebody typed them
# (contract 1.4), and it is often somebody else who opens the file.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_file(columns: Sequence[str], rows: Iterable[Sequence[JsonValue]]) -> bytes:
    """Return a CSV file in UTF-8: the names of the columns, then the rows; null is an empty cell.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: JsonValue) -> JsonValue:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

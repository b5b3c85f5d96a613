"""What state a database is in: its tables' version, its files, its books."""

from dataclasses import dataclass

from sqlalchemy import URL, Connection, func, inspect, select, text

from dc1.storage.engine.migrate import current_revision, newest_revision, revisions
from dc1.storage.money import ledger_audit
from dc1.storage.schema.tables import metadata
from dc1.storage.transfer.snapshots import snapshot

# SQLite says "ok" in one row, or what is wrong in up to a hundred.
_SOUND = "ok"
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Condition:
    """A database as it was found. `problems` are sentences, and empty when nothing is wrong.

    `missing` are the revisions that an upgrade would apply, the next one first; `rows` are counts by table.
    """

    engine: str
    revision: str | None
    newest: str
    missing: list[str]
    rows: dict[str, int]
    problems: list[str]


def examine(url: URL) -> Condition:
    """Look at a whole database, which may be in use. Reads every row of the ledger, and on SQLite every page."""
    with snapshot(url) as connection:
        revision = current_revision(connection)
        known = revisions()
        is_known = revision is None or revision in known
        missing = known[known.index(revision) + 1 :] if revision in known else known if is_known else []
        problems = [] if is_known else [f"its tables are of a newer version of dc1 (revision {revision})"]
        if connection.dialect.name == "sqlite":
            problems += _file_problems(connection)
        # The books are read by this version's tables.
        if revision == newest_revision():
            problems += ledger_audit.verify(connection)
        return Condition(connection.dialect.name, revision, newest_revision(), missing, _counts(connection), problems)


def _file_problems(connection: Connection) -> list[str]:
    found = [str(row[0]) for row in connection.execute(text(f"PRAGMA quick_check({_MOST_TOLD})"))]
    problems = [f"the file is damaged: {line}" for line in found if line != _SOUND]
    orphans = connection.execute(text("PRAGMA foreign_key_check")).fetchmany(_MOST_TOLD)
    return problems + [f"row {row[1]} of {row[0]} names a row of {row[2]} that is not there" for row in orphans]


def _counts(connection: Connection) -> dict[str, int]:
    there = set(inspect(connection).get_table_names())
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in metadata.sorted_tables
        if table.name in there
    }

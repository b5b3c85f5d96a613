"""Copies of a whole marketplace from either engine to either: read in one snapshot, written in one transaction."""

from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Connection,
    MetaData,
    Table,
    Text,
    delete,
    func,
    insert,
    inspect,
    literal,
    select,
    text,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from dc1.private_files import make_private_file
from dc1.storage.engine.database import UnusableDatabaseError
from dc1.storage.engine.migrate import upgrade
from dc1.storage.money import ledger_audit
from dc1.storage.schema.tables import metadata
from dc1.storage.transfer.snapshots import require_newest, snapshot, sole_transaction

Progress: TypeAlias = Callable[[str, int], None]
"""Told of a table and how many of its rows are done, once a batch."""

_BATCH = 1_000
# What a marketplace that anybody used has rows in; what a new database begins with is in none of them.
_SIGNS_OF_USE = ("api_keys", "jobs", "movements", "audit_entries")
# Of the servers that work on a database now, and of none that is copied.
_OF_SERVERS = frozenset({"replicas", "write_probes"})
# A number of the database's own, by which servers follow each other; in another it would be one of the future.
_OWN_NUMBER = "changed_xid"


class CopiedTable(NamedTuple):
    """A table and how many rows of it there are in both databases."""

    name: str
    rows: int


def copy(source: URL, target: URL, told: Progress) -> list[CopiedTable]:
    """Copy a marketplace into an empty database, and compare every row and the books afterwards.

    The source may be in use; what is committed after the copy began is not in it. A source that is no marketplace of
    this version or whose books do not balance, a target in use, and rows that arrive as others are an
    UnusableDatabaseError; the target is then as empty as it was.
    """
    with snapshot(source) as reading:
        require_newest(reading)
        require_sound_books(reading)
        if target.get_backend_name() == "sqlite":
            file = Path(str(target.database))
            file.parent.mkdir(parents=True, exist_ok=True)
            make_private_file(file)
        # Before its tables are changed, and again under the lock: another market's servers may be at work on them.
        with snapshot(target) as there:
            _require_empty(there)
        upgrade(target)
        with sole_transaction(target) as writing:
            _require_empty(writing)
            tables = [_plain(each) for each in metadata.sorted_tables]
            # What a new database begins with, such as prices, has long been changed in the source.
            for each in reversed(tables):
                writing.execute(delete(each))
            wanted = [each for each in tables if each.name not in _OF_SERVERS]
            copied = [CopiedTable(each.name, _copy_rows(reading, writing, each, told)) for each in wanted]
            for each in wanted:
                _require_equal(reading, writing, each)
            _number_on(writing, wanted)
            require_sound_books(writing)
    return copied


def require_sound_books(connection: Connection) -> None:
    """Raise UnusableDatabaseError with the first thing that is wrong with the ledger, if anything is."""
    if problems := ledger_audit.verify(connection):
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UnusableDatabaseError(f"its books do not balance: {problems[0]}{more}")


def _plain(each: Table) -> Table:
    """Return a table with columns as they are stored: ours read what is unreadable as something harmless."""
    columns = (
        Column(column.name, _plain_type(column.type), primary_key=column.primary_key)
        for column in each.columns
        if column.name != _OWN_NUMBER
    )
    return Table(each.name, MetaData(), *columns)


def _plain_type(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind


def _require_empty(connection: Connection) -> None:
    for name in sorted({*_SIGNS_OF_USE} & {*inspect(connection).get_table_names()}):
        if connection.execute(select(literal(1)).select_from(metadata.tables[name]).limit(1)).first() is not None:
            raise UnusableDatabaseError(f"the target is in use: there are {name.replace('_', ' ')} in it")


def _rows(connection: Connection, each: Table) -> Iterator[tuple[Any, ...]]:
    """Return the rows of a table by its key, in an order that both engines agree on."""
    is_postgres = connection.dialect.name == "postgresql"
    keys = [
        column.collate("C") if is_postgres and isinstance(column.type, Text) else column for column in each.primary_key
    ]
    query = select(each).order_by(*keys).execution_options(yield_per=_BATCH)
    for row in connection.execute(query):
        yield tuple(row)


def _copy_rows(reading: Connection, writing: Connection, each: Table, told: Progress) -> int:
    names = each.columns.keys()
    batch: list[dict[str, Any]] = []
    done = 0
    for row in _rows(reading, each):
        batch.append(dict(zip(names, row, strict=True)))
        if len(batch) == _BATCH:
            done += _insert(writing, each, batch)
            told(each.name, done)
            batch = []
    done += _insert(writing, each, batch)
    told(each.name, done)
    return done


def _insert(connection: Connection, each: Table, batch: list[dict[str, Any]]) -> int:
    if batch:
        connection.execute(insert(each), batch)
    return len(batch)


def _require_equal(reading: Connection, writing: Connection, each: Table) -> None:
    for sent, arrived in zip_longest(_rows(reading, each), _rows(writing, each)):
        if sent != arrived:
            # Without the row, in which there may be anything.
            raise UnusableDatabaseError(f"a row of {each.name} arrived as another one than was sent")


def _number_on(connection: Connection, tables: list[Table]) -> None:
    """Let PostgreSQL number new rows after those that were copied; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for each in tables:
        key = each.primary_key.columns.values()
        if len(key) != 1 or not isinstance(key[0].type, BigInteger):
            continue
        sequence = connection.execute(select(func.pg_get_serial_sequence(each.name, key[0].name))).scalar_one()
        newest = connection.execute(select(func.max(key[0]))).scalar_one()
        if sequence is not None and newest is not None:
            connection.execute(text("SELECT setval(:sequence, :newest)"), {"sequence": sequence, "newest": newest})

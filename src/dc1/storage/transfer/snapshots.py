"""One consistent view of a whole database, and one transaction to fill another one in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine

from dc1.storage.engine.database import UnusableDatabaseError
from dc1.storage.engine.embedded.sqlite import sqlite_engine
from dc1.storage.engine.migrate import current_revision, newest_revision, revisions
from dc1.storage.engine.postgres import patience


@contextmanager
def snapshot(url: URL) -> Iterator[Connection]:
    """Open a database as it is at this moment, to read all of it while others go on; fail where there is none."""
    with _connected(_reader(url)) as connection:
        yield connection


@contextmanager
def sole_transaction(url: URL) -> Iterator[Connection]:
    """Open a database to write to it, all of the block or nothing."""
    engine = sqlite_engine(url, read_only=False, pool_size=1) if _is_sqlite(url) else _postgres(url)
    with _connected(engine) as connection:
        yield connection
        connection.commit()


def require_newest(connection: Connection) -> None:
    """Raise UnusableDatabaseError unless the tables are those of this version."""
    found = current_revision(connection)
    if found == newest_revision():
        return
    if found is None:
        raise UnusableDatabaseError("there is no marketplace in it")
    is_older = found in revisions()
    remedy = "bring it up to date first: dc1 db upgrade" if is_older else "use that version of dc1"
    raise UnusableDatabaseError(f"its tables are of another version of dc1 (revision {found}); {remedy}")


def _reader(url: URL) -> Engine:
    if _is_sqlite(url):
        # SQLite would make an empty one.
        if not Path(str(url.database)).is_file():
            raise UnusableDatabaseError(f"{url.database} is not there")
        return sqlite_engine(url, read_only=True, pool_size=1)
    # Not the default level, at which each statement would see what was committed before it.
    return _postgres(url).execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _postgres(url: URL) -> Engine:
    return create_engine(url, connect_args=dict(patience(url)), hide_parameters=True)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()

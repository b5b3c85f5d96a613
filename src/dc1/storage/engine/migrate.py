"""Migrations bring a database to a revision of the schema."""

from functools import cache
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, inspect, text

from dc1.storage.engine.postgres import patience

NEWEST: Final = "head"
EMPTY: Final = "base"

# Any fixed number; replicas that start together take turns by it.
_MIGRATION_LOCK = 0x0DC1
_REVISIONS = Path(__file__).parents[1] / "schema" / "migrations" / "versions"
# Where Alembic keeps which revision a database has.
_KEPT_REVISION = text("SELECT version_num FROM alembic_version")


class MigrationError(Exception):
    """A database cannot be brought to a revision; the text says why."""


def upgrade(url: URL, revision: str = NEWEST) -> None:
    """Apply every missing revision up to `revision` in one transaction.

    A database that is up to date is only read, so a second process can open one that is busy.

    Raises:
        MigrationError: a revision made it that is not among ours.
    """
    if revision == NEWEST:
        found = _current(url)
        if found == newest_revision():
            return
        if found is not None and found not in revisions():
            raise MigrationError(
                f"it was brought up to date by a newer version of dc1 (revision {found}), which it needs"
            )
    _migrate(url, "upgrade", revision)


def downgrade(url: URL, revision: str) -> None:
    """Take back every revision after `revision`; `EMPTY` takes back all of them.

    A MigrationError says that there is no such revision.
    """
    _migrate(url, "downgrade", revision)


def current_revision(connection: Connection) -> str | None:
    """Return the revision of this database, or None when it has no schema yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(_KEPT_REVISION).scalar_one_or_none()
    return revision


def is_of_another_version(connection: Connection) -> bool:
    """Tell whether somebody has brought this database to another revision than this code needs."""
    return current_revision(connection) != newest_revision()


# The scripts do not change while we run, and every database that is opened is compared with them.
@cache
def revisions() -> list[str]:
    """Return every revision there is, the first one first."""
    # By the names of their files: to have Alembic read all of them takes a tenth of a server's start.
    return sorted(file.name[1:5] for file in _REVISIONS.glob("r*/r*.py"))


def newest_revision() -> str:
    """Return the revision that this code needs."""
    return revisions()[-1]


def _current(url: URL) -> str | None:
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            return current_revision(connection)
    finally:
        engine.dispose()


def _migrate(url: URL, way: Literal["upgrade", "downgrade"], revision: str) -> None:
    # Here, since it takes a quarter of a second of a core to import, and few starts change a table.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "dc1.storage.schema:migrations")
    # Revisions lie in folders of ten, as no folder of ours grows without end; Alembic looks into one level by default.
    config.set_main_option("recursive_version_locations", "true")
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            _begin_exclusively(connection)
            config.attributes["connection"] = connection
            (command.upgrade if way == "upgrade" else command.downgrade)(config, revision)
            connection.commit()
    except CommandError as error:
        raise MigrationError(str(error)) from error
    finally:
        engine.dispose()


def _engine(url: URL) -> Engine:
    return create_engine(url, connect_args=dict(patience(url)) if url.get_backend_name() == "postgresql" else {})


def _begin_exclusively(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        assert driver is not None
        # The driver begins a transaction by itself for INSERT and the like, but not for DDL: a revision that fails
        # half-way would leave its first half behind.
        driver.isolation_level = None
        connection.exec_driver_sql("PRAGMA busy_timeout=10000")
        # Before the transaction, inside of which the journal mode cannot change.
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        # Held until the commit: the replica that waited then finds the schema there and has nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATION_LOCK})

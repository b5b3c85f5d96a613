"""What operators do with a database as a whole, by its URL; whatever goes wrong is told in one sentence."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError

from dc1.domain.access.notifications import NotificationEvent
from dc1.domain.access.roles import Role
from dc1.os_errors import reason_of
from dc1.storage.accounts import notifications
from dc1.storage.accounts.notifications import OPERATORS
from dc1.storage.cluster import replicas as cluster
from dc1.storage.engine import migrate
from dc1.storage.engine.database import UnusableDatabaseError, normalised, normalised_standby
from dc1.storage.engine.migrate import MigrationError
from dc1.storage.engine.standby.position import NoPositionError, bytes_behind
from dc1.storage.transfer import backups, condition, copying
from dc1.storage.transfer.condition import Condition
from dc1.storage.transfer.copying import CopiedTable, Progress
from dc1.storage.transfer.snapshots import require_newest, snapshot, sole_transaction

P = ParamSpec("P")
T = TypeVar("T")


def _in_words(work: Callable[P, T]) -> Callable[P, T]:
    @functools.wraps(work)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except OSError as error:
            named = f"{error.filename}: " if error.filename else ""
            raise UnusableDatabaseError(f"{named}{reason_of(error)}") from error
        except (MigrationError, DBAPIError, psycopg.Error) as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise UnusableDatabaseError(" ".join(str(reason).split())) from error

    return told


def has_password(url: str) -> bool:
    """Tell whether a URL has a password in it, which must not stand in a list of processes."""
    return normalised(url).password is not None


@_in_words
def examine(url: str) -> Condition:
    """Return what state a database is in, which may be in use."""
    return condition.examine(normalised(url))


@_in_words
def examine_standby(read_url: str, url: str) -> int:
    """Return how many bytes of the log a standby is behind its primary.

    Raises:
        UnusableDatabaseError: it is none of this database.
    """
    try:
        return bytes_behind(normalised_standby(read_url), normalised(url))
    except NoPositionError as error:
        raise UnusableDatabaseError(f"the standby cannot be used: {error}") from None


@_in_words
def upgrade(url: str) -> Condition:
    """Apply the revisions that are missing, and return what state the database is in then."""
    migrate.upgrade(normalised(url))
    return examine(url)


@_in_words
def downgrade(url: str, revision: str) -> Condition:
    """Take back the revisions after one, and return what state the database is in then."""
    if revision not in migrate.revisions():
        raise UnusableDatabaseError(
            f"there is no revision {revision}; they go from 0001 to {migrate.newest_revision()}"
        )
    migrate.downgrade(normalised(url), revision)
    return examine(url)


@_in_words
def back_up(url: str, file: Path, told: Progress) -> None:
    """Write a marketplace, which may be in use, to a new file, which is there once it is whole and found sound."""
    backups.back_up(normalised(url), file, told)


@_in_words
def tell_of_failed_backup(url: str, error: str, now_ms: int) -> None:
    """Have operators told that a backup failed, by whichever server is at work; without one, by the next."""
    place = normalised(url)
    # Of tables of this version only, and never of a database that would be made by opening it.
    with snapshot(place) as reading:
        require_newest(reading)
    with sole_transaction(place) as conn:
        notifications.tell(conn, Role.ADMIN, OPERATORS, NotificationEvent.BACKUP_FAILED, {"error": error}, now_ms)


@_in_words
def restore(file: Path, url: str, told: Progress) -> Condition:
    """Fill an empty database from a backup, and return what state it is in then."""
    backups.restore(file, normalised(url), told)
    return examine(url)


@_in_words
def require_no_servers(url: str) -> None:
    """Refuse to go on while servers say that they work on a marketplace of this version.

    Raises:
        UnusableDatabaseError: one of them lives, or died so lately that it may.
    """
    with snapshot(normalised(url)) as reading:
        require_newest(reading)
        # Those of a SQLite file say so by a lock, whose holder is none of the database's business.
        living = cluster.read(reading).alive() if reading.dialect.name == "postgresql" else ()
    if living:
        raise UnusableDatabaseError(f"servers work on it ({len(living)}); stop them first, and wait for five seconds")


@_in_words
def copy(source: str, target: str, told: Progress) -> list[CopiedTable]:
    """Copy a marketplace into an empty database of either engine."""
    return copying.copy(normalised(source), normalised(target), told)

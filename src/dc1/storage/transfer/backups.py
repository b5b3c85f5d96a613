"""Backups: one SQLite file whatever the engine is, checked before it is called one."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL

from dc1.private_files import make_private_file
from dc1.storage.engine.database import UnusableDatabaseError
from dc1.storage.engine.migrate import upgrade
from dc1.storage.transfer.condition import examine
from dc1.storage.transfer.copying import Progress, copy
from dc1.storage.transfer.snapshots import require_newest, snapshot

_NAME = "dc1-{}.sqlite3"
_STAMP = "%Y%m%dT%H%M%SZ"
# 8 MiB, after which progress is told.
_PAGES_A_STEP = 2_048
_LOGS = ("-wal", "-shm", "-journal")


def dated_name(now: datetime) -> str:
    """Return what a backup of this moment is called, so that names sort by age."""
    return _NAME.format(now.astimezone(UTC).strftime(_STAMP))


def back_up(source: URL, file: Path, told: Progress) -> None:
    """Write a marketplace, which may be in use, to a new file that only its owner can read.

    The file is there once it is whole, on disk, and found sound. A source that is no marketplace of this version, or
    whose books do not balance, is an UnusableDatabaseError.

    Raises:
        FileExistsError: there is a file of that name.
    """
    if file.exists():
        raise FileExistsError(f"{file} is there already")
    with _unfinished(file) as partial:
        if source.get_backend_name() == "sqlite":
            with snapshot(source) as reading:
                require_newest(reading)
            _copy_pages(Path(str(source.database)), partial, told)
            _require_sound(partial)
        else:
            copy(source, _url(partial), told)
        _seal(partial)
        _put_in_place(partial, file)


def restore(file: Path, target: URL, told: Progress) -> None:
    """Fill an empty database from a backup, of this version or an older one; no server may work on it.

    Raises:
        UnusableDatabaseError: the file is no sound backup, or the target is in use.
    """
    if not file.is_file():
        raise UnusableDatabaseError(f"{file} is no file")
    is_file = target.get_backend_name() == "sqlite"
    place = Path(str(target.database)) if is_file else file
    if is_file and place.exists():
        raise UnusableDatabaseError(f"{place} is there already; move it away first")
    if is_file:
        place.parent.mkdir(parents=True, exist_ok=True)
    # Brought up to date in a copy: a backup stays as it was made.
    with _unfinished(place) as partial:
        _copy_pages(file, partial, told)
        # An empty file is a database, too, and would become a new marketplace.
        if examine(_url(partial)).revision is None:
            raise UnusableDatabaseError(f"{file} is no backup of a marketplace")
        upgrade(_url(partial))
        _require_sound(partial)
        if is_file:
            _seal(partial)
            _put_in_place(partial, place)
        else:
            copy(_url(partial), target, told)


def forget(directory: Path, keep: int) -> list[Path]:
    """Remove all but the newest backups of a directory, by their names; return those that are gone."""
    # With a date alone: what somebody has named by hand is neither removed nor counted for one of those kept.
    old = sorted(directory.glob(_NAME.format("[0-9]" * 8 + "T" + "[0-9]" * 6 + "Z")))[:-keep]
    for each in old:
        each.unlink()
    return old


@contextlib.contextmanager
def _unfinished(file: Path) -> Iterator[Path]:
    """Return where to write what becomes a file, which is gone afterwards whatever happens."""
    # Told of the place that somebody named, and not of a file in it that nobody did.
    if not file.parent.is_dir():
        raise UnusableDatabaseError(f"there is no directory {file.parent}")
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        make_private_file(partial)
        yield partial
    finally:
        for ending in ("", *_LOGS):
            Path(f"{partial}{ending}").unlink(missing_ok=True)


def _copy_pages(source: Path, target: Path, told: Progress) -> None:
    def step(status: int, remaining: int, total: int) -> None:
        told("pages", total - remaining)

    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as reading,
            contextlib.closing(sqlite3.connect(target)) as writing,
        ):
            # One view from the first page to the last: without it each commit of a server would begin the copy anew.
            reading.execute("BEGIN")
            reading.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
            reading.backup(writing, pages=_PAGES_A_STEP, progress=step)
    except sqlite3.Error as error:
        raise UnusableDatabaseError(f"{source}: {error}") from error


def _require_sound(file: Path) -> None:
    found = examine(_url(file))
    if found.problems:
        raise UnusableDatabaseError(f"{file.name}: {found.problems[0]}")
    if found.missing:
        raise UnusableDatabaseError(f"{file.name} holds no marketplace of this version")


def _seal(file: Path) -> None:
    """Let all of a database be in its one file, without the logs that it has beside it while it is worked on."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _put_in_place(partial: Path, file: Path) -> None:
    with partial.open("rb+") as written:
        os.fsync(written.fileno())
    # Fails where somebody has made one meanwhile, which a rename would replace.
    os.link(partial, file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _url(file: Path) -> URL:
    return URL.create("sqlite+pysqlite", database=str(file))

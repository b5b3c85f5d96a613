"""What the commands of `dc1 db` do, on the database of the settings."""

import contextlib
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.status import Status

from dc1.cli.errors import CommandError
from dc1.cli.output import facts, listing, notes
from dc1.server.process.instance_lock import sole_server
from dc1.settings.settings import Settings, SettingsError
from dc1.storage.engine.database import UnusableDatabaseError
from dc1.storage.transfer import care
from dc1.storage.transfer.backups import dated_name, forget
from dc1.storage.transfer.condition import Condition
from dc1.storage.transfer.copying import Progress


def check(as_json: bool) -> None:
    """Show what state the database is in; fail when something is wrong with it."""
    with _failing_in_words():
        found = care.examine(_ours())
    _show(found, as_json)
    # After the whole answer: a script reads it, and the exit status.
    if found.problems:
        raise CommandError(f"Wrong with the database: {len(found.problems)}.")


def bring_up_to_date(as_json: bool) -> None:
    """Apply the revisions that are missing."""
    # A server of before may be at work on a SQLite file, and would go on with tables that it does not know.
    with _failing_in_words(), _no_server(_ours()):
        _show(care.upgrade(_ours()), as_json)


def take_back(revision: str, as_json: bool) -> None:
    """Take back the revisions after one."""
    with _failing_in_words(), _no_server(_ours()):
        _show(care.downgrade(_ours(), revision), as_json)


def write_backup(to: Path | None, directory: Path | None, keep: int | None, as_json: bool) -> None:
    """Write a backup to a file, or into a directory of which old ones may be removed."""
    with _failing_in_words(), _progress("Backing up") as told:
        if directory is not None:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # By this machine's clock, as that of the market is for its servers to tell.
        file = to or (directory or Path()) / dated_name(datetime.now(UTC))
        care.back_up(_ours(), file, told)
        # Only now: a backup that failed must not cost an older one.
        gone = forget(directory, keep) if directory is not None and keep is not None else []
    written = {"backup": str(file), "bytes": file.stat().st_size, "removed": [str(each) for each in gone]}
    if as_json:
        print(json.dumps(written))
    else:
        facts(written)


def tell_operators(failure: CommandError) -> None:
    """Leave word of a backup that failed, for a server to tell; where that fails too, only the exit status is left."""
    # By this machine's clock, as the names of backups are: a second more or less does no harm here.
    try:
        care.tell_of_failed_backup(_ours(), str(failure), round(datetime.now(UTC).timestamp() * 1000))
    except (CommandError, UnusableDatabaseError) as error:
        notes.print(f"Operators could not be told: {error}", soft_wrap=True)


def put_back(backup: Path, as_json: bool) -> None:
    """Fill the empty database of the settings from a backup."""
    with _failing_in_words(), _no_server(_ours()), _progress("Restoring") as told:
        found = care.restore(backup, _ours(), told)
    _show(found, as_json)


def copy_to(target: str, as_json: bool) -> None:
    """Copy the database of the settings into another one."""
    with _failing_in_words():
        # Of an option everybody on this machine could read it in the list of processes.
        if any(argument.startswith("--to") for argument in sys.argv) and care.has_password(target):
            raise CommandError("Give the URL in the variable DC1_TO_DATABASE_URL, or its password in PGPASSWORD.")
        # What a server commits after the copy began is not in it, and would be lost without a word.
        care.require_no_servers(_ours())
        with _no_server(_ours()), _no_server(target), _progress("Copying") as told:
            tables = care.copy(_ours(), target, told)
    if as_json:
        print(json.dumps({"tables": {table.name: table.rows for table in tables}}))
    else:
        listing(("table", "rows"), [table for table in tables if table.rows], empty="Nothing was in it.")
        notes.print("Every row was compared, and the books of both balance.")


def _ours() -> str:
    try:
        settings = Settings.load()
    except SettingsError as error:
        raise CommandError(str(error)) from None
    # Past a pooler by transaction, which could not keep one view of all tables.
    return settings.database_direct_url or settings.resolved_database_url


@contextlib.contextmanager
def _failing_in_words() -> Iterator[None]:
    try:
        yield
    except UnusableDatabaseError as error:
        text = str(error).rstrip(".")
        raise CommandError(f"{text[:1].upper()}{text[1:]}.") from None
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}.") from None


def _no_server(url: str) -> AbstractContextManager[None]:
    return sole_server(url, remedy="stop it first")


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Progress]:
    """Show how far a long work has come, to whoever looks at a terminal."""
    # On stderr, so that a script that reads the answer has nothing else.
    with notes.status(f"{what} …") if notes.is_terminal else contextlib.nullcontext() as status:

        def told(table: str, rows: int) -> None:
            if isinstance(status, Status):
                status.update(f"{what} … {table.replace('_', ' ')}: {rows:,}")

        yield told


def _show(found: Condition, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(found)))
        return
    state = f"{len(found.missing)} revisions behind: dc1 db upgrade" if found.missing else "up to date"
    rows = [f"{count:,} {name.replace('_', ' ')}" for name, count in found.rows.items() if count]
    facts(
        {
            "engine": found.engine,
            "revision": f"{found.revision or 'none'} ({state})",
            "rows": ", ".join(rows),
            "sound": not found.problems,
        }
    )
    for problem in found.problems:
        notes.print(problem, style="red", soft_wrap=True)

"""`dc1 db …`: look after the database of a marketplace."""

from pathlib import Path
from typing import Annotated

import typer

from dc1.cli.commands import Commands
from dc1.cli.errors import CommandError
from dc1.cli.options import AsJson

app = Commands(
    help="Look after the database. Which one it is say the settings, DC1_DATABASE_URL or DC1_DATA_DIR, as for `dc1 up`.",
    no_args_is_help=True,
)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command(
    "check", help="Say which version it is of, and prove that file and books are sound. A server may be at work."
)
def check_command(as_json: AsJson = False) -> None:
    """Check the database."""
    # The database's libraries take a second to import; other commands do without them.
    from dc1.cli.database import care

    care.check(as_json)


@app.command("upgrade", help="Bring the tables to this version, as a server does when it starts.")
def upgrade_command(as_json: AsJson = False) -> None:
    """Bring the tables up to date."""
    from dc1.cli.database import care

    care.bring_up_to_date(as_json)


@app.command(
    "downgrade", help="Take the tables back to a revision, for an older version of dc1. What newer ones kept is lost."
)
def downgrade_command(
    revision: Annotated[
        str, typer.Argument(help="The revision, for example 0035; `dc1 db check` says the present one.")
    ],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take the tables back."""
    from dc1.cli.database import care

    if not yes and not typer.confirm(f"Take the tables back to revision {revision}? What newer ones kept is lost."):
        raise CommandError("Nothing was done.")
    care.take_back(revision, as_json)


@app.command(
    "backup",
    help="Write a backup, checked before it is called one, while the servers go on. It is a SQLite file whatever the "
    "engine is. Keep DC1_SECRET_KEY as well, apart from it.",
)
def backup_command(
    to: Annotated[Path | None, typer.Option("--to", help="The file to write.", show_default=False)] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--directory", help="Write a file with the date in its name here.", show_default=False),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="Keep so many backups in the directory, the newest.", show_default=False),
    ] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Have operators told when it fails, by their channels of notifications.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a backup."""
    from dc1.cli.database import care

    if (to is None) == (directory is None):
        raise CommandError("Say where to, with either --to FILE or --directory DIRECTORY.")
    if keep is not None and directory is None:
        raise CommandError("--keep goes with --directory.")
    try:
        care.write_backup(to, directory, keep, as_json)
    except CommandError as failure:
        # Word is left in the database, as no server need be at work; the exit status stays that of the backup.
        if notify:
            care.tell_operators(failure)
        raise


@app.command(
    "restore", help="Fill an empty database from a backup, of this version or an older one. No server may work on it."
)
def restore_command(
    backup: Annotated[Path, typer.Argument(help="The file that `dc1 db backup` wrote.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Fill an empty database from a backup."""
    from dc1.cli.database import care

    care.put_back(backup, as_json)


@app.command(
    "copy",
    help="Copy the marketplace into another database, of either engine, which has to be empty; every row is compared "
    "and the books are checked afterwards. It refuses while servers work on the marketplace: what they commit after it began would not be in the copy.",
)
def copy_command(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            envvar="DC1_TO_DATABASE_URL",
            help="Its URL, sqlite:///path or postgresql://user@host/name. A password belongs into the variable, or PGPASSWORD.",
            show_default=False,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Copy the marketplace."""
    from dc1.cli.database import care

    care.copy_to(to, as_json)

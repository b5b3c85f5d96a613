"""The command line's root."""

import contextlib
import errno
import os
import signal
import sys
from importlib.metadata import version as installed_version
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from dc1.cli import daemon, login
from dc1.cli.admin import admin
from dc1.cli.database import database
from dc1.cli.demo import command as demo
from dc1.cli.doctor import command as doctor
from dc1.cli.errors import CommandError
from dc1.cli.output import discard, notes, take_any_letter
from dc1.cli.provider import provider
from dc1.cli.renter import renter
from dc1.cli.serving import up
from dc1.client import ClientError

_UNWRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF}
"""What is wrong with a standard output that takes no more."""

_INTERRUPTED = 128 + signal.SIGINT
"""The exit status of what Ctrl-C ended, as shells have it."""

_OURS = {"dc1", "dcp", "buf"}


class _Root(TyperGroup):
    """Turns what ends a command early into one sentence on stderr and an exit status, 1 for most."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        # Only these are written for people; the traceback of anything else is a report of a bug.
        except (CommandError, ClientError) as error:
            # Where nobody can be told, the exit status is left.
            with contextlib.suppress(OSError):
                notes.print(str(error), style="red", soft_wrap=True)
            raise typer.Exit(error.exit_status if isinstance(error, CommandError) else 1) from None
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] in _OURS:
                raise
            # Found out here and not asked before: a command knows what it imports best.
            extra = "daemon" if ctx.invoked_subcommand == "daemon" else "server"
            notes.print(
                f"`dc1 {ctx.invoked_subcommand}` needs more than is installed ({error.name}): "
                f"pip install 'dc1[{extra}]' brings it.",
                style="red",
                soft_wrap=True,
            )
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Root,
    help="A self-hostable GPU marketplace: control plane, provider daemon and command line.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Boxes leave so little of a terminal's width that names of variables are cut.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# As `dc1 --help` lists them: first what a newcomer runs, then the roles.
app.add_typer(up.app)
app.add_typer(daemon.app)
app.add_typer(demo.app)
app.add_typer(login.app)
app.add_typer(renter.app, name="renter")
app.add_typer(provider.app, name="provider")
app.add_typer(admin.app, name="admin")
app.add_typer(database.app, name="db")
app.add_typer(doctor.app, name="doctor")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dc1 {installed_version('dc1')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        # Eager: before typer complains that there is no command.
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    # gRPC's core would write lines of its own beside the sentences and log lines that say the same.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    take_any_letter()
    try:
        app()
        _flush()
    except SystemExit as end:
        try:
            # At the latest now it shows that standard output took not all of it.
            _flush()
        except OSError as error:
            _end_unwritten(error)
        raise end
    except KeyboardInterrupt:
        # Before a command has begun, or behind it; in one typer ends it so.
        sys.exit(_INTERRUPTED)
    except OSError as error:
        # One with a name is of a file, and none of what is written to the terminal.
        if error.filename is not None or error.errno not in _UNWRITTEN:
            raise
        _end_unwritten(error)


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _end_unwritten(error: OSError) -> NoReturn:
    discard(sys.stdout)
    # A reader who has seen enough is told nothing.
    if error.errno != errno.EPIPE:
        with contextlib.suppress(OSError):
            notes.print(f"Standard output cannot be written: {error.strerror}.", style="red", soft_wrap=True)
    sys.exit(1)

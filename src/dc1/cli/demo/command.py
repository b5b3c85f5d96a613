"""The command `dc1 demo`."""

from typing import Annotated

import typer

app = typer.Typer()


@app.command("demo")
def demo_command(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the marketplace serving until Ctrl-C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON summary on stdout, all else on stderr.")
    ] = False,
) -> None:
    """Run the whole marketplace here, once through. Edge, server, daemon and language model are real."""
    # The edge and its settings take as long to import as all the commands together.
    from dc1.cli.demo.show import show

    show(keep, as_json)

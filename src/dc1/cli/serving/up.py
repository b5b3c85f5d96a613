"""`dc1 up`, `serve` and `edge` run the marketplace, `health` asks it."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--admin-token-file",
        envvar="DC1_ADMIN_TOKEN_FILE",
        help="Where the admin token is read from; made there in development when there is none.",
        show_default=False,
    ),
]


@app.command(
    "up",
    help="Serve a marketplace: Envoy and the server together. "
    "It runs until Ctrl-C or SIGTERM; settings are DC1_… variables.",
)
def up_command(
    admin_token_file: TokenFile = None,
    servers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="How many servers share the work, on PostgreSQL; one for each two cores when it is left out.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve a marketplace: Envoy and the server together."""
    # The server's libraries take a second to import; commands that call an API do without them.
    from dc1.server.process.heap import nothing_collected

    with nothing_collected():
        from dc1.cli.serving import serving

    serving.run(lambda *given: serving.serve_number(*given, number=servers), admin_token_file)


@app.command("serve")
def serve_command(admin_token_file: TokenFile = None) -> None:
    """Run the server alone, behind an Envoy of your own. It runs until Ctrl-C or SIGTERM."""
    from dc1.server.process.heap import nothing_collected

    with nothing_collected():
        from dc1.cli.serving import serving

    serving.run(serving.serve_alone, admin_token_file)


@app.command("edge")
def edge_command() -> None:
    """Run Envoy alone, before the servers of DC1_UPSTREAMS. It runs until Ctrl-C or SIGTERM."""
    from dc1.cli.serving import serving

    serving.run_edge()


@app.command("health")
def health_command(
    server: Annotated[bool, typer.Option("--server", help="Ask the servers alone, past the edge.")] = False,
) -> None:
    """Tell whether what is served here answers well. The exit code is 1 when not; it goes by the same settings."""
    from dc1.cli.serving import health

    print(f"{health.check(server_alone=server)} is well.")

"""`dc1 daemon`: offer this machine to a marketplace."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from dc1.cli.commands import Commands, Insecure, host_of, require_private
from dc1.cli.errors import CommandError
from dc1.cli.options import ContainerSocket, EngineApiKey, EngineUrl, ModelFile

app = Commands()


@app.command("daemon")
def daemon_command(
    server: Annotated[
        str, typer.Option(envvar="DC1_SERVER", help="host:port of the marketplace.", metavar="HOST:PORT")
    ] = "127.0.0.1:8083",
    key: Annotated[
        str | None, typer.Option(envvar="DC1_PROVIDER_KEY", help="The provider's key.", show_default=False)
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", envvar="DC1_TLS", help="Encrypt the connection.")] = False,
    insecure: Insecure = False,
    ca_file: Annotated[
        Path | None,
        typer.Option(envvar="DC1_CA_FILE", help="Certificates to trust in place of the system's.", show_default=False),
    ] = None,
    engine_url: EngineUrl = None,
    engine_api_key: EngineApiKey = None,
    engine_concurrency: Annotated[
        int | None,
        typer.Option(
            envvar="DC1_ENGINE_CONCURRENCY",
            help="How many calls the engine takes at once; without, it is asked.",
            min=1,
            max=4096,
            show_default=False,
        ),
    ] = None,
    model: ModelFile = None,
    cpu_engine: Annotated[
        bool, typer.Option(help="Answer inference jobs with the built-in small model when there is no other.")
    ] = True,
    containers: Annotated[bool, typer.Option(help="Take container jobs when a container engine is found.")] = True,
    container_socket: ContainerSocket = None,
    container_network: Annotated[
        bool, typer.Option("--container-network", help="Give a network to jobs that ask for one.")
    ] = False,
    container_disk_gib: Annotated[
        int,
        typer.Option(
            envvar="DC1_CONTAINER_DISK_GIB",
            help="How much disk images pulled for jobs may take; the ones not used for longest are removed.",
            min=1,
        ),
    ] = 100,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Replace another daemon that is connected with this key; without, it is left in place."
        ),
    ] = False,
    drain_seconds: Annotated[
        float,
        typer.Option(
            envvar="DC1_DAEMON_DRAIN_SECONDS", help="How long running jobs may go on after Ctrl-C or SIGTERM.", min=0
        ),
    ] = 60.0,
    metrics_address: Annotated[
        str | None,
        typer.Option(
            envvar="DC1_DAEMON_METRICS_ADDRESS",
            help="Where Prometheus reads: a port of this machine such as 9465, host:port, or unix:/path; nowhere when not given.",
            show_default=False,
        ),
    ] = None,
    metrics_token: Annotated[
        str | None,
        typer.Option(
            envvar="DC1_DAEMON_METRICS_TOKEN",
            help="What it has to bring as a bearer token; needed on addresses that others reach.",
            show_default=False,
        ),
    ] = None,
    log_format: Annotated[
        Literal["console", "json"], typer.Option(envvar="DC1_LOG_FORMAT", help="How log lines look.")
    ] = "console",
) -> None:
    """Offer this machine to a marketplace. One outbound connection is enough; it runs until Ctrl-C or SIGTERM."""
    # Here and not above: gRPC, the container engine's SDK and NVML take a second that other commands do without.
    from dc1.daemon.build import build_agent
    from dc1.daemon.config import DaemonConfig
    from dc1.daemon.errors import DaemonError
    from dc1.server.logs import configure_logging
    from dc1.tracing import start_tracing, stop_tracing

    configure_logging(log_format, "INFO")
    start_tracing("dc1-daemon")
    if not key:
        raise CommandError("A provider key is needed: give --key-file or --key, or set DC1_PROVIDER_KEY.")
    require_private(host_of(server), tls, insecure)
    if engine_url and engine_api_key:
        require_private(host_of(engine_url), not engine_url.lower().startswith("http:"), insecure)
    try:
        config = DaemonConfig(
            key=key,
            server=server,
            tls=tls,
            ca_file=ca_file,
            # A variable that is set to nothing is unset.
            engine_url=engine_url or None,
            engine_api_key=engine_api_key,
            engine_concurrency=engine_concurrency,
            model=model,
            cpu_engine=cpu_engine,
            containers=containers,
            container_url=_socket_url(container_socket),
            container_network=container_network,
            container_disk_gib=container_disk_gib,
            take_over=take_over,
            drain_grace_seconds=drain_seconds,
            metrics_address=metrics_address or None,
            metrics_token=metrics_token or None,
        )
        asyncio.run(build_agent(config).run())
    except DaemonError as error:
        raise CommandError(str(error), error.exit_status) from None
    finally:
        stop_tracing()


def _socket_url(socket: str | None) -> str | None:
    # The SDK wants a URL; what people copy from their engine's messages is a path.
    return f"unix://{socket}" if socket and socket.startswith("/") else socket

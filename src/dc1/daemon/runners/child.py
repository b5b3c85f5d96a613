"""A child process spoken to in JSON lines, for work that would stall the daemon's event loop or must be killable.

The parent writes requests to the child's standard input and reads events from its standard output. The child ends when
its input closes, so it never outlives a daemon that was killed.
"""

import asyncio
import contextlib
import json
import logging
import os
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Mapping
from typing import Self

from dc1.domain.base.json_types import JsonObject, JsonValue

log = logging.getLogger(__name__)

_LINE_LIMIT = 4 * 1024 * 1024
_STDERR_LINES_KEPT = 20
_END_SECONDS = 2.0
"""How long a child may take to end that says nothing more."""


class ChildDiedError(Exception):
    """The child ended on its own; the text has its exit status and the last line it wrote to standard error."""

    def __init__(self, status: int | None, last_words: str) -> None:
        super().__init__(f"the process ended with status {status}: {last_words[:300] or 'it said nothing'}")
        self._status = status

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the kernel killed it (nobody else sends SIGKILL to it), or CUDA ran out."""
        return self._status == -signal.SIGKILL or "out of memory" in str(self)


class ChildProcess:
    """The parent's end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES_KEPT)
        # Read from the start: a child that fills the pipe would wait in its writing for ever.
        self._draining = asyncio.create_task(self._drain_stderr())

    @classmethod
    async def start(cls, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Self:
        """Start `python -m module`. The daemon's own settings, its key among them, are not passed on."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DC1_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            # Not from the directory that the daemon was started in, where others may have put modules.
            "-P",
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                **inherited,
                "NO_COLOR": "1",
                # However the daemon's modules were found, the child finds the same ones.
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                **(environment or {}),
            },
            # An event is one line; asyncio's own limit is 64 KiB.
            limit=_LINE_LIMIT,
            # Ctrl-C in a terminal reaches the whole process group; the daemon drains, so its children must live on.
            start_new_session=True,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.returncode is None

    async def send(self, message: JsonObject) -> None:
        """Write one request."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._death() from None

    async def receive(self) -> JsonObject:
        """Wait for the next event; a ChildDiedError says that there will be none."""
        assert self._process.stdout is not None
        event: JsonValue = None
        # A line over the limit is a ValueError too.
        with contextlib.suppress(ValueError, RecursionError):
            line = await self._process.stdout.readline()
            if not line.endswith(b"\n"):
                raise await self._death()
            event = json.loads(line)
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            # Nobody could tell what the lines behind it answer, so the process has to go.
            await self.kill()
            raise ChildDiedError(None, "it wrote a line that is no event")
        return event

    async def kill(self) -> None:
        """End the process at once and collect it."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        await self._draining
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _death(self) -> ChildDiedError:
        # A signal to a process that has just ended would collect it behind asyncio's back, and its status be lost.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        await self.kill()
        # The whole story names files of this machine: it is for the provider's log, the last line for the job's.
        log.warning("child process ended with status %s:\n%s", self._process.returncode, "\n".join(self._stderr))
        return ChildDiedError(self._process.returncode, next(filter(None, reversed(self._stderr)), ""))

    async def _drain_stderr(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(ValueError):  # a line over the limit
            async for line in self._process.stderr:
                self._stderr.append(line.decode(errors="replace").rstrip())


class ParentLink:
    """The child's end. Make one before importing what may print: standard output becomes the parent's alone."""

    def __init__(self) -> None:
        self._events = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        # What libraries print to descriptor 1, from C too, goes to standard error and breaks no event.
        os.dup2(2, 1)
        self._requests: queue.SimpleQueue[JsonObject] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        threading.Thread(target=self._read, daemon=True).start()

    def next_request(self) -> JsonObject:
        """Wait for the next request."""
        return self._requests.get()

    def emit(self, event: str, **fields: object) -> None:
        """Send one event."""
        self._events.write(json.dumps({"event": event, **fields}) + "\n")

    def cancelled(self, request_id: int) -> bool:
        """Whether the parent has called off the request with this id."""
        return request_id in self._cancelled

    def _read(self) -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if "cancel" in message:
                self._cancelled.add(message["cancel"])
            else:
                self._requests.put(message)
        # No ordinary exit: the main thread may be inside a computation that never looks up.
        os._exit(0)

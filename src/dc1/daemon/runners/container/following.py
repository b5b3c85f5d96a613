"""A container from its start to its end, also over restarts of its engine."""

import asyncio
import contextlib
import logging
import time
from typing import Any, Protocol

from docker.errors import NotFound

from dc1.daemon.runners import bridge
from dc1.daemon.runners.base import Level, RunFailed, Sink
from dc1.daemon.runners.container.engine import ENGINE_ERRORS, require_listener
from dc1.daemon.runners.container.first_process import FirstProcess
from dc1.daemon.runners.container.memory_kills import MemoryKills
from dc1.daemon.runners.container.output import ContainerOutput
from dc1.domain.jobs.log_notices import ENGINE_AWAY
from dc1.domain.jobs.states import ErrorCategory

AWAY_SECONDS = 120.0
"""How long an engine may be away before its run is given up."""

_LOOK_SECONDS = 0.1
_SETTLE_SECONDS = 2.0
"""How long a container whose output has ended may take to end itself, before its output is asked for again."""

_LONGEST_PAUSE_SECONDS = 5.0
_LOST_SECONDS = 30.0
"""How long an engine may take to tell of the end of a program, after it ended and its last words were read."""

_WATCH_SECONDS = 1.0
_LOOK_EVERY = 5
_ENDED = frozenset({"exited", "stopped", "dead", "removing"})
_STOPPING = "stopping"
_ALIVE = frozenset({"created", "configured", "initialized", "running", "paused", "restarting", _STOPPING})

log = logging.getLogger(__name__)


class Attached(Protocol):
    """A container and the stream of what it prints."""

    container: Any
    stream: Any


class ContainerRun:
    """Follows one started container; what its owner or its engine does to it is no end of the program's."""

    def __init__(self, attached: Attached, output: ContainerOutput, sink: Sink) -> None:
        """Follow a container by its output; the stream of that is replaced when the engine was away."""
        self._attached = attached
        self._container = attached.container
        self._output = output
        self._sink = sink
        self.memory_kills = MemoryKills()
        self._first = FirstProcess()
        self.was_killed = False
        """Whether the program was ended by SIGKILL, as far as the kernel told it; known at the end."""
        # As the engine first told it: another time is another run of the program.
        self._started: str | None = None
        self._telling = 0
        self._last_sign = time.monotonic()

    async def end(self) -> int:
        """Return the program's exit status once it has ended.

        A RunFailed says that the container was removed, paused, stopped or started anew, or that its engine was away
        too long, or when the program ended.
        """
        tasks = [asyncio.create_task(self._to_the_end()), asyncio.create_task(self._until_disturbed())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.was_killed = self._first.was_killed()
            self._first.close()

    async def _to_the_end(self) -> int:
        pause = _LOOK_SECONDS
        while True:
            was_away = not await self._read()
            if (status := await self._status(was_away=was_away)) is not None:
                return status
            # Also for a program that closed its output and goes on: it is asked less and less often.
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)
            with contextlib.suppress(*ENGINE_ERRORS):
                self._attached.stream = await asyncio.to_thread(self._container.attach, stream=True, demux=True)

    async def _read(self) -> bool:
        """Pass on what is printed until the stream ends; False when it broke."""
        stream, is_whole = self._attached.stream, True
        try:
            async with contextlib.aclosing(bridge.iterate(lambda: stream)) as chunks:
                async for stdout, stderr in chunks:
                    await self._tell(self._output.feed(stdout, stderr))
        except ENGINE_ERRORS as error:
            log.warning("the output of container %s broke off: %s", self._container.id, error)
            is_whole = False
        # Not when cancelled: a reader is still at it then, and its end comes with the container's.
        await asyncio.to_thread(stream._response.close)
        return is_whole

    async def _tell(self, messages: list[tuple[Level, str]]) -> None:
        if not messages:
            return  # the watch asks every second, and its nothing is no sign of a program that goes on
        self._telling += 1
        try:
            for level, message in messages:
                await self._sink.log(level, message)
        finally:
            self._telling -= 1
            self._last_sign = time.monotonic()

    async def _status(self, *, was_away: bool) -> int | None:
        """Return the status of a program that has ended, None while it goes on; waits for an engine that is away."""
        began = time.monotonic()
        while True:
            try:
                state = await self._state()
                if state in _ENDED and not was_away:
                    status = int((await asyncio.to_thread(self._container.wait))["StatusCode"])
                    # Once more: what an engine says of the end is whole only now.
                    await self._state()
                    return status
                if state in _ENDED:
                    # Nobody read what it printed last, and an engine that stops may end its containers.
                    raise _failed("the container engine was away when the program ended")
                if was_away or time.monotonic() - began > _SETTLE_SECONDS:
                    await self._note(was_away)
                    return None
            except NotFound:
                raise _failed("the container was removed on the provider's machine") from None
            except ENGINE_ERRORS as error:
                was_away = True
                if time.monotonic() - began > AWAY_SECONDS:
                    raise _failed(f"the container engine did not come back: {error}") from error
            await asyncio.sleep(_LOOK_SECONDS)

    async def _state(self) -> str:
        await asyncio.to_thread(self._reload)
        state = str(self._container.attrs["State"]["Status"])
        self._first.meet(self._container.attrs["State"].get("Pid"), self._container.id)
        if state not in _ENDED | _ALIVE:
            raise _failed(f"the container engine says a container is {state[:40]!r}")
        # Podman says so while it waits for the end, and writes it down nowhere; the daemon itself never asks politely.
        if state == _STOPPING:
            raise _failed("the container was stopped on the provider's machine")
        started = str(self._container.attrs["State"].get("StartedAt"))
        if self._started is None:
            self._started = started
        if started != self._started:
            raise _failed("the container was started anew on the provider's machine")
        return state

    def _reload(self) -> None:
        require_listener(self._container.client)
        self._container.reload()

    async def _note(self, was_away: bool) -> None:
        if was_away:
            log.warning("container %s goes on, and its engine is back", self._container.id)
            await self._tell(self._output.break_off(ENGINE_AWAY))

    async def _until_disturbed(self) -> int:
        """Watch what the program cannot tell of; return never."""
        paused = looks = 0
        while True:
            # From the beginning: when it was started has to be known before somebody starts it anew.
            looks += 1
            if looks % _LOOK_EVERY == 1:
                paused = await self._looks_paused(paused)
            await asyncio.sleep(_WATCH_SECONDS)
            self._require_an_end()
            self.memory_kills.look()
            # For a bar that stands still: nothing comes then that would show its last state.
            await self._tell(self._output.progress())

    def _require_an_end(self) -> None:
        """Fail a run whose program is gone while its engine, as after a restart, goes on to call it running."""
        # Who reads the log may take long over what was printed last.
        if self._telling or not self._first.has_ended():
            self._last_sign = time.monotonic()
        elif time.monotonic() - self._last_sign > _LOST_SECONDS:
            raise _failed("the program ended, and the container engine does not say how")

    async def _looks_paused(self, before: int) -> int:
        """Look at the container, and return how many times in a row it was found paused."""
        try:
            if await self._state() != "paused":
                return 0
        except NotFound:
            raise _failed("the container was removed on the provider's machine") from None
        except ENGINE_ERRORS:
            return before  # whoever reads the output waits for the engine
        # Twice: an owner may look at something for a moment.
        if before:
            raise _failed("the container was paused on the provider's machine")
        return before + 1


def _failed(text: str) -> RunFailed:
    return RunFailed(ErrorCategory.ENGINE, text, transient=True)

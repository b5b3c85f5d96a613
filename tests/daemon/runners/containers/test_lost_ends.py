"""An engine that was restarted may call a program running for ever that has ended."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from dc1.daemon.runners.base import RunFailed
from dc1.daemon.runners.container import following
from dc1.daemon.runners.container.following import ContainerRun
from dc1.domain.jobs.states import ErrorCategory
from tests.daemon.runners.sinks import RecordingSink


class Unending:
    """An output that says nothing any more, as the engine has it."""

    _response: Any = None

    def __init__(self) -> None:
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._response = self

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        asyncio.run_coroutine_threadsafe(self._ended.wait(), self._loop).result()
        return iter(())

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)


class Running:
    """A container that its engine calls running, whatever became of its program."""

    # A part of what the kernel says of every process's group.
    id = "/"
    client = None

    def __init__(self, pid: int) -> None:
        self.attrs = {"State": {"Status": "running", "Pid": pid, "StartedAt": "then"}}

    def reload(self) -> None:
        """Nothing new."""


class Attached:
    def __init__(self, pid: int) -> None:
        self.container = Running(pid)
        self.stream = Unending()


class Silent:
    def feed(self, *_: bytes) -> list[Any]:
        return []

    def progress(self) -> list[Any]:
        return []


async def test_a_program_whose_end_the_engine_does_not_tell_ends_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of the storm waited ten minutes for its deadline, and its renter was to blame."""
    monkeypatch.setattr(following, "require_listener", lambda client: None)
    monkeypatch.setattr(following, "_WATCH_SECONDS", 0.01)
    monkeypatch.setattr(following, "_LOST_SECONDS", 0.05)
    program = await asyncio.create_subprocess_exec("sleep", "60")
    attached = Attached(program.pid)
    run: Any = ContainerRun(attached, Silent(), RecordingSink())  # type: ignore[arg-type]
    ended = asyncio.create_task(run.end())
    try:
        done, _ = await asyncio.wait([ended], timeout=0.5)
        assert not done
        program.kill()
        await program.wait()
        with pytest.raises(RunFailed, match="the container engine does not say how") as failure:
            await asyncio.wait_for(ended, 10)
    finally:
        attached.stream.close()
    assert failure.value.category is ErrorCategory.ENGINE
    assert failure.value.transient

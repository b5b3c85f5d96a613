"""Processes of the bench, what they use up, and waiting for what they do."""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

_ANSWER_SECONDS = 120
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Child:
    """A process that answers questions over a pipe and ends with the `with` block."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def kill(self) -> None:
        """End it as kill -9 does."""
        self._process.kill()
        self._process.join()

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(20)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def answer(self) -> Any:
        """The next thing it says."""
        if not self._pipe.poll(_ANSWER_SECONDS):
            raise TimeoutError(f"{self._process.name} says nothing")
        return self._pipe.recv()

    def ask(self, question: str, *details: Any) -> Any:
        self._pipe.send((question, *details))
        return self.answer()


@asynccontextmanager
async def program(command: Sequence[str], log: Path) -> AsyncIterator[int]:
    """Run a program whose words go to a file until the block is left; yields its process id."""
    with log.open("wb") as words:
        child = await asyncio.create_subprocess_exec(*command, stdout=words, stderr=words)
    try:
        yield child.pid
    finally:
        child.terminate()
        await child.wait()


async def installed(name: str, requirement: str) -> Path:
    """Return where a program of a package is, in an environment of its own: its requirements are not ours.

    Kept between runs, for to install it takes a minute.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = caches / "dc1-bench" / requirement.replace("==", "-")
    # Last of all, so that what was interrupted is made anew.
    whole = home / "whole"
    if not whole.exists():
        await _run(sys.executable, "-m", "venv", "--clear", str(home))
        await _run(str(home / "bin" / "python"), "-m", "pip", "install", "-qq", requirement)
        whole.touch()
    return home / "bin" / name


async def _run(*command: str) -> None:
    child = await asyncio.create_subprocess_exec(*command)
    if await child.wait():
        raise RuntimeError(f"{' '.join(command)} failed")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since its start: seconds of CPU, and the memory it holds now in KiB."""

    cpu_seconds: float
    memory_kib: int

    @classmethod
    def of(cls, pid: int, *, with_ended_children: bool = False) -> Self:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        ticks = sum(map(int, fields[11 : 15 if with_ended_children else 13]))
        return cls(ticks / _TICKS, pages * _PAGE // 1024)


def serve_questions(pipe: Connection, answers: dict[str, Callable[..., Any]]) -> bool:
    """Answer what is asked; False once the asker is gone."""
    try:
        while pipe.poll():
            question, *details = pipe.recv()
            pipe.send(answers[question](*details))
    except (EOFError, OSError):
        return False
    return True


async def until(reached: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Return once `reached` is true; raises TimeoutError when that takes too long."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                if reached():
                    return
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise TimeoutError(f"{what} took longer than {seconds} s") from None

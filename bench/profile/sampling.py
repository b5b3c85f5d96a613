"""Samples of a running process, taken from outside without stopping it, so that watching costs it nothing."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.children import installed
from bench.profile.phases import spent_by_phase

_REQUIREMENT = "py-spy==0.4.3"
_SAMPLES_A_SECOND = "200"
_LONGEST_SECONDS = "3600"
_BEGINS_WITHIN_SECONDS = 60


@dataclass
class Sampled:
    """What came of it, once the block is left: seconds of CPU by phase."""

    spent: dict[str, float] = field(default_factory=dict)


@asynccontextmanager
async def sampled(pid: int, directory: Path) -> AsyncIterator[Sampled]:
    """Sample a process until the block is left.

    A sampler says what each thread was in when it ran, the kernel how long each ran: the seconds are the kernel's, so
    that a sample that was missed costs precision and nothing else.
    """
    file = directory / f"{pid}.stacks"
    command = [str(await installed("py-spy", _REQUIREMENT)), "record", "--pid", str(pid), "--nonblocking", "--threads"]
    command += ["--rate", _SAMPLES_A_SECOND, "--duration", _LONGEST_SECONDS, "--format", "raw", "--output", str(file)]
    sampler = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    found = Sampled()
    try:
        await _begun(sampler)
        before = _cpu_by_thread(pid)
        yield found
        after = _cpu_by_thread(pid)
    finally:
        if sampler.returncode is None:
            sampler.send_signal(signal.SIGINT)
        await sampler.communicate()
    spent = {thread: seconds - before.get(thread, 0.0) for thread, seconds in after.items()}
    found.spent = spent_by_phase(spent, file.read_text().splitlines())


async def _begun(sampler: asyncio.subprocess.Process) -> None:
    assert sampler.stdout is not None
    said = b""
    async with asyncio.timeout(_BEGINS_WITHIN_SECONDS):
        while b"Sampling process" not in said:
            if not (line := await sampler.stdout.readline()):
                raise RuntimeError(f"py-spy does not sample: {said.decode()}")
            said += line


def _cpu_by_thread(pid: int) -> dict[int, float]:
    """Return what each thread has used so far, in seconds; the kernel counts nanoseconds here."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            found[int(thread.name)] = int((thread / "schedstat").read_text().split()[0]) / 1e9
        # One that has ended meanwhile.
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found

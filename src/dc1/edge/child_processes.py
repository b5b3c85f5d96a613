"""Programs that run as children of this process, and never outlive it."""

import asyncio
import contextlib
import os
import sys

from dc1.edge import parent_death


def bound_to_us(*program: str) -> tuple[str, ...]:
    """Return the command by which a program runs until it ends or we do, be it by SIGKILL."""
    # -I and -S: what is between us and the program needs the standard library only, and starts in no time without the
    # rest.
    return (sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()), *program)


async def end(process: asyncio.subprocess.Process, grace_seconds: float) -> bool:
    """Have a child finish and end within a time, or kill it; return whether it had to be."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), grace_seconds)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return True
    return False

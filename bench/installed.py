"""Programs that the bench alone needs, each in an environment of its own: their requirements are not ours."""

import asyncio
import os
import sys
from pathlib import Path


async def installed(name: str, requirement: str) -> Path:
    """Return where a program of a package is, once that is installed: kept between runs, for it takes a minute."""
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

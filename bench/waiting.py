"""Waiting for what another process does."""

import asyncio
from collections.abc import Callable


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

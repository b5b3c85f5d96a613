"""What is done again and again because time passes."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)


async def every(seconds: float, step: Callable[[], Awaitable[None]]) -> None:
    """Take a step, and again `seconds` after it ended, until cancelled; one that fails is logged and taken again."""
    while True:
        try:
            await step()
        except Exception:
            # A timer that died would stop its part of the market without a word.
            log.exception("round_failed", step=getattr(step, "__qualname__", ""))
        await asyncio.sleep(seconds)

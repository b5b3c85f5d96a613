"""What one task waits for and any other rings: an event of asyncio's, for one, without the line for those who wait."""

import asyncio


class Bell:
    """Rung for who waits, and for nobody else: whoever waits has looked first, and looks again.

    An `asyncio.Event` weighs 0.8 KiB by the line that it keeps, of which each stream of a fleet would have three.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake who waits."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def rung(self) -> None:
        """Wait until it is rung; one task at a time."""
        assert self._waiting is None, "two tasks wait for one bell"
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

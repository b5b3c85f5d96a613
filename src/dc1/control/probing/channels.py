"""The way to a machine that is measured: its open stream, or what it comes for by HTTP."""

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

from dc1.control.scheduling.probe_messages import ProbeMessage

_STAYS_SECONDS = 90.0
"""How long a daemon that asked for challenges counts as one that comes again."""


class ProbeChannel(Protocol):
    """What carries the server's messages of a probe to one machine."""

    @property
    def provider_id(self) -> int:
        """Whose machine it is."""
        ...

    @property
    def address(self) -> str:
        """Where it reports from, as far as the edge is trusted."""
        ...

    def probe(self, message: ProbeMessage) -> None:
        """Go on with a probe of the machine."""
        ...


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a daemon that polls is at; `message` is what it is asked, None while others have to answer first."""

    probe_id: str
    message: ProbeMessage | None


class PolledChannel:
    """Keeps the last message until the daemon comes for it, again and again: an answer to it may have been lost."""

    def __init__(self, provider_id: int, address: str) -> None:
        self.provider_id = provider_id
        self.address = address
        self._heard_at = time.monotonic()
        self._message: ProbeMessage | None = None
        self._came = asyncio.Event()

    def heard(self, address: str) -> None:
        """Note that the daemon is there."""
        self.address, self._heard_at = address, time.monotonic()

    @property
    def is_here(self) -> bool:
        """Whether the daemon may be expected to come again."""
        return time.monotonic() - self._heard_at < _STAYS_SECONDS

    def probe(self, message: ProbeMessage) -> None:
        """Have the daemon be told with its next call, or with the one that waits now."""
        self._message = message
        self._came.set()

    def answered(self) -> None:
        """Note that the last message has its answer: the next call waits for another one."""
        self._message = None
        self._came.clear()

    def tells_of(self, probe_id: str) -> bool:
        """Tell whether the message that waits belongs to a probe, such as how it ended."""
        return self._message is not None and self._message.probe_id == probe_id

    async def message(self, seconds: float) -> ProbeMessage | None:
        """Return the message that waits for an answer, None if there is none within so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._came.wait()
        except TimeoutError:
            return None
        return self._message

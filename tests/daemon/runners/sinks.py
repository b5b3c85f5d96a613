"""A sink that remembers, for tests that look at a runner's live output."""

import asyncio
from dataclasses import dataclass, field

from dc1.daemon.runners.base import Level
from dc1.domain.jobs.states import Phase


@dataclass
class RecordingSink:
    """Keeps everything it is sent; `changed` lets a test wait for output instead of sleeping."""

    logs: list[tuple[Level, str]] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    ended: bool = False
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def log(self, level: Level, message: str) -> None:
        self.logs.append((level, message))
        await self._announce()

    async def phase(self, name: Phase) -> None:
        self.phases.append(name)
        await self._announce()

    async def token(self, text: str) -> None:
        self.tokens.append(text)
        await self._announce()

    async def event(self, event: str, text: str, is_last: bool) -> None:
        self.events.append(event)
        self.ended = self.ended or is_last
        await self.token(text)

    @property
    def lines(self) -> list[str]:
        return [message for _, message in self.logs]

    async def wait_for_token(self, count: int = 1) -> None:
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: len(self.tokens) >= count)

    async def wait_for_line(self, text: str) -> None:
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: text in self.lines)

    async def _announce(self) -> None:
        async with self.changed:
            self.changed.notify_all()

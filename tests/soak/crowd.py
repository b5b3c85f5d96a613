"""Everybody who speaks REST in a soak: renters, daemons that poll, and an admin."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence

from dc1.testing.server import ADMIN_TOKEN
from tests.soak.http_daemon import HttpDaemon
from tests.soak.renter import Renter
from tests.soak.witness import Client, UnexpectedError, Witness

_LAST_JOB_SECONDS = 90
_DRAIN_SECONDS = 90
_LOOK_SECONDS = 0.5
_ADMIN_SECONDS = 10
_ADMIN_PATHS = ("/admin/dashboard", "/admin/fleet/health", "/admin/jobs?limit=50")


class Crowd:
    """They live on one event loop and are watched by one witness."""

    def __init__(
        self, url: str, renters: Sequence[str], daemons: Sequence[str], providers: Sequence[int], seed: int
    ) -> None:
        """`renters` and `daemons` are their keys; `providers` are the accounts that renters may ask for by name."""
        self.witness = Witness()
        self._url = url
        self._clients: list[Client] = []
        dice = random.Random(seed)
        self._renters = [Renter(self._client(key), self.witness, providers, dice) for key in renters]
        self._daemons = [HttpDaemon(self._client(key), dice) for key in daemons]
        self._admin = self._client(ADMIN_TOKEN)

    def _client(self, key: str) -> Client:
        self._clients.append(Client(self._url, key, self.witness))
        return self._clients[-1]

    async def work(self, closing: asyncio.Event, drained: Callable[[], bool]) -> None:
        """Buy and sell until closing time, and sell on until the market is drained, if that takes not too long."""
        async with asyncio.TaskGroup() as group:
            acts = [act for daemon in self._daemons for act in (daemon.beat, daemon.poll)]
            sellers = [group.create_task(_insist(act)) for act in (*acts, self._administer)]
            buyers = [group.create_task(self._buy(renter, closing)) for renter in self._renters]
            await closing.wait()
            await self._last_jobs(buyers)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    while True:
                        if await asyncio.to_thread(drained):
                            break
                        await asyncio.sleep(_LOOK_SECONDS)
            for task in sellers:
                task.cancel()
        for client in self._clients:
            await client.close()

    async def _last_jobs(self, buyers: Sequence[asyncio.Task[None]]) -> None:
        late = (await asyncio.wait(buyers, timeout=_LAST_JOB_SECONDS))[1] if buyers else set()
        for task in late:
            task.cancel()
        if late:
            self.witness.complain(f"{len(late)} renters waited longer than {_LAST_JOB_SECONDS} s for their last job")

    async def _buy(self, renter: Renter, closing: asyncio.Event) -> None:
        await _insist(lambda: renter.buy(closing))

    async def _administer(self) -> None:
        while True:
            for path in _ADMIN_PATHS:
                await self._admin.get(path)
            await asyncio.sleep(_ADMIN_SECONDS)


async def _insist(act: Callable[[], Awaitable[None]]) -> None:
    """Begin an act again after an answer that was none of those it knows."""
    while True:
        try:
            return await act()
        except UnexpectedError:
            await asyncio.sleep(1)

"""Look-ups of keys, gathered: each costs a turn of a database thread, and a fleet that comes back needs thousands."""

import asyncio
from collections.abc import Iterable, Mapping
from contextvars import Context
from functools import partial

from dc1.domain.base.clock import Clock
from dc1.storage.accounts import key_holders
from dc1.storage.accounts.key_holders import KeyHolder
from dc1.storage.engine.database import Database

_MOST_AT_ONCE = 500
_GATHER_SECONDS = 0.005
"""How long those who come while others are read gather: in a storm each turn of a thread would be for one or two."""

_MOST_IN_A_TURN = 8
"""Whoever is told goes on in the next turn of the loop, and has a millisecond of work where a fleet comes back."""

_Asked = list[asyncio.Future[KeyHolder | None]]


class KeyLookUps:
    """Reads what was asked for while another reading was under way at once. Owned by the event loop."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._asked: dict[str, _Asked] = {}
        self._reading: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> KeyHolder | None:
        """Return who holds a key, by a reading that begins after this call; None for nobody."""
        # Each has a future of its own, which is cancelled with whoever waits for it.
        found: asyncio.Future[KeyHolder | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(key_id, []).append(found)
        if self._reading is None:
            # Nobody's call: it reads for those that come meanwhile too, and outlives the one that was first.
            self._reading = asyncio.create_task(self._read(), name="key-look-ups", context=Context())
        return await found

    async def _read(self) -> None:
        try:
            while self._asked:
                batch = dict(list(self._asked.items())[:_MOST_AT_ONCE])
                for key_id in batch:
                    del self._asked[key_id]
                await self._read_batch(batch)
                if self._asked:
                    await asyncio.sleep(_GATHER_SECONDS)
        finally:
            self._reading = None

    async def _read_batch(self, batch: dict[str, _Asked]) -> None:
        try:
            held = await self._database.read(
                partial(key_holders.find, key_ids=list(batch), now_ms=self._clock.now_ms())
            )
            await _tell(batch, held)
        except BaseException as error:
            for found in _still_waiting(batch.values()):
                if isinstance(error, Exception):
                    found.set_exception(error)
                else:
                    found.cancel()
            if not isinstance(error, Exception):
                raise


async def _tell(batch: Mapping[str, _Asked], held: Mapping[str, KeyHolder]) -> None:
    told = 0
    for key_id, asked in batch.items():
        for found in asked:
            # Asked here: whoever has a turn between may have gone away by now.
            if found.done():
                continue
            found.set_result(held.get(key_id))
            told += 1
            if told % _MOST_IN_A_TURN == 0:
                # The others go between: behind a database that was slow hundreds wait, and would go on all at once.
                await asyncio.sleep(0)


def _still_waiting(asked: Iterable[_Asked]) -> list[asyncio.Future[KeyHolder | None]]:
    return [found for each in asked for found in each if not found.done()]

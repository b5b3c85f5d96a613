"""Callers of /v1 who wait for a provider with room: in memory only, and with nothing held of their money."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import TypeAlias

from dc1.control.fleet.provider import Provider
from dc1.domain.errors import no_capacity_available, rate_limit_exceeded, service_unavailable
from dc1.domain.jobs.placement import Requirement, Room

MOST_OF_RENTER = 100
"""Calls of one renter that wait at once."""

MOST_WAITING = 2_000
"""Calls that wait at once in all, each with an open connection."""

_COME_BACK_SECONDS = 1
# For news that was missed: everything that makes room wakes whoever waits.
_LOOK_SECONDS = 1.0

_Turn: TypeAlias = asyncio.Future[Provider]


class CallQueue:
    """Who waits for a model: renters take turns, and calls of one that want the same go in the order they came in."""

    def __init__(self, place: Callable[[Requirement], Provider | None], unplace: Callable[[int, Room], None]) -> None:
        """`place` reserves room for a call, where there is any, and `unplace` gives it back."""
        self._place = place
        self._unplace = unplace
        self._turns: dict[str | None, dict[int, dict[Requirement, deque[_Turn]]]] = {}
        self._of_renter: Counter[int] = Counter()
        self._is_serving = False
        self._is_closed = False

    def __len__(self) -> int:
        return self._of_renter.total()

    def is_waited_for(self, requirement: Requirement) -> bool:
        """Tell whether somebody came before, who may want the same room."""
        return requirement.model in self._turns

    async def wait(self, renter_id: int, requirement: Requirement, seconds: float) -> Provider | None:
        """Return the provider on which room is reserved, None when there was none for so long.

        Raises:
            rate_limit_exceeded: The renter has too many calls that wait.
            no_capacity_available: So have all renters together.
            service_unavailable: The server stops.
        """
        if self._is_closed:
            raise service_unavailable(_COME_BACK_SECONDS)
        if self._of_renter[renter_id] >= MOST_OF_RENTER:
            raise rate_limit_exceeded(_COME_BACK_SECONDS)
        if len(self) >= MOST_WAITING:
            raise no_capacity_available(requirement.model or "")
        turn: _Turn = asyncio.get_running_loop().create_future()
        of_renter = self._turns.setdefault(requirement.model, {}).setdefault(renter_id, {})
        of_renter.setdefault(requirement, deque()).append(turn)
        self._of_renter[renter_id] += 1
        try:
            return await self._reserved(turn, seconds)
        finally:
            self._leave(renter_id, requirement, turn)

    async def _reserved(self, turn: _Turn, seconds: float) -> Provider | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            while not turn.done() and (left := until - loop.time()) > 0:
                self.serve_soon()
                await asyncio.wait({turn}, timeout=min(left, _LOOK_SECONDS))
        except asyncio.CancelledError:
            # Its caller hung up at the moment at which its turn came.
            if turn.done() and turn.exception() is None:
                provider = turn.result()
                self._unplace(provider.id, Room(0, 1))
            raise
        return turn.result() if turn.done() else None

    def _leave(self, renter_id: int, requirement: Requirement, turn: _Turn) -> None:
        self._of_renter[renter_id] -= 1
        if not self._of_renter[renter_id]:
            del self._of_renter[renter_id]
        if not turn.done():
            self._remove(renter_id, requirement, turn)

    def _remove(self, renter_id: int, requirement: Requirement, turn: _Turn) -> None:
        renters = self._turns[requirement.model]
        turns = renters[renter_id]
        turns[requirement].remove(turn)
        if not turns[requirement]:
            del turns[requirement]
        if not turns:
            del renters[renter_id]
        if not renters:
            del self._turns[requirement.model]

    def serve_soon(self) -> None:
        """Give away room, once what is under way has left memory as it should be."""
        if self._turns and not self._is_serving:
            self._is_serving = True
            asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        self._is_serving = False
        for model in list(self._turns):
            # Who cannot have the room lets the next one have it, and what has none is asked for once.
            in_vain: set[Requirement] = set()
            while model in self._turns and self._serve_one(self._turns[model], in_vain):
                pass

    def _serve_one(self, renters: dict[int, dict[Requirement, deque[_Turn]]], in_vain: set[Requirement]) -> bool:
        for renter_id, turns in renters.items():
            for requirement in [each for each in turns if each not in in_vain]:
                provider = self._place(requirement)
                if provider is None:
                    in_vain.add(requirement)
                    continue
                turn = turns[requirement][0]
                self._remove(renter_id, requirement, turn)
                if requirement in turns:
                    turns[requirement] = turns.pop(requirement)
                if renter_id in renters:
                    # Behind the others, until they have had their turns.
                    renters[renter_id] = renters.pop(renter_id)
                turn.set_result(provider)
                return True
        return False

    def close(self) -> None:
        """Send everybody to the next server."""
        self._is_closed = True
        turns, self._turns = self._turns, {}
        for renters in turns.values():
            waiting = (turns for of_renter in renters.values() for turns in of_renter.values())
            for turn in (turn for turns in waiting for turn in turns):
                turn.set_exception(service_unavailable(_COME_BACK_SECONDS))

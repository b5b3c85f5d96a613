"""Daemons' streams are spread over the servers of a database: one that holds too many sends some of them elsewhere.

An edge chooses a server when a stream opens, and streams stay for weeks: without this a server that was started anew
would hold none of them.
"""

import math
import random
from collections.abc import Collection

import structlog

from dc1.control.fleet.presence import PresenceTracker
from dc1.control.periodic import every
from dc1.control.scheduling.leases import Leases
from dc1.control.scheduling.replicas import Replicas
from dc1.control.scheduling.sessions import EndReason, Sessions

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 10.0
_TOLERATED = 1.25
_FEW = 8
"""More than the share by a quarter and a few is no matter; that many would go to and fro."""
_PART_AT_ONCE = 0.1
"""Of what a server holds, in one look: each that comes back is looked at by the server that takes it."""
_MOST_LOOKS_LEFT_OUT = 60


def to_send_away(mine: int, others: Collection[int]) -> int:
    """Return how many of its streams a server is to send away, where others hold so many each."""
    share = (mine + sum(others)) / (1 + len(others))
    if mine <= _TOLERATED * share + _FEW:
        return 0
    return math.ceil(min(mine - share, _PART_AT_ONCE * mine))


class StreamSpread:
    """What one server does about it."""

    def __init__(self, presence: PresenceTracker, sessions: Sessions, leases: Leases, replicas: Replicas) -> None:
        self._presence = presence
        self._sessions = sessions
        self._leases = leases
        self._replicas = replicas
        self._expected: int | None = None
        self._left_out = self._to_leave_out = 0

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        await every(_LOOK_SECONDS, self.look)

    async def look(self) -> None:
        """Send away what is too many; where that came back, wait ever longer, for the edge has nobody else."""
        others = self._replicas.others
        if not others or self._sessions.draining:
            return
        mine = len(self._sessions)
        number = to_send_away(mine, self._presence.streams_at(others))
        if not number:
            self._expected, self._to_leave_out = None, 0
            return
        if self._left_out < self._to_leave_out:
            self._left_out += 1
            return
        came_back = self._expected is not None and mine > self._expected
        self._to_leave_out = min(2 * self._to_leave_out + 1, _MOST_LOOKS_LEFT_OUT) if came_back else 0
        self._left_out, self._expected = 0, mine - number // 2
        log.info("streams_sent_elsewhere", count=number, held=mine)
        for provider_id in self._dispensable(number):
            self._sessions.end(provider_id, EndReason.DRAINING)

    def _dispensable(self, number: int) -> list[int]:
        """Return whose streams go: of those that have nothing to do, if there are enough."""
        ids = [session.provider_id for session in self._sessions]
        random.shuffle(ids)
        return sorted(ids, key=lambda each: len(self._leases.of_provider(each)))[:number]

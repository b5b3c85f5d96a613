"""Which servers live, by the word that each renews in the database, and which machines went with those that do not."""

import time
from collections.abc import Collection
from functools import partial

import structlog

from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.core import Core
from dc1.storage.cluster import replicas
from dc1.storage.cluster.replicas import ReplicaExpiries
from dc1.storage.engine.database import Connection

log = structlog.get_logger(__name__)

_TTL_MS = 5_000
_STEP_MS = 2_500
"""Half of the time to live: what is less ends nobody's word."""


class LivingReplicas:
    """The servers of a database, this one among them."""

    def __init__(self, core: Core, replica_id: str) -> None:
        self._replica_id = replica_id
        self._db = core.db
        self._clock = core.clock
        self._fleet = core.fleet
        self._alive: frozenset[str] = frozenset()
        self._renewed_at = time.monotonic()
        self._judge_from = 0.0
        self._ahead_ms = 0
        self._database_ms: int | None = None

    @property
    def others(self) -> frozenset[str]:
        """The other servers that live."""
        return self._alive - {self._replica_id}

    def seen(self, alive: frozenset[str]) -> None:
        """Note servers that live; who died is for the renewals to judge."""
        self._alive |= alive

    def database_ms(self) -> int:
        """Return the time by the database's clock, as far as it did not step."""
        return self._clock.now_ms() + self._ahead_ms

    async def confirm_lost(self, providers: Collection[Provider]) -> None:
        """Wait on for whom another replica has heard, and who could not be heard without a database."""
        thresholds = self._fleet.thresholds
        gone = await self._db.read(
            partial(
                replicas.gone,
                provider_ids=[provider.id for provider in providers],
                grace_ms=thresholds.stream_grace_seconds * 1000,
                silence_ms=thresholds.offline_seconds * 1000,
                now_ms=self._clock.now_ms(),
            )
        )
        may_judge = time.monotonic() >= self._judge_from and not self._is_out_of_touch()
        for provider in providers:
            if provider.id not in gone:
                self._fleet.presence.not_lost(provider)
            elif not may_judge:
                self._fleet.presence.await_return(provider)

    def _is_out_of_touch(self) -> bool:
        return time.monotonic() - self._renewed_at > _TTL_MS / 2000

    async def renew(self) -> None:
        """Say that this server lives, and judge which of the others do not any more."""
        found, here_ms = await self._db.write(self._renewal)
        stepped = self._note_difference(found.now_ms - here_ms)
        alive = found.alive()
        # After an outage of the database, or a step of its clock, everybody's word has expired: let them all speak
        # before judging.
        if stepped or self._is_out_of_touch():
            self._judge_from = time.monotonic() + 2 * _TTL_MS / 1000
        self._renewed_at = time.monotonic()
        if self._renewed_at < self._judge_from:
            self._alive |= alive
            return
        dead = self._alive - alive - {self._replica_id}
        self._alive = alive
        if dead:
            log.info("replicas_died", count=len(dead))
            self._fleet.presence.replica_died(dead)

    def _note_difference(self, ahead_ms: int) -> bool:
        """Note how the database's clock differs from this server's, and tell whether it stepped since the last look.

        A step is not followed: streams that open after one that went back would seem older than those before.
        """
        known, self._database_ms = self._database_ms, ahead_ms
        stepped = known is not None and abs(ahead_ms - known) > _STEP_MS
        if known is None:
            self._ahead_ms = ahead_ms
        elif not stepped:
            self._ahead_ms += ahead_ms - known
        return stepped

    def _renewal(self, conn: Connection) -> tuple[ReplicaExpiries, int]:
        return replicas.renew(conn, self._replica_id, _TTL_MS), self._clock.now_ms()

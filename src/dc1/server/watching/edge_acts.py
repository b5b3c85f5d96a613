"""Calls of admins' methods that the edge refused by itself: the audit trail has their number, once a minute."""

from collections import Counter
from functools import partial

from dc1.control.periodic import Periodic
from dc1.domain.access.roles import Role
from dc1.domain.base.clock import Clock
from dc1.server.method_options import options_of
from dc1.server.watching.refused_acts import SEVERAL
from dc1.services.api.edge_refusals import EdgeRefusals
from dc1.services.api.refusals import RefusalReason, status_of
from dc1.storage.admin import audit
from dc1.storage.admin.audit import NewAuditEntry
from dc1.storage.engine.database import Connection, Database

BY_EDGE = "edge"
"""The method of such an entry, whose calls had several verbs."""

_LOOK_SECONDS = 60.0


class EdgeActs:
    """Enters once a minute what the edge refused of admins' methods since: one entry for each reason, none for none."""

    def __init__(self, refusals: EdgeRefusals, database: Database, clock: Clock) -> None:
        self._refusals = refusals
        self._database = database
        self._clock = clock
        self._seen: Counter[tuple[str, RefusalReason]] = Counter()
        self._looking = Periodic((_LOOK_SECONDS, self.enter))

    async def start(self) -> None:
        """Begin to look; what an edge that is there already refused before was for another server to enter."""
        self._seen = await self._count()
        self._looking.start()

    async def stop(self) -> None:
        """End, and enter what is left."""
        await self._looking.stop()
        await self.enter()

    async def enter(self) -> None:
        """Enter now what was refused since the last time."""
        counts = await self._count()
        # An edge that was started anew counts from nothing.
        began_anew = any(counts[kind] < seen for kind, seen in self._seen.items())
        fresh = Counter(counts) if began_anew else counts - self._seen
        if entries := self._entries(fresh):
            # All or none: those of a look that failed are entered by the next one.
            await self._database.write(partial(_record, entries))
        self._seen = counts

    async def _count(self) -> Counter[tuple[str, RefusalReason]]:
        counts = await self._refusals.read()
        # One that does not answer just now will have counted on.
        if counts is None:
            return self._seen
        return Counter(
            {
                (method, reason): count
                for (method, reason), count in counts.refusals.items()
                if options_of(method).roles == {Role.ADMIN}
            }
        )

    def _entries(self, fresh: Counter[tuple[str, RefusalReason]]) -> list[NewAuditEntry]:
        calls: Counter[RefusalReason] = Counter()
        for (_, reason), count in fresh.items():
            calls[reason] += count
        return [
            NewAuditEntry(
                at_ms=self._clock.now_ms(),
                actor=SEVERAL,
                method=BY_EDGE,
                # That which was called most stands for all.
                path=max((count, method) for (method, why), count in fresh.items() if why is reason)[1],
                status=status_of(reason),
                detail=SEVERAL,
                reason=reason,
                calls=count,
            )
            for reason, count in calls.items()
        ]


def _record(entries: list[NewAuditEntry], conn: Connection) -> None:
    for entry in entries:
        audit.record(conn, entry)

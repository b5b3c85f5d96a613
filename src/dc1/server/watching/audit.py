"""The audit trail: every call that an operator made, and who tried without a right to it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dc1.domain.access.roles import Role
from dc1.domain.base.clock import Clock
from dc1.domain.errors import ApiError
from dc1.server.method_options import MethodOptions, named_in_path
from dc1.server.requests import Request
from dc1.server.watching.refused_acts import NOBODY, RefusedActs
from dc1.services.api.call import Call
from dc1.services.api.refusals import RefusalReason, reason_of
from dc1.storage.admin import audit
from dc1.storage.admin.audit import NewAuditEntry
from dc1.storage.engine.database import Database

CLIENT_GONE = 499
"""Status of a call whose caller left before the answer."""

_NATIVE = "gRPC"
_FIELD = "provider_id"
# As in the access log. A path may have 60 KB, and its caller need not be anybody to be entered with it.
_PATH_CHARACTERS = 512
_VERB_CHARACTERS = 16
# A key that was pasted into a path, of which no part may be kept.
_KEY = re.compile(r"(dc1-[a-z]+-)[\w-]+")


class Auditor:
    """Writes one durable entry an admin call, before its answer leaves, and few for what was refused."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._refused = RefusedActs(database, clock)

    async def start(self) -> None:
        """Begin to store, every few seconds, how many refusals the entries stand for."""
        await self._refused.start()

    async def stop(self) -> None:
        """End, and store what is left."""
        await self._refused.stop()

    async def store_counts(self) -> None:
        """Store now how many refusals the entries stand for."""
        await self._refused.store_counts()

    @asynccontextmanager
    async def auditing(self, call: Call, options: MethodOptions, request: Request | None) -> AsyncIterator[None]:
        """Enter how the call in this block ends, if an admin makes it; `request` is None for a stream of requests."""
        # What an error that nobody foresaw is answered with.
        status = 500
        try:
            yield
            status = call.http_status or options.success_status
        except ApiError as error:
            status = error.status
            raise
        except asyncio.CancelledError:
            status = CLIENT_GONE
            raise
        finally:
            # Waited for, in every case: no answer leaves of which the trail does not know.
            await self._record(call, options, request, status)

    async def refused(self, call: Call, options: MethodOptions, status: int) -> None:
        """Enter the refusal of a call that is not made, if its caller came as an admin."""
        if call.admin_claim is None or status >= 500:
            return
        await self._refused.note(self._entry(call, options, None, status, reason_of(status)))

    async def _record(self, call: Call, options: MethodOptions, request: Request | None, status: int) -> None:
        # Known only now: the block is entered before the credential is looked at. What a limit refused is told by its
        # number also of who has the token: there is no end to it.
        if call.principal.role is not Role.ADMIN or reason_of(status) is RefusalReason.RATE_LIMITED:
            if status >= 400:
                await self.refused(call, options, status)
            return
        entry = self._entry(call, options, request, status, None)
        await self._database.write(lambda conn: audit.record(conn, entry))

    def _entry(
        self, call: Call, options: MethodOptions, request: Request | None, status: int, reason: RefusalReason | None
    ) -> NewAuditEntry:
        path = call.rest_path or call.method
        return NewAuditEntry(
            at_ms=self._clock.now_ms(),
            # A token that was good has a name.
            actor=call.principal.actor or call.admin_claim or NOBODY,
            method=call.rest_method[:_VERB_CHARACTERS] if call.is_rest else _NATIVE,
            path=_KEY.sub(r"\1***", path)[:_PATH_CHARACTERS],
            status=status,
            provider_id=None if reason else _provider(request, options, path),
            detail=call.address,
            reason=reason,
        )


def _provider(request: Request | None, options: MethodOptions, path: str) -> int | None:
    """Return the provider that a call is about: what its request says or, where that was not parsed, its path."""
    message = None if request is None else request.message
    named = named_in_path(options.paths, path).get(_FIELD, "") if message is None else getattr(message, _FIELD, "")
    # As the caller wrote it, who may have written anything.
    named = str(named)
    return int(named) if named.isascii() and named.isdigit() and len(named) < 10 else None

"""The audit trail: every call that was let in with the admin token."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dc1.domain.access.roles import Role
from dc1.domain.base.clock import Clock
from dc1.domain.errors import ApiError
from dc1.server.method_options import MethodOptions, named_in_path
from dc1.server.requests import Request
from dc1.services.api.call import Call
from dc1.storage.admin import audit
from dc1.storage.admin.audit import NewAuditEntry
from dc1.storage.engine.database import Database

CLIENT_GONE = 499
"""Status of a call whose caller left before the answer."""

_NATIVE = "gRPC"
_FIELD = "provider_id"


class Auditor:
    """Writes one durable entry an admin call, before its answer leaves."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

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

    async def _record(self, call: Call, options: MethodOptions, request: Request | None, status: int) -> None:
        # Known only now: the block is entered before the credential is looked at.
        if call.principal.role is not Role.ADMIN:
            return
        path = call.rest_path or call.method
        entry = NewAuditEntry(
            at_ms=self._clock.now_ms(),
            actor=call.principal.fingerprint,
            method=call.rest_method if call.is_rest else _NATIVE,
            path=path,
            status=status,
            provider_id=_provider(request, options, path),
            detail=call.address,
        )
        await self._database.write(lambda conn: audit.record(conn, entry))


def _provider(request: Request | None, options: MethodOptions, path: str) -> int | None:
    """Return the provider that a call is about: what its request says or, where that was not parsed, its path."""
    message = None if request is None else request.message
    named = named_in_path(options.paths, path).get(_FIELD, "") if message is None else getattr(message, _FIELD, "")
    # As the caller wrote it, who may have written anything.
    named = str(named)
    return int(named) if named.isascii() and named.isdigit() and len(named) < 10 else None

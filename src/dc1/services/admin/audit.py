"""Who did what with the admin token."""

from typing import Any

from dc1.domain.base.clock import iso
from dc1.services.api.paging import Pages
from dc1.services.api.parts import ServicerPart
from dc1.services.api.values import to_value
from dc1.storage.admin import audit
from dcp.v1 import admin_service_pb2 as pb


class AuditCalls(ServicerPart):
    """The audit trail."""

    async def ListAuditEntries(self, request: pb.ListAuditEntriesRequest, context: Any) -> pb.ListAuditEntriesResponse:
        """List admin calls, newest first."""
        pages = Pages.asked(request)
        found = await self._plane.db.read_history(lambda conn: audit.page(conn, limit=pages.limit, offset=pages.offset))
        entries = [
            pb.AuditEntry(
                id=row.id,
                at=iso(row.at_ms),
                actor=row.actor,
                method=row.method,
                path=row.path,
                status=row.status,
                # The trail has one free text beside the fixed columns; the server writes there where the call came
                # from.
                address=to_value(row.detail or None),
                reason=to_value(row.reason),
                calls=row.calls,
            )
            for row in found.rows
        ]
        return pb.ListAuditEntriesResponse(entries=entries, total=found.total, pagination=pages.of(found.total))

"""The log of what was sent to a renter's webhook address."""

from typing import Any

from dc1.domain.base.clock import iso
from dc1.services.api.call import caller_id
from dc1.services.api.paging import Pages
from dc1.services.api.parts import ServicerPart
from dc1.services.api.values import time_value, to_value
from dc1.storage.accounts import webhooks
from dc1.storage.accounts.webhooks import DeliveryRow
from dcp.v1 import renter_webhook_pb2 as pb


class WebhookCalls(ServicerPart):
    """What renters see of their webhooks."""

    async def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, context: Any
    ) -> pb.ListWebhookDeliveriesResponse:
        """List the deliveries to the caller, newest first."""
        renter_id = caller_id()
        pages = Pages.asked(request, usual=20, most=100)
        found = await self._plane.db.read_history(
            lambda conn: webhooks.page(
                conn,
                renter_id,
                limit=pages.limit,
                offset=pages.offset,
                # An empty filter is none: both are what a form sends that was left blank.
                event=request.event or None,
                status=request.status or None,
            )
        )
        return pb.ListWebhookDeliveriesResponse(
            deliveries=[_delivery(row) for row in found.rows], pagination=pages.of(found.total)
        )

    async def ResendWebhookDelivery(
        self, request: pb.ResendWebhookDeliveryRequest, context: Any
    ) -> pb.ResendWebhookDeliveryResponse:
        """Send what was sent to the caller once more."""
        await self._plane.renter_accounts.send_again(caller_id(), request.delivery_id)
        return pb.ResendWebhookDeliveryResponse(success=True, delivery_id=request.delivery_id)


def _delivery(row: DeliveryRow) -> pb.WebhookDelivery:
    return pb.WebhookDelivery(
        delivery_id=row.delivery_id,
        event=row.event,
        job_id=to_value(row.job_id),
        url=row.url,
        status=row.status,
        attempts=row.attempts,
        response_status=to_value(row.response_status),
        error=to_value(row.error),
        created_at=iso(row.created_at_ms),
        last_attempt_at=time_value(row.last_attempt_at_ms),
        next_attempt_at=time_value(row.next_attempt_at_ms),
        delivered_at=time_value(row.delivered_at_ms),
    )

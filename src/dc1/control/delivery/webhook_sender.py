"""Sends webhook events from the outbox. Several servers may do so at once; each delivery is taken by one of them."""

import asyncio
from collections import Counter
from collections.abc import Collection

import structlog

from dc1.control.delivery.https_poster import HttpsPoster, UndeliveredError, delivered, refusal_of
from dc1.control.delivery.outbox_watch import Looked, OutboxWatch
from dc1.control.delivery.webhook_targets import Targets
from dc1.control.failures import level_of
from dc1.control.feeds.outboxes import Outboxes
from dc1.domain.access.secret_box import SecretBox, UnreadableSecretError
from dc1.domain.access.webhooks import RETRY_SECONDS, DeliveryStatus, secret_purpose, signature, standard_headers
from dc1.domain.base.clock import Clock
from dc1.storage.accounts import webhooks
from dc1.storage.accounts.webhooks import DeliveryAttempt, TakenDelivery
from dc1.storage.engine.database import Database
from dc1.storage.engine.followed import Outbox

log = structlog.get_logger(__name__)

_MAX_IN_FLIGHT = 64
_MAX_PER_RENTER = 8
_CLAIM_MS = 30_000
# Until what another server is just taking is looked for once more.
_AGAIN_MS = 250


class WebhookSender:
    """Delivers what the outbox holds: 2xx within `answer_seconds` is success, anything else is tried again."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        outboxes: Outboxes,
        targets: Targets,
        secret_box: SecretBox,
        *,
        answer_seconds: float = 5.0,
    ) -> None:
        self._db = db
        self._clock = clock
        self._targets = targets
        self._secret_box = secret_box
        self._answer_seconds = answer_seconds
        self._poster = HttpsPoster()
        self._in_flight: dict[asyncio.Task[None], TakenDelivery] = {}
        self._watch = OutboxWatch(outboxes, Outbox.WEBHOOKS, clock, self._take_due)

    async def start(self) -> None:
        """Begin to send."""
        self._watch.start()

    async def stop(self) -> None:
        """Break off what is being sent and leave it to the next sender; receivers may see it twice."""
        await self._watch.stop()
        # Noted before they are cancelled, as each that ends leaves the table.
        unsent = [delivery.id for delivery in self._in_flight.values()]
        tasks = list(self._in_flight)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if unsent:
            now_ms = self._clock.now_ms()
            await self._db.write(lambda conn: webhooks.release(conn, unsent, now_ms))
        await self._poster.close()
        self._targets.close()

    async def _take_due(self) -> Looked:
        """Take what is due until nothing is, or until enough is under way."""
        while True:
            counts = Counter(delivery.renter_id for delivery in self._in_flight.values())
            busy = [renter_id for renter_id, count in counts.items() if count >= _MAX_PER_RENTER]
            if len(self._in_flight) >= _MAX_IN_FLIGHT:
                # Each that ends has it looked again.
                return Looked(None, is_full=True)
            due_ms, now_ms = await self._next_due_ms(busy), self._clock.now_ms()
            if due_ms is None or due_ms > now_ms:
                return Looked(due_ms, is_full=bool(busy))
            if not await self._take(now_ms, counts):
                return Looked(now_ms + _AGAIN_MS)

    async def _next_due_ms(self, busy: Collection[int]) -> int | None:
        return await self._db.read(lambda conn: webhooks.next_due_ms(conn, busy))

    async def _take(self, now_ms: int, in_flight: Counter[int]) -> int:
        """Claim what is due and begin to send it; return how many."""
        free = _MAX_IN_FLIGHT - len(self._in_flight)
        taken = await self._db.write(
            lambda conn: webhooks.take_due(
                conn, now_ms, now_ms + _CLAIM_MS, limit=free, per_renter=_MAX_PER_RENTER, in_flight=in_flight
            )
        )
        for delivery in taken:
            task = asyncio.create_task(self._deliver(delivery))
            self._in_flight[task] = delivery
            task.add_done_callback(self._ended)
        return len(taken)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task]
        # There is room again, and one that failed comes due again.
        self._watch.wake()

    async def _deliver(self, delivery: TakenDelivery) -> None:
        try:
            status, error = await self._attempt(delivery)
            attempt = _outcome(delivery, status, error, self._clock.now_ms())
            await self._db.write(lambda conn: webhooks.record_attempt(conn, delivery, attempt))
        except Exception as error:
            # It comes due again by itself, and then is sent once more.
            level_of(error, log)("webhook_not_recorded", delivery_id=delivery.delivery_id)

    async def _attempt(self, delivery: TakenDelivery) -> tuple[int | None, str | None]:
        """Send once; return the HTTP status, if there was one, and what went wrong."""
        try:
            status = await delivered(self._post(delivery), self._answer_seconds)
        except UndeliveredError as failure:
            return None, str(failure)
        except Exception:
            # A receiver may answer anything, and libraries raise anything of it. Unrecorded it would be sent for ever.
            log.exception("webhook_failed", delivery_id=delivery.delivery_id)
            return None, "The request failed"
        return status, refusal_of(status)

    async def _post(self, delivery: TakenDelivery) -> int:
        try:
            secret = self._secret_box.open(delivery.sealed_webhook_secret or "", secret_purpose(delivery.renter_id))
        except UnreadableSecretError:
            raise UndeliveredError("The signing secret cannot be read") from None
        target = await self._targets.resolve(delivery.url)
        body = delivery.body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "dc1-webhooks",
            "X-DCP-Event": delivery.event,
            "X-DCP-Delivery": delivery.delivery_id,
            "X-DCP-Signature": signature(secret, body),
            # By the market's clock, as a receiver refuses what was signed long ago: each attempt is signed anew.
            **standard_headers(secret, delivery.delivery_id, self._clock.now_ms() // 1000, body),
        }
        return await self._poster.post(target, body, headers)


def _outcome(delivery: TakenDelivery, response_status: int | None, error: str | None, now_ms: int) -> DeliveryAttempt:
    if error is None:
        return DeliveryAttempt(DeliveryStatus.DELIVERED, response_status, None, now_ms, None)
    if delivery.attempts >= len(RETRY_SECONDS):
        return DeliveryAttempt(DeliveryStatus.FAILED, response_status, error, now_ms, None)
    next_ms = now_ms + RETRY_SECONDS[delivery.attempts] * 1000
    return DeliveryAttempt(DeliveryStatus.PENDING, response_status, error, now_ms, next_ms)

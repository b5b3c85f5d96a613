"""Tells people what they want to be told. Several servers may do so at once; each notification is taken by one."""

import asyncio

import structlog

from dc1.control.delivery.https_poster import HttpsPoster, UndeliveredError, delivered, refusal_of
from dc1.control.delivery.mailer import Mailer, MailError
from dc1.control.delivery.outbox_watch import Looked, OutboxWatch
from dc1.control.delivery.webhook_targets import Targets
from dc1.control.failures import level_of
from dc1.control.feeds.outboxes import Outboxes
from dc1.domain.access.notifications import RETRY_SECONDS, ChannelKind, address_of, channel_purpose, message_for
from dc1.domain.access.secret_box import SecretBox, UnreadableSecretError
from dc1.domain.base.clock import Clock, iso
from dc1.domain.base.json_types import compact
from dc1.storage.accounts import notifications
from dc1.storage.accounts.notifications import DueNotification
from dc1.storage.engine.database import Database
from dc1.storage.engine.followed import Outbox

log = structlog.get_logger(__name__)

_MAX_IN_FLIGHT = 64
_CLAIM_MS = 30_000
# Between two things in one channel: Slack and Telegram refuse whoever says much more than one a second.
_APART_SECONDS = 0.5
# Until what another server is just taking is looked for once more.
_AGAIN_MS = 500
_ANSWER_SECONDS = 5.0
# Mail servers look senders up before they answer.
_MAIL_SECONDS = 15.0
_HEADERS = {"Content-Type": "application/json", "User-Agent": "dc1-notifications"}


class Notifier:
    """Sends what waits: 2xx within five seconds is success, anything else is tried again, ever later."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        outboxes: Outboxes,
        targets: Targets,
        secret_box: SecretBox,
        mailer: Mailer | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._targets = targets
        self._secret_box = secret_box
        self._mailer = mailer
        self._poster = HttpsPoster()
        # By channel, each of which is told one thing at a time.
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._watch = OutboxWatch(outboxes, Outbox.NOTIFICATIONS, clock, self._take_due)

    async def start(self) -> None:
        """Begin to send."""
        self._watch.start()

    async def stop(self) -> None:
        """Break off what is being sent: it comes due again, and receivers may see it twice."""
        await self._watch.stop()
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._poster.close()

    async def _take_due(self) -> Looked:
        """Begin to send what is due, of each channel one thing, and wait for none of it."""
        busy = [*self._in_flight]
        free = _MAX_IN_FLIGHT - len(busy)
        if free == 0:
            # Each that ends has it looked again.
            return Looked(None, is_full=True)
        due_ms = await self._db.read(lambda conn: notifications.next_due_ms(conn, busy))
        now_ms = self._clock.now_ms()
        if due_ms is None or due_ms > now_ms:
            return Looked(due_ms)
        due = await self._db.write(lambda conn: notifications.take_due(conn, now_ms, now_ms + _CLAIM_MS, free, busy))
        for each in due:
            self._in_flight[each.channel_id] = asyncio.create_task(self._send(each))
        # What is left is of channels that are busy now, or more than may be under way, or just being taken elsewhere.
        return Looked(now_ms + _AGAIN_MS, is_full=len(self._in_flight) >= _MAX_IN_FLIGHT)

    async def _send(self, due: DueNotification) -> None:
        try:
            await self._send_and_record(due)
            # It is busy for so long, and then told what waits.
            await asyncio.sleep(_APART_SECONDS)
        finally:
            del self._in_flight[due.channel_id]
            # There is room in its channel again, and what failed comes due again.
            self._watch.wake()

    async def _send_and_record(self, due: DueNotification) -> None:
        try:
            error = await self._attempt(due)
            now_ms = self._clock.now_ms()
            if error is None:
                await self._db.write(lambda conn: notifications.told(conn, due, now_ms))
                return
            is_last = due.attempts >= len(RETRY_SECONDS)
            again_ms = None if is_last else now_ms + RETRY_SECONDS[due.attempts] * 1000
            await self._db.write(lambda conn: notifications.failed(conn, due, error, again_ms))
        except Exception as error:
            # It comes due again by itself, and then is sent once more.
            level_of(error, log)("notification_not_recorded", channel_id=due.channel_id)

    async def _attempt(self, due: DueNotification) -> str | None:
        """Send once; return what went wrong, in words that give no secret away."""
        seconds = _MAIL_SECONDS if due.kind is ChannelKind.EMAIL else _ANSWER_SECONDS
        try:
            return await delivered(self._deliver(due), seconds)
        except UndeliveredError as failure:
            return str(failure)
        except Exception:
            # A receiver may answer anything, and libraries raise anything of it. Unrecorded it would be sent for ever.
            log.exception("notification_failed", channel_id=due.channel_id)
            return "The request failed"

    async def _deliver(self, due: DueNotification) -> str | None:
        try:
            target = self._secret_box.open(due.sealed_target, channel_purpose(due.kind))
        except UnreadableSecretError:
            raise UndeliveredError("The address cannot be read") from None
        return await (self._mail if due.kind is ChannelKind.EMAIL else self._post)(due, target)

    async def _mail(self, due: DueNotification, address: str) -> None:
        # The operator may have taken the mail server away since the channel was added.
        if self._mailer is None:
            raise MailError("This market sends no e-mail")
        await self._mailer.send(address, due.text, due.language, due.id, due.created_at_ms)

    async def _post(self, due: DueNotification, target: str) -> str | None:
        told = message_for(due.kind, target, due.event, due.text, due.facts, iso(due.created_at_ms))
        where = await self._targets.resolve(address_of(due.kind, target))
        status = await self._poster.post(where, compact(told).encode(), _HEADERS)
        return refusal_of(status)

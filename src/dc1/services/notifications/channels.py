"""An account's channels, for renters, owners and operators alike."""

from typing import Any

from dc1.control.delivery.webhook_targets import NotPublicError
from dc1.domain import errors
from dc1.domain.access.notifications import EVENTS_OF, ChannelKind, channel_purpose, hint_of, is_target, new_code
from dc1.domain.access.roles import Role
from dc1.domain.base.clock import iso
from dc1.domain.base.languages import ARABIC, ENGLISH
from dc1.services.api.call import current_call
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.values import row_id, time_value, to_value
from dc1.storage.accounts.notifications import OPERATORS, ChannelRow, NewChannel
from dcp.v1 import notification_service_pb2 as pb
from dcp.v1.notification_service_pb2_grpc import NotificationServiceServicer


class NotificationServicer(ServicerPart, NotificationServiceServicer):
    """Channels, each seen and changed by its own account."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._targets = parts.webhook_targets
        self._secret_box = parts.secret_box
        self._sends_mail = parts.sends_mail

    async def ListNotificationChannels(
        self, request: pb.ListNotificationChannelsRequest, context: Any
    ) -> pb.ListNotificationChannelsResponse:
        """List the caller's channels, and what there is to be told of."""
        role, owner_id = _account()
        found = await self._plane.notification_channels.all_of(role, owner_id)
        return pb.ListNotificationChannelsResponse(
            channels=[_channel(row) for row in found], events=[event.value for event in EVENTS_OF[role]]
        )

    async def AddNotificationChannel(
        self, request: pb.AddNotificationChannelRequest, context: Any
    ) -> pb.AddNotificationChannelResponse:
        """Add a channel of the caller's."""
        role, owner_id = _account()
        kind = ChannelKind(request.kind)
        events = list(dict.fromkeys(request.events)) or [event.value for event in EVENTS_OF[role]]
        if not set(events) <= set(EVENTS_OF[role]):
            raise errors.invalid_enum("events", EVENTS_OF[role])
        if not is_target(kind, request.target):
            raise errors.invalid_field("target", f"is no address of {kind}")
        if kind is ChannelKind.WEBHOOK:
            await self._require_public(request.target)
        elif kind is ChannelKind.EMAIL:
            await self._require_own(role, owner_id, request.target)
        # Sealed before anything is written: the box may have to read its key from disk.
        sealed = self._secret_box.seal(request.target, channel_purpose(kind))
        language = ARABIC if request.language == ARABIC else ENGLISH
        # Whoever registers may have typed another's address. Operators answer for what they name.
        code = new_code() if kind is ChannelKind.EMAIL and role is not Role.ADMIN else None
        new = NewChannel(kind, sealed, hint_of(kind, request.target), events, language, code)
        return pb.AddNotificationChannelResponse(
            channel=_channel(await self._plane.notification_channels.add(role, owner_id, new))
        )

    async def _require_public(self, target: str) -> None:
        # Slack and Telegram are known hosts, and every message is held to public addresses when it is sent.
        try:
            await self._targets.check(target, current_call().principal.account)
        except NotPublicError:
            raise errors.invalid_field("target", "must be a public https URL") from None

    async def _require_own(self, role: Role, owner_id: int, address: str) -> None:
        if not self._sends_mail:
            raise errors.invalid_field("kind", "must be another: this market sends no e-mail")
        # Else the market would write to strangers for whoever asks it to.
        own = None if role is Role.ADMIN else await self._plane.notification_channels.address_of(role, owner_id)
        if own is not None and address.lower() != own.lower():
            raise errors.invalid_field("target", "must be the account's own e-mail address")

    async def ConfirmNotificationChannel(
        self, request: pb.ConfirmNotificationChannelRequest, context: Any
    ) -> pb.ConfirmNotificationChannelResponse:
        """Confirm a channel of the caller's by the code that was sent there."""
        channel_id = row_id(request.channel_id, errors.channel_not_found)
        await self._plane.notification_channels.confirm(*_account(), channel_id, request.code)
        return pb.ConfirmNotificationChannelResponse(success=True)

    async def TestNotificationChannel(
        self, request: pb.TestNotificationChannelRequest, context: Any
    ) -> pb.TestNotificationChannelResponse:
        """Send a test to a channel of the caller's."""
        await self._plane.notification_channels.test(*_account(), row_id(request.channel_id, errors.channel_not_found))
        return pb.TestNotificationChannelResponse(success=True)

    async def RemoveNotificationChannel(
        self, request: pb.RemoveNotificationChannelRequest, context: Any
    ) -> pb.RemoveNotificationChannelResponse:
        """Remove a channel of the caller's."""
        await self._plane.notification_channels.remove(
            *_account(), row_id(request.channel_id, errors.channel_not_found)
        )
        return pb.RemoveNotificationChannelResponse(success=True)


def _account() -> tuple[Role, int]:
    principal = current_call().principal
    return principal.role, OPERATORS if principal.account_id is None else principal.account_id


def _channel(row: ChannelRow) -> pb.NotificationChannel:
    return pb.NotificationChannel(
        id=row.id,
        kind=row.kind,
        hint=row.hint,
        events=row.events,
        language=row.language,
        created_at=iso(row.created_at_ms),
        last_sent_at=time_value(row.last_sent_at_ms),
        last_error=to_value(row.last_error),
        confirmed=row.is_confirmed,
    )

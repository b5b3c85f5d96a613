"""Where accounts want to be told of what: channels are added, tried and removed here."""

from dc1.domain import errors
from dc1.domain.access.roles import Role
from dc1.domain.base.clock import Clock
from dc1.storage.accounts import notifications
from dc1.storage.accounts.notifications import ChannelRow, CodeCheck, NewChannel
from dc1.storage.engine.database import Database


class NotificationChannels:
    """An account's own channels; that of operators is 0, and theirs are common to them."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def all_of(self, role: Role, owner_id: int) -> list[ChannelRow]:
        """Return the channels of an account, oldest first."""
        return await self._db.read(lambda conn: notifications.channels(conn, role, owner_id))

    async def address_of(self, role: Role, owner_id: int) -> str | None:
        """Return the e-mail address of a renter's or an owner's account."""
        return await self._db.read(lambda conn: notifications.address_of(conn, role, owner_id))

    async def add(self, role: Role, owner_id: int, new: NewChannel) -> ChannelRow:
        """Keep a channel; raises `An account has at most … channels`."""
        now_ms = self._clock.now_ms()
        return await self._db.write(lambda conn: notifications.add(conn, role, owner_id, new, now_ms))

    async def confirm(self, role: Role, owner_id: int, channel_id: int, code: str) -> None:
        """Have a channel told of everything, as its reader said the code that was sent there.

        Raises:
            channel_not_found: The account has none with that id.
            wrong_code: It is another.
            code_used_up: It is too old, or was guessed too often.
        """
        now_ms = self._clock.now_ms()
        # Said behind the commit: a wrong guess is counted.
        check = await self._db.write(lambda conn: notifications.confirm(conn, role, owner_id, channel_id, code, now_ms))
        if check is None:
            raise errors.channel_not_found()
        if check is CodeCheck.WRONG:
            raise errors.wrong_code()
        if check is CodeCheck.USED_UP:
            raise errors.code_used_up()

    async def test(self, role: Role, owner_id: int, channel_id: int) -> None:
        """Have a test sent to a channel.

        Raises:
            channel_not_found: The account has none with that id.
        """
        now_ms = self._clock.now_ms()
        if not await self._db.write(lambda conn: notifications.tell_channel(conn, role, owner_id, channel_id, now_ms)):
            raise errors.channel_not_found()

    async def remove(self, role: Role, owner_id: int, channel_id: int) -> None:
        """Forget a channel.

        Raises:
            channel_not_found: The account has none with that id.
        """
        if not await self._db.write(lambda conn: notifications.remove(conn, role, owner_id, channel_id)):
            raise errors.channel_not_found()

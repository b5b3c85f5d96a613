"""Where people want to be told of what, and what is still to be told."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update

from dc1.domain import errors
from dc1.domain.access import keys
from dc1.domain.access.notifications import (
    CODE_HOURS,
    CODE_TRIES,
    MOST_CHANNELS,
    ChannelKind,
    NotificationEvent,
    text_of,
)
from dc1.domain.access.roles import Role
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.languages import ARABIC, Language
from dc1.domain.jobs.arabic import JOB_PHRASES
from dc1.storage.accounts.name_locks import lock_name
from dc1.storage.engine.followed import Outbox, note_filled
from dc1.storage.engine.row_mapping import Backlog, Shape
from dc1.storage.engine.statements import Answer, PreparedStatement
from dc1.storage.schema.tables import notification_channels, notifications, providers, renters

OPERATORS = 0
"""The account of all operators together."""

MOST_WAITING = 500
"""What waits for one channel: of one that is down nothing more is kept, for nobody reads as much when it is back."""


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A place where an account is told; `hint` is what may be shown of it, `last_error` None once something arrived."""

    id: int
    kind: ChannelKind
    hint: str
    events: list[str]
    language: Language
    created_at_ms: int
    last_sent_at_ms: int | None
    last_error: str | None
    code_hash: str | None = field(repr=False)
    code_tries: int

    @property
    def is_confirmed(self) -> bool:
        """Tell whether anything but a code may be sent there."""
        return self.code_hash is None


class CodeCheck(StrEnum):
    """What came of a code."""

    RIGHT = "right"
    WRONG = "wrong"
    USED_UP = "used_up"


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A channel to be; `sealed_target` says where it is, `code` what its reader has to say first, if anything."""

    kind: ChannelKind
    sealed_target: str
    hint: str
    events: list[str]
    language: Language
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DueNotification:
    """Something that is ours to tell for a while; `attempts` were made before."""

    id: int
    channel_id: int
    event: NotificationEvent
    text: str
    facts: JsonObject
    created_at_ms: int
    attempts: int
    kind: ChannelKind
    sealed_target: str
    language: Language


_channels, _waiting = notification_channels, notifications
_channel_shape = Shape(ChannelRow, _channels)
_due_shape = Shape(
    DueNotification,
    _waiting,
    kind=_channels.c.kind,
    sealed_target=_channels.c.sealed_target,
    language=_channels.c.language,
)
_OF_ACCOUNT = PreparedStatement(
    select(_channels.c.id, _channels.c.events, _channels.c.language)
    .where(_channels.c.owner_role == bindparam("role"), _channels.c.owner_id == bindparam("owner"))
    .where(_channels.c.code_hash.is_(None))
    # Until the commit: one that is removed meanwhile would undo what is told of, as its row is named by ours.
    .with_for_update(read=True, key_share=True)
)


def add(conn: Connection, role: Role, owner_id: int, new: NewChannel, now_ms: int) -> ChannelRow:
    """Keep a channel of an account, and have its code sent there if it has one.

    Raises:
        channel_limit_reached: The account has as many as it may have.
    """
    # Two that come at once would both find room for the last one.
    lock_name(conn, f"notification channels of {role} {owner_id}")
    if len(channels(conn, role, owner_id)) >= MOST_CHANNELS:
        raise errors.channel_limit_reached(MOST_CHANNELS)
    values = insert(_channels).values(
        owner_role=role.value,
        owner_id=owner_id,
        created_at_ms=now_ms,
        kind=new.kind,
        sealed_target=new.sealed_target,
        hint=new.hint,
        events=new.events,
        language=new.language,
        code_hash=None if new.code is None else keys.hash_key(new.code),
    )
    (added,) = _channel_shape.all(conn.execute(values.returning(*_channel_shape.columns)))
    if new.code is not None:
        said = text_of(NotificationEvent.CONFIRMATION, new.language, {"code": new.code})
        _enqueue(conn, added.id, NotificationEvent.CONFIRMATION, said, {}, now_ms)
    return added


def channels(conn: Connection, role: Role, owner_id: int) -> list[ChannelRow]:
    """Return the channels of an account, oldest first."""
    mine = (_channels.c.owner_role == role.value, _channels.c.owner_id == owner_id)
    return _channel_shape.all(conn.execute(select(*_channel_shape.columns).where(*mine).order_by(_channels.c.id)))


def confirm(conn: Connection, role: Role, owner_id: int, channel_id: int, code: str, now_ms: int) -> CodeCheck | None:
    """Have a channel told of everything if the code is its own; None where the account has none with that id."""
    mine = (_channels.c.owner_role == role.value, _channels.c.owner_id == owner_id, _channels.c.id == channel_id)
    # Locked, as guesses that come at once are to be counted each.
    found = _channel_shape.all(conn.execute(select(*_channel_shape.columns).where(*mine).with_for_update()))
    if not found:
        return None
    (channel,) = found
    if channel.code_hash is None:
        return CodeCheck.RIGHT
    if channel.code_tries >= CODE_TRIES or now_ms >= channel.created_at_ms + CODE_HOURS * 3_600_000:
        return CodeCheck.USED_UP
    is_right = keys.matches(code, channel.code_hash)
    noted = {"code_hash": None} if is_right else {"code_tries": channel.code_tries + 1}
    conn.execute(update(_channels).where(*mine).values(**noted))
    return CodeCheck.RIGHT if is_right else CodeCheck.WRONG


def address_of(conn: Connection, role: Role, owner_id: int) -> str | None:
    """Return the e-mail address of a renter's or an owner's account."""
    accounts = renters if role is Role.RENTER else providers
    return conn.scalar(select(accounts.c.email).where(accounts.c.id == owner_id))


def remove(conn: Connection, role: Role, owner_id: int, channel_id: int) -> bool:
    """Forget a channel of an account with what was still to be told there; False where it has none with that id."""
    mine = (_channels.c.owner_role == role.value, _channels.c.owner_id == owner_id, _channels.c.id == channel_id)
    # First, as everywhere: what is being told of locks the channel before what is to be told.
    found = conn.execute(select(_channels.c.id).where(*mine).with_for_update()).scalar()
    if found is not None:
        conn.execute(delete(_waiting).where(_waiting.c.channel_id == channel_id))
        conn.execute(delete(_channels).where(*mine))
    return found is not None


def forget_all_of(conn: Connection, role: Role, owner_id: int) -> None:
    """Forget every channel of an account."""
    for channel in channels(conn, role, owner_id):
        remove(conn, role, owner_id, channel.id)


def tell(
    conn: Connection, role: Role, owner_id: int, event: NotificationEvent, facts: Mapping[str, JsonValue], now_ms: int
) -> None:
    """Have an account told of an event wherever it wants to be, with the transaction of its cause."""
    tell_channels(conn, ask_channels(conn, role, owner_id), event, facts, now_ms)


def ask_channels(conn: Connection, role: Role, owner_id: int) -> Answer:
    """Ask for an account's channels, and return what tells them to `tell_channels`."""
    # A prepared look-up, as every job that ends comes here and hardly any account has channels.
    return _OF_ACCOUNT.ask(conn, {"role": role.value, "owner": owner_id})


def tell_channels(
    conn: Connection, channels: Answer, event: NotificationEvent, facts: Mapping[str, JsonValue], now_ms: int
) -> None:
    """Do as `tell`, of an account whose channels were asked for."""
    for channel_id, events, language in channels():
        if event in events:
            _enqueue(conn, channel_id, event, text_of(event, language, _worded(facts, language)), facts, now_ms)


def _worded(facts: Mapping[str, JsonValue], language: Language) -> Mapping[str, JsonValue]:
    error = facts.get("error")
    arabic = JOB_PHRASES.in_arabic(error) if language == ARABIC and isinstance(error, str) else None
    return facts if arabic is None else {**facts, "error": arabic}


def tell_channel(conn: Connection, role: Role, owner_id: int, channel_id: int, now_ms: int) -> bool:
    """Have a test sent to a channel of an account; False where it has none with that id.

    Raises:
        channel_not_confirmed: Nobody has said yet that they read there.
    """
    for channel in channels(conn, role, owner_id):
        if channel.id == channel_id:
            if not channel.is_confirmed:
                raise errors.channel_not_confirmed()
            _enqueue(
                conn,
                channel_id,
                NotificationEvent.TEST,
                text_of(NotificationEvent.TEST, channel.language, {}),
                {},
                now_ms,
            )
            return True
    return False


def _enqueue(
    conn: Connection,
    channel_id: int,
    event: NotificationEvent,
    text: str,
    facts: Mapping[str, JsonValue],
    now_ms: int,
) -> None:
    of_channel = select(_waiting.c.id).where(_waiting.c.channel_id == channel_id).limit(MOST_WAITING)
    if conn.execute(select(func.count()).select_from(of_channel.subquery())).scalar_one() >= MOST_WAITING:
        return
    conn.execute(
        insert(_waiting).values(
            channel_id=channel_id,
            event=event.value,
            text=text,
            facts=dict(facts),
            created_at_ms=now_ms,
            next_attempt_at_ms=now_ms,
        )
    )
    note_filled(conn, Outbox.NOTIFICATIONS)


def next_due_ms(conn: Connection, busy: Collection[int] = ()) -> int | None:
    """Return when the next thing comes due, or did, in a channel that is not `busy`; None while nothing waits."""
    due_ms = _waiting.c.next_attempt_at_ms
    return conn.scalar(select(due_ms).where(_waiting.c.channel_id.not_in(busy)).order_by(due_ms).limit(1))


def backlog(conn: Connection) -> Backlog:
    """Return what is still to be told, in whatever channel."""
    return Backlog(*conn.execute(select(func.count(), func.min(_waiting.c.created_at_ms))).one())


def take_due(
    conn: Connection, now_ms: int, until_ms: int, limit: int, busy: Collection[int] = ()
) -> list[DueNotification]:
    """Take what is to be told now, the longest waiting first; nobody else takes it before `until_ms`.

    Of each channel one, and of those that are `busy` none, so that a host that is slow holds up nobody else's.
    """
    oldest = select(func.min(_waiting.c.id)).where(*_due(now_ms, busy)).group_by(_waiting.c.channel_id)
    query = (
        select(_waiting.c.id)
        .where(_waiting.c.id.in_(oldest), _waiting.c.next_attempt_at_ms <= now_ms)
        .order_by(_waiting.c.next_attempt_at_ms, _waiting.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    chosen: Sequence[int] = conn.execute(query).scalars().all()
    if not chosen:
        return []
    conn.execute(update(_waiting).where(_waiting.c.id.in_(chosen)).values(next_attempt_at_ms=until_ms))
    taken = select(*_due_shape.columns).join(_channels, _channels.c.id == _waiting.c.channel_id)
    return _due_shape.all(conn.execute(taken.where(_waiting.c.id.in_(chosen)).order_by(_waiting.c.id)))


def _due(now_ms: int, busy: Collection[int]) -> Sequence[ColumnElement[bool]]:
    return _waiting.c.next_attempt_at_ms <= now_ms, _waiting.c.channel_id.not_in(busy)


def told(conn: Connection, notification: DueNotification, now_ms: int) -> None:
    """Note that something arrived."""
    _end(conn, notification, {"last_sent_at_ms": now_ms, "last_error": None})


def failed(conn: Connection, notification: DueNotification, error: str, again_at_ms: int | None) -> None:
    """Note that something did not arrive; it is tried again at a time, or with None given up."""
    if again_at_ms is None:
        _end(conn, notification, {"last_error": error})
        return
    later = {"attempts": notification.attempts + 1, "next_attempt_at_ms": again_at_ms}
    conn.execute(update(_channels).where(_channels.c.id == notification.channel_id).values(last_error=error))
    conn.execute(update(_waiting).where(_waiting.c.id == notification.id).values(**later))


def _end(conn: Connection, notification: DueNotification, noted: Mapping[str, object]) -> None:
    conn.execute(update(_channels).where(_channels.c.id == notification.channel_id).values(**noted))
    conn.execute(delete(_waiting).where(_waiting.c.id == notification.id))

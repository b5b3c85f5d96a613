"""Whose key it is, answered from memory once the key was seen."""

import asyncio
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from dc1.control.access.key_look_ups import KeyLookUps
from dc1.control.access.key_watch import KeyWatch
from dc1.control.access.operators import Operators
from dc1.domain import errors
from dc1.domain.access import keys
from dc1.domain.access.call_limits import NO_LIMITS, UNLIMITED_KEY, CallLimits, KeyLimits
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.roles import AccountStatus, Role
from dc1.domain.base.clock import Clock
from dc1.storage.accounts import keys as key_rows
from dc1.storage.engine.database import Connection, Database

_KNOWN_MS = 300_000
# Long enough that a client that repeats a dead key costs no SQL per call; short, because nobody says so when a key is
# made.
_UNKNOWN_MS = 5_000
_CAPACITY = 100_000


@dataclass(frozen=True, slots=True)
class Identity:
    """The account behind a key. `scopes` is None unless the key is scoped; only renters can be `suspended` here.

    `owner_id` is whose machine it is the key of; None for an owner's own, and for renters. `has_replaced` says that
    older keys of the machine were replaced by it, and have a grace.
    """

    key_id: str
    key_hash: str = field(repr=False)
    key_role: KeyRole
    account_id: int
    scopes: frozenset[str] | None
    expires_at_ms: int | None
    suspended: bool
    owner_id: int | None = None
    call_limits: CallLimits = NO_LIMITS
    key_limits: KeyLimits = UNLIMITED_KEY
    has_replaced: bool = False

    @property
    def role(self) -> Role:
        """In what right the key's holder calls."""
        return Role.PROVIDER if self.key_role is KeyRole.PROVIDER else Role.RENTER

    @property
    def is_replaced(self) -> bool:
        """Whether a newer key took its place, and it has a grace."""
        return key_rows.in_grace(self.key_role, self.expires_at_ms)

    def has_expired(self, now_ms: int) -> bool:
        """Tell whether the key's time has run out."""
        return self.expires_at_ms is not None and now_ms >= self.expires_at_ms


@dataclass(frozen=True, slots=True)
class _Entry:
    identity: Identity | None
    until_ms: int


class Credentials:
    """Looks keys up. Found and missing ones are remembered for a while, so that a live key costs no SQL per call.

    Whoever revokes a key or changes an account's state says so by `invalidate` or `invalidate_account`.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._generation = 0
        self._used: dict[str, int] = {}
        self._watch = KeyWatch()
        self._look_ups = KeyLookUps(database, clock)
        self.operators = Operators(database, clock, self._watch)

    async def identify(self, key: str) -> Identity | None:
        """Return the account behind `key`, or None when it is no key, unknown, revoked, expired or its account gone."""
        identity = await self._holder(key)
        now_ms = self._clock.now_ms()
        if identity is None or identity.has_expired(now_ms):
            return None
        # Owners are shown the last use of scoped keys only. Noted here and stored in batches: a call must not cost a
        # write.
        if identity.key_role is KeyRole.SCOPED:
            self._used[identity.key_id] = now_ms
        return identity

    def costs_look_up(self, key: str) -> bool:
        """Tell whether to identify `key` takes the database: it has the form of one, and was not seen lately."""
        parsed = keys.parse(key)
        return (
            parsed is not None
            and parsed.role is not KeyRole.OPERATOR
            and self._remembered(parsed.key_id, self._clock.now_ms()) is None
        )

    async def has_expired(self, key: str) -> bool:
        """Tell whether `key` would be good had its time not run out."""
        identity = await self._holder(key)
        return identity is not None and identity.has_expired(self._clock.now_ms())

    async def current(self, key_id: str) -> Identity | None:
        """Return the account behind a key that was good when a call began, or None when it is so no more."""
        identity = await self._known(key_id)
        return None if identity is None or identity.has_expired(self._clock.now_ms()) else identity

    def watched(self, key_id: str) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set whenever a key, or the account behind one, may have changed."""
        return self._watch.watching(key_id)

    async def _holder(self, key: str) -> Identity | None:
        """Return the account behind a key that may have expired."""
        parsed = keys.parse(key)
        # Operators have no account, and are found by `operators`.
        if parsed is None or parsed.role is KeyRole.OPERATOR:
            return None
        identity = await self._known(parsed.key_id)
        # What is remembered is found by the id, which is public; the secret is compared on every call.
        if identity is None or identity.key_role is not parsed.role or not keys.matches(key, identity.key_hash):
            return None
        return identity

    async def _known(self, key_id: str) -> Identity | None:
        now_ms = self._clock.now_ms()
        entry = self._remembered(key_id, now_ms) or await self._load(key_id, now_ms)
        return entry.identity

    def _remembered(self, key_id: str, now_ms: int) -> _Entry | None:
        entry = self._entries.get(key_id)
        return None if entry is None or now_ms >= entry.until_ms else entry

    def take_used(self) -> dict[str, int]:
        """Return when scoped keys were used since the last call of this, in epoch milliseconds by key id."""
        used, self._used = self._used, {}
        return used

    def invalidate(self, key_id: str) -> None:
        """Forget a key, so that the next call with it sees what is stored."""
        self._generation += 1
        self._entries.pop(key_id, None)
        self._watch.tell(key_id)

    def invalidate_account(self, role: Role, account_id: int) -> None:
        """Forget every key of an account."""
        self._generation += 1
        # Whoever watches looks again, which costs a look-up of the keys of this account and nothing for others'. Not
        # only those remembered: a key may have been dropped from memory while a stream that it opened goes on.
        self._watch.tell_all()
        for key_id, entry in list(self._entries.items()):
            if entry.identity and entry.identity.role is role and entry.identity.account_id == account_id:
                del self._entries[key_id]

    async def _load(self, key_id: str, now_ms: int) -> _Entry:
        generation = self._generation
        identity = await self._find(key_id)
        entry = _Entry(identity, now_ms + (_UNKNOWN_MS if identity is None else _KNOWN_MS))
        # What was read before an invalidation may be stale by now; it serves this call only.
        if generation == self._generation:
            # Put last again, so that the one that is dropped when memory is full was read longest ago.
            self._entries.pop(key_id, None)
            self._entries[key_id] = entry
            if len(self._entries) > _CAPACITY:
                del self._entries[next(iter(self._entries))]
        return entry

    async def _find(self, key_id: str) -> Identity | None:
        holder = await self._look_ups.find(key_id)
        if holder is None:
            return None
        key = holder.key
        return Identity(
            key.key_id,
            key.key_hash,
            key.role,
            key.owner_id,
            # By the kind of key and not by what stands in its row: no scopes at all would be every right.
            frozenset(key.scopes or ()) if key.role is KeyRole.SCOPED else None,
            key.expires_at_ms,
            holder.status is AccountStatus.SUSPENDED,
            holder.owner_id,
            holder.call_limits,
            holder.key_limits,
            holder.has_replaced,
        )


def require_current(conn: Connection, key_id: str | None) -> None:
    """Hold the key that a call came with until the transaction ends, which makes or replaces keys by its right.

    The call was let in a moment ago: of two that replace one key at once, the second would otherwise put out of force
    what the first was given.

    Raises:
        invalid_api_key: The key was stopped or replaced meanwhile.
    """
    row = None if key_id is None else key_rows.lock(conn, key_id)
    if row is None or row.is_replaced:
        raise errors.invalid_api_key()

"""Calls that honour an Idempotency-Key: the first answer is stored with its effect and replayed afterwards."""

import hashlib
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, TypeVar

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from dc1.domain import errors
from dc1.domain.base.clock import Clock
from dc1.services.api.call import Call, current_call
from dc1.storage.accounts import idempotency
from dc1.storage.accounts.idempotency import KeptAnswer, Key
from dc1.storage.engine.database import Connection, Database

M = TypeVar("M", bound=Message)

_HEADER = "idempotency-key"
_MAX_KEY_LENGTH = 255
_SUCCESS = 200
# Paths that the contract counts as routes of their own; every other additional path of a method is an alias.
_OWN_ROUTES = frozenset({"/jobs"})


class Once(Protocol):
    """What a transaction calls so that it happens once for its key."""

    def begin(self, conn: Connection) -> None:
        """Call before the effect; raises when the answer exists, which ends the transaction."""
        ...

    def keep(self, conn: Connection, answer: Message) -> None:
        """Call after the effect with the answer that will be sent."""
        ...


class _Always:
    """For calls without a key."""

    def begin(self, conn: Connection) -> None:
        """Let the transaction happen."""

    def keep(self, conn: Connection, answer: Message) -> None:
        """Store nothing."""


class _AnsweredMeanwhile(Exception):  # noqa: N818 - a signal to our own caller, not an error
    """Another call with the same key was answered after this one looked."""

    def __init__(self, kept: KeptAnswer) -> None:
        super().__init__()
        self.kept = kept


class _OnceForKey:
    """For one call with a key."""

    def __init__(self, key: Key, request_hash: str, now_ms: int, ttl_ms: int) -> None:
        self._key = key
        self._request_hash = request_hash
        self._now_ms = now_ms
        self._expires_at_ms = now_ms + ttl_ms

    def find(self, conn: Connection) -> KeptAnswer | None:
        """Return the stored answer; raises IDEMPOTENCY_MISMATCH when it was to another request."""
        return idempotency.find(conn, self._key, self._request_hash, self._now_ms)

    def begin(self, conn: Connection) -> None:
        """End the transaction when the answer exists."""
        kept = idempotency.begin(conn, self._key, self._request_hash, self._now_ms)
        if kept is not None:
            raise _AnsweredMeanwhile(kept)

    def keep(self, conn: Connection, answer: Message) -> None:
        """Store the answer."""
        body = answer.SerializeToString(deterministic=True)
        idempotency.keep(conn, self._key, KeptAnswer(self._request_hash, _SUCCESS, body, self._expires_at_ms))


@dataclass(frozen=True, slots=True)
class _Checked:
    """A call with a key, and the answer that was stored under it before, if any."""

    once: _OnceForKey
    kept: KeptAnswer | None


_checked: ContextVar[_Checked | None] = ContextVar("dc1_idempotent_call", default=None)


class IdempotentCalls:
    """Runs effects at most once for each Idempotency-Key of an account and route."""

    def __init__(self, db: Database, clock: Clock, ttl_seconds: int) -> None:
        self._db = db
        self._clock = clock
        self._ttl_ms = ttl_seconds * 1000

    async def check(self, request: Message) -> None:
        """Look the call's key up, before anything is said about the fields of its request.

        Raises a 400 for a key that is too long, IDEMPOTENCY_MISMATCH for one that came with another request, and
        IDEMPOTENCY_IN_PROGRESS while the first call runs on another replica.
        """
        key = _key(current_call())
        if key is None:
            return
        once = _OnceForKey(key, _digest(request), self._clock.now_ms(), self._ttl_ms)
        _checked.set(_Checked(once, await self._db.read(once.find)))

    async def run(self, answer_type: type[M], effect: Callable[[Once], Awaitable[M]]) -> M:
        """Return what `effect` answers, or the answer stored before; the call went through `check`.

        `effect` runs one transaction and calls `Once.begin` and `Once.keep` in it.
        """
        checked = _checked.get()
        if checked is None:
            return await effect(_Always())
        if checked.kept is not None:
            return _replayed(checked.kept, answer_type)
        try:
            return await effect(checked.once)
        except _AnsweredMeanwhile as meanwhile:
            return _replayed(meanwhile.kept, answer_type)


def _digest(request: Message) -> str:
    """Return what tells requests apart; null for a field of any JSON equals its absence, as it does for all others."""
    meant = type(request)()
    meant.CopyFrom(request)
    for field, value in request.ListFields():
        if isinstance(value, Value) and value.WhichOneof("kind") == "null_value":
            meant.ClearField(field.name)
    return hashlib.sha256(meant.SerializeToString(deterministic=True)).hexdigest()


def _key(call: Call) -> Key | None:
    sent = call.metadata.get(_HEADER, "")
    if not sent:
        return None
    if len(sent) > _MAX_KEY_LENGTH:
        raise errors.idempotency_key_too_long()
    return Key(account=f"{call.principal.role}:{call.principal.account_id}", route=_route(call), key=sent)


def _route(call: Call) -> str:
    path = call.metadata.get("x-envoy-original-path", "").partition("?")[0] if call.is_rest else ""
    return f"{call.method} {path}" if path in _OWN_ROUTES else call.method


def _replayed(kept: KeptAnswer, answer_type: type[M]) -> M:
    current_call().headers["idempotent-replayed"] = "true"
    answer = answer_type()
    answer.ParseFromString(kept.body)
    return answer

"""Calls that honour an Idempotency-Key: the first answer is stored with its effect and replayed afterwards."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from dc1.domain import errors
from dc1.domain.access.roles import Role
from dc1.domain.access.secret_box import SecretBox
from dc1.domain.base.clock import Clock
from dc1.services.api.call import Call, KeyedCall, current_call
from dc1.storage.accounts import idempotency
from dc1.storage.accounts.idempotency import IdempotencyKey, KeptAnswer
from dc1.storage.engine.database import Connection, Database
from dc1.storage.engine.transaction_hook import NO_HOOK, TransactionHook

M = TypeVar("M", bound=Message)
R = TypeVar("R")

_HEADER = "idempotency-key"
_MAX_KEY_LENGTH = 255
# Of a key that stands for who has no other: whoever guesses it is told what its first caller was.
_MIN_SECRET_LENGTH = 32
_SEALED_FOR = "the answer to an Idempotency-Key"
# Refusals are raised and never kept (contract 6.6). Which 2xx it is REST learns from the method's options, the same for
# a replay as for the first answer.
_SUCCESS = 200
# Paths that the contract counts as routes of their own; every other additional path of a method is an alias.
_OWN_ROUTES = frozenset({"/jobs"})


class _AnsweredMeanwhile(Exception):  # noqa: N818 - a signal to our own caller, not an error
    """Another call with the same key was answered after this one looked."""

    def __init__(self, kept: KeptAnswer) -> None:
        super().__init__()
        self.kept = kept


class _KeptOnce(Generic[R]):
    """Lets a transaction happen once for the key of a call, and stores the answer with it."""

    def __init__(self, keyed: KeyedCall, answer: Callable[[R], Message], now_ms: int, ttl_ms: int) -> None:
        self._keyed = keyed
        self._answer = answer
        self._now_ms = now_ms
        self._expires_at_ms = now_ms + ttl_ms

    def begin(self, conn: Connection) -> None:
        kept = idempotency.begin(conn, self._keyed.key, self._keyed.request_hash, self._now_ms)
        if kept is not None:
            raise _AnsweredMeanwhile(kept)

    def keep(self, conn: Connection, result: R) -> None:
        # Built here, in the transaction: an answer that were stored after it could be missing when the server dies
        # between.
        body = self._answer(result).SerializeToString(deterministic=True)
        kept = KeptAnswer(self._keyed.request_hash, _SUCCESS, body, self._expires_at_ms)
        idempotency.keep(conn, self._keyed.key, kept)


class IdempotentCalls:
    """Runs effects at most once for each Idempotency-Key of an account and route."""

    def __init__(self, db: Database, clock: Clock, ttl_seconds: int) -> None:
        self._db = db
        self._clock = clock
        self._ttl_ms = ttl_seconds * 1000

    async def check(self, request: Message) -> None:
        """Look the call's key up, before anything is said about the fields of its request, and note it on the call.

        A key that is too long is refused, and one that came with another request before.
        """
        call = current_call()
        key = _key(call)
        if key is None:
            return
        if call.principal.role is Role.PUBLIC:
            key = _of_a_stranger(key, request)
        if key is None:
            return
        request_hash, now_ms = _digest(request), self._clock.now_ms()
        # A read: most repetitions come long after the first call, and take no turn of the writer. Whoever commits after
        # this look is found by `begin`.
        kept = await self._db.read(lambda conn: idempotency.find(conn, key, request_hash, now_ms))
        call.keyed = KeyedCall(key, request_hash, kept)

    async def run(
        self,
        answer_type: type[M],
        effect: Callable[[TransactionHook[R]], Awaitable[R]],
        answer: Callable[[R], M],
        kept: Callable[[R], M] | None = None,
        sealed: str | None = None,
    ) -> M:
        """Return the `answer` to what `effect` did, or the one stored before; the call went through `check`.

        Where an answer has a secret, which is stored nowhere, `kept` is what a repetition is told. Who has no account
        to ask for another secret is told the same again: the field of the answer that `sealed` names is stored so that
        nobody opens it but who comes with the call's own key.

        `effect` runs one transaction with the hook it is given. `answer` says the same each time it is asked and looks
        at nothing but the result: for a call with a key, the database's thread asks it first.
        A call is refused while another transaction works under its key.
        """
        keyed = current_call().keyed
        if keyed is None:
            return answer(await effect(NO_HOOK))
        # Before the effect and all it asks: a repetition is answered as before, though meanwhile the balance is gone or
        # the image disapproved.
        secret = _Sealed(sealed, current_call().metadata[_HEADER]) if sealed else None
        if keyed.kept is not None:
            return _replayed(keyed.kept, answer_type, secret)
        stored = kept or answer
        if secret is not None:
            stored = secret.closing(stored)
        try:
            return answer(await effect(_KeptOnce(keyed, stored, self._clock.now_ms(), self._ttl_ms)))
        except _AnsweredMeanwhile as meanwhile:
            return _replayed(meanwhile.kept, answer_type, secret)


class _Sealed:
    """A field of answers that is stored under the key of the call that it answers."""

    def __init__(self, field: str, key: str) -> None:
        self._field = field
        self._box = SecretBox(lambda: key)

    def closing(self, answer: Callable[[R], M]) -> Callable[[R], M]:
        """Return `answer` with its field sealed."""

        def closed(result: R) -> M:
            message = answer(result)
            setattr(message, self._field, self._box.seal(getattr(message, self._field), _SEALED_FOR))
            return message

        return closed

    def open(self, message: Message) -> None:
        """Put what was sealed back into its field."""
        setattr(message, self._field, self._box.open(getattr(message, self._field), _SEALED_FOR))


def _digest(request: Message) -> str:
    """Return what tells requests apart; null for a field of any JSON equals its absence, as it does for all others."""
    meant = type(request)()
    meant.CopyFrom(request)
    for field, value in request.ListFields():
        if isinstance(value, Value) and value.WhichOneof("kind") == "null_value":
            meant.ClearField(field.name)
    return hashlib.sha256(meant.SerializeToString(deterministic=True)).hexdigest()


def _key(call: Call) -> IdempotencyKey | None:
    sent = call.metadata.get(_HEADER, "")
    if not sent:
        return None
    if len(sent) > _MAX_KEY_LENGTH:
        raise errors.idempotency_key_too_long()
    # With the role: renters and providers are counted apart, so renter 1 and provider 1 are two accounts.
    return IdempotencyKey(account=call.principal.account, route=_route(call), key=sent)


def _of_a_stranger(key: IdempotencyKey, request: Message) -> IdempotencyKey | None:
    """Return what the answer to a caller without an account is kept under; None for a key that others may come with.

    It is the key and the request together: strangers who came with the same key know nothing of each other. Of the key
    a digest is kept, as it opens what is sealed with it.
    """
    if len(key.key) < _MIN_SECRET_LENGTH:
        return None
    digest = hashlib.sha256(key.key.encode()).hexdigest()
    return IdempotencyKey(account=f"{Role.PUBLIC}:{_digest(request)}", route=key.route, key=digest)


def _route(call: Call) -> str:
    return f"{call.method} {call.rest_path}" if call.rest_path in _OWN_ROUTES else call.method


def _replayed(kept: KeptAnswer, answer_type: type[M], secret: _Sealed | None) -> M:
    current_call().headers["idempotent-replayed"] = "true"
    answer = answer_type()
    answer.ParseFromString(kept.body)
    if secret is not None:
        secret.open(answer)
    return answer

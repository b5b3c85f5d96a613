"""What a servicer may know of the call it answers, and what it may say beside the answer itself."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from dc1.domain.access.call_limits import NO_LIMITS, UNLIMITED_KEY, CallLimits, KeyLimits
from dc1.domain.access.operators import Operator, OperatorRole
from dc1.domain.access.roles import Role
from dc1.domain.base.languages import ARABIC, preferred
from dc1.domain.errors import ApiError
from dc1.storage.accounts.idempotency import IdempotencyKey, KeptAnswer


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls.

    `account_id` is the renter's or the provider's. `scopes` are those of a scoped renter key and None for everybody
    else. `fingerprint` names an admin's token without revealing it and is empty for everybody else; `operator` is
    whose it is, None for the admin token. `key_hash` is that of a renter's or provider's key, `key_is_replaced` whether
    it is a provider's old one in its grace, and `has_replaced_keys` whether it is the new one beside such. `owner_id`
    is set where the key is that of a machine and not its owner's. `call_limits` is what an admin has set for a renter,
    and `key_limits` what a scoped key is held to.
    """

    role: Role
    account_id: int | None = None
    scopes: frozenset[str] | None = None
    key_id: str | None = None
    fingerprint: str = ""
    operator: Operator | None = None
    key_hash: str = field(default="", repr=False)
    key_is_replaced: bool = False
    has_replaced_keys: bool = False
    owner_id: int | None = None
    call_limits: CallLimits = NO_LIMITS
    key_limits: KeyLimits = UNLIMITED_KEY

    @property
    def account(self) -> str:
        """What tells an account from all others; ids are counted by role."""
        # What one operator does under a key, or holds open, is neither another's answer nor another's limit.
        if self.operator is not None:
            return f"{self.role}:operator:{self.operator.id}"
        return f"{self.role}:{self.account_id}"

    @property
    def actor(self) -> str:
        """What the records call an admin: the operator, or the fingerprint of the admin token."""
        return self.fingerprint if self.operator is None else self.operator.actor

    def acts_as(self, role: OperatorRole) -> bool:
        """Tell whether an admin may see what is for operators of a role; the admin token is for everything."""
        return self.operator is None or self.operator.role.includes(role)


ANYBODY = Principal(Role.PUBLIC)


@dataclass(frozen=True, slots=True)
class KeyedCall:
    """The Idempotency-Key of a call with the digest of its request, and the answer that was stored under it before."""

    key: IdempotencyKey
    request_hash: str
    kept: KeptAnswer | None


@dataclass(slots=True)
class Call:
    """One call. A servicer may set `http_status` and `headers` before it returns or yields first.

    `method` is the full name, for example `/dcp.v1.JobService/SubmitJob`; `address` the client's, as far as the edge is
    trusted; `metadata` holds the call's headers by lower-case name, without credentials. `rest_method` and
    `rest_path`, without its query, are what the edge was asked, and empty for a native call. `keyed` is None for a call
    without an Idempotency-Key, and for a method that honours none. `admin_claim` is the fingerprint of the token that a
    call as an admin brings, good or not, empty without one, and None for any other call. `output_is_counted` says that
    the budget of outputs has this answer already.
    """

    method: str
    principal: Principal
    request_id: str
    address: str
    is_rest: bool
    metadata: Mapping[str, str]
    http_status: int | None = None
    rest_method: str = ""
    rest_path: str = ""
    admin_claim: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    keyed: KeyedCall | None = None
    output_is_counted: bool = False
    stopped: ApiError | None = None
    """Why a stream is ended before its time: the key that opened it is good for it no more."""

    farewell: Callable[[ApiError], Any] | None = None
    """What is said last of a stream that is ended so, once it has begun; without it the refusal alone is."""


# Beside the request and not in it: a servicer's methods have the signature that is generated for them, and gRPC's
# context knows neither who calls nor what the edge will print. Threads of the database do not see it; units of work are
# given what they need of it.
_current: ContextVar[Call] = ContextVar("dc1_call")


def current_call() -> Call:
    """Return the call being answered; outside one there is none, which is a LookupError."""
    return _current.get()


def caller_id() -> int:
    """Return the account id of the caller, who is a renter or a provider."""
    account_id = current_call().principal.account_id
    assert account_id is not None
    return account_id


def caller_scoped_key() -> str | None:
    """Return the id of the scoped key that the caller came with; None for a master key and for whoever has none."""
    principal = current_call().principal
    return None if principal.scopes is None else principal.key_id


def caller_limits() -> KeyLimits:
    """Return what the caller's scoped key is held to; nothing holds whoever came with none."""
    return current_call().principal.key_limits


def prefers_arabic() -> bool:
    """Tell whether the caller likes Arabic best."""
    return preferred(current_call().metadata.get("accept-language", "")) == ARABIC


def enter(call: Call) -> None:
    """Make `call` the current one of this task; every call is answered in a task of its own."""
    # Never reset: it goes with its task.
    _current.set(call)

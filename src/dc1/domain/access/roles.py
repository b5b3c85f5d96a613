"""Roles, accounts and scopes of `dc1-sk-` keys decide in what right a call is made."""

from collections.abc import Collection, Iterable
from enum import StrEnum

from dc1.domain.errors import invalid_enum, scope_missing


class Role(StrEnum):
    """In what right a call is made."""

    PUBLIC = "public"
    RENTER = "renter"
    PROVIDER = "provider"
    ADMIN = "admin"


class AccountStatus(StrEnum):
    """How a renter's account stands; the keys of a suspended one are known and refused."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class Scope(StrEnum):
    """What a scoped key may do, in documented order."""

    INFERENCE = "inference"
    JOBS_READ = "jobs.read"
    BILLING = "billing"
    BALANCE_READ = "balance.read"
    ADMIN = "admin"


SCOPES = tuple(Scope)
DEFAULT_SCOPES = (Scope.INFERENCE,)


def parse_scopes(names: Iterable[str]) -> tuple[Scope, ...]:
    """Return the named scopes once each in documented order, or the default when none is named.

    Raises:
        invalid_enum: a name is unknown; the 400 lists all there are.
    """
    wanted = set(names)
    if not wanted <= set(SCOPES):
        raise invalid_enum("scope", SCOPES)
    # In documented order, whatever the order they came in.
    return tuple(scope for scope in SCOPES if scope in wanted) or DEFAULT_SCOPES


def allows(granted: Collection[str], accepted: Collection[str]) -> bool:
    """Tell whether a key with the `granted` scopes may use a route that accepts any of `accepted`.

    The admin scope stands for all others; a route that accepts nothing in particular is open to every live key.
    """
    return not accepted or Scope.ADMIN in granted or any(scope in granted for scope in accepted)


def require_scope(granted: Collection[str], accepted: Iterable[str]) -> None:
    """Let a key with the `granted` scopes use a route that accepts any of `accepted`.

    Raises:
        scope_missing: the key has none of them; the 403 names the first.
    """
    names = list(accepted)
    if not allows(granted, names):
        raise scope_missing(names[0])

"""Where a request's credential is, and whose it claims to be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from google.protobuf.message import Message

from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.roles import Role
from dc1.server.method_options import MethodOptions

_BEARER = "bearer "
_HEADERS = ((Role.ADMIN, "x-admin-token"), (Role.RENTER, "x-renter-key"), (Role.PROVIDER, "x-provider-key"))
_QUERY = ((Role.RENTER, "x-query-renter-key"), (Role.PROVIDER, "x-query-provider-key"))
_ANY_QUERY = "x-query-key"

SECRET_HEADERS = frozenset({"authorization", _ANY_QUERY, *(name for _, name in (*_HEADERS, *_QUERY))})


@dataclass(frozen=True, slots=True)
class Credential:
    """A presented secret, and the role that its prefix or its carrier claims."""

    secret: str = field(repr=False)
    claimed: Role


def find_credential(options: MethodOptions, metadata: Mapping[str, str], request: Message | None) -> Credential | None:
    """Return the first credential that is not blank: of role headers, Bearer, the query, the request's field.

    Only carriers of the roles that `options` admits are looked at, in the order admin, renter, provider. `request` is
    None where the call has no single request message.
    """
    for claimed, value in _carriers(options, metadata, request):
        secret = value.strip()
        if secret:
            return Credential(secret, _claimed_by_prefix(secret) or claimed)
    return None


def _carriers(
    options: MethodOptions, metadata: Mapping[str, str], request: Message | None
) -> Iterator[tuple[Role, str]]:
    for role, name in _HEADERS:
        if role in options.roles:
            yield role, metadata.get(name, "")
    authorization = metadata.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        yield Role.ADMIN, authorization[len(_BEARER) :]
    if options.roles & {Role.RENTER, Role.PROVIDER}:
        yield Role.PUBLIC, metadata.get(_ANY_QUERY, "")
    for role, name in _QUERY:
        if role in options.roles:
            yield role, metadata.get(name, "")
    if options.body_key and request is not None:
        yield Role.PROVIDER, getattr(request, options.body_key)


def _claimed_by_prefix(secret: str) -> Role | None:
    match keys.claimed_role(secret):
        case KeyRole.RENTER | KeyRole.SCOPED:
            return Role.RENTER
        case KeyRole.PROVIDER:
            return Role.PROVIDER
        case _:
            return None

"""Finds a call's credential and turns it into a principal, or refuses it in the words of the method."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dc1.containment import run_contained
from dc1.control.operations.credentials import Credentials, Identity
from dc1.domain import errors
from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.roles import Role, require_scope
from dc1.domain.errors import ApiError
from dc1.server.listening.addresses import Network, is_within
from dc1.server.method_options import CredentialErrors, MethodOptions
from dc1.server.rate_limits import FAILED_AUTHENTICATIONS, LATE_LOOK_UPS, RateLimiter, Subject
from dc1.server.requests import Request
from dc1.services.api.call import ANYBODY, Call, Principal

_MASTER_KEY = "master key"
_ANY_ACCOUNT = frozenset({Role.RENTER, Role.PROVIDER})
_MISSING = {
    CredentialErrors.GENERAL: errors.api_key_required,
    CredentialErrors.HEARTBEAT: errors.heartbeat_key_required,
    CredentialErrors.SUBMIT: errors.submit_key_required,
    CredentialErrors.ADMIN: errors.admin_access_denied,
    CredentialErrors.OPENAI: errors.authentication_required,
    CredentialErrors.ANTHROPIC: errors.authentication_required,
}
_BAD = {
    CredentialErrors.GENERAL: errors.invalid_api_key,
    CredentialErrors.HEARTBEAT: errors.invalid_api_key,
    CredentialErrors.SUBMIT: errors.submit_key_invalid,
    CredentialErrors.ADMIN: errors.admin_access_denied,
    CredentialErrors.OPENAI: errors.authentication_invalid_key,
    CredentialErrors.ANTHROPIC: errors.authentication_invalid_key,
}
_TELL_WRONG_TYPE = frozenset(CredentialErrors) - {CredentialErrors.HEARTBEAT, CredentialErrors.ADMIN}

# How late a stream may end after the time of its key has run out, of which nobody is told.
_LOOKED_AT_SECONDS = 5.0

_BEARER = "bearer "
# In the order in which they are looked at: the first that is not blank counts.
_HEADERS = ((Role.ADMIN, "x-admin-token"), (Role.RENTER, "x-renter-key"), (Role.PROVIDER, "x-provider-key"))
_QUERY = ((Role.RENTER, "x-query-renter-key"), (Role.PROVIDER, "x-query-provider-key"))
_ANY_QUERY = "x-query-key"
# What clients of other APIs send.
_V1_HEADER = "x-api-key"

SECRET_HEADERS = frozenset({"authorization", _ANY_QUERY, _V1_HEADER, *(name for _, name in (*_HEADERS, *_QUERY))})


@dataclass(frozen=True, slots=True)
class Credential:
    """A presented secret, and the role that its prefix or its carrier claims."""

    secret: str = field(repr=False)
    claimed: Role


class Authenticator:
    """Decides who calls. Every refused credential counts against its address."""

    def __init__(
        self,
        credentials: Credentials,
        limiter: RateLimiter,
        *,
        admin_token: str | None,
        admin_networks: Sequence[Network] = (),
    ) -> None:
        """Admins may call from `admin_networks` only, or from everywhere when there are none."""
        self._credentials = credentials
        self._operators = credentials.operators
        self._limiter = limiter
        self._admin_token = admin_token
        self._admin_networks = admin_networks

    def require_credential(
        self, options: MethodOptions, metadata: Mapping[str, str], request: Request | None, address: str
    ) -> Credential | None:
        """Return the credential to verify, or None for a public method.

        A call without one is refused in the method's own words, and so is one to which admins cannot come, at all or
        from there.

        Raises:
            forbidden: The method is open to nobody.
            admin_token_not_configured: It is for admins, and neither is there their token nor came an operator's.
        """
        # Default deny: a method whose options were forgotten is closed, not open.
        if not options.roles:
            raise errors.forbidden()
        if options.is_public:
            return None
        credential = _find_credential(options, metadata, request)
        if options.credential_errors is CredentialErrors.ADMIN:
            # Operators have tokens of their own, which are good without the admin token.
            if self._admin_token is None and not (credential and _is_operators(credential)):
                raise errors.admin_token_not_configured()
            self._require_admin_door(address)
        if credential is None:
            raise self._counted(_MISSING[options.credential_errors](), address)
        return credential

    def admin_claim(self, options: MethodOptions, metadata: Mapping[str, str]) -> str | None:
        """Return the fingerprint of what a call brings that is made as an admin's, good or not, empty for nothing.

        None for every other call: one that others may make, with their key or without any.
        """
        if Role.ADMIN not in options.roles:
            return None
        credential = _find_credential(options, metadata, None)
        if (credential is not None and credential.claimed is Role.ADMIN) or options.roles == {Role.ADMIN}:
            return "" if credential is None else keys.fingerprint(credential.secret)
        return None

    async def verify(self, options: MethodOptions, credential: Credential | None, address: str) -> Principal:
        """Return whose credential it is; refuse a bad one, one of another role, and that of a suspended renter."""
        if credential is None:
            return ANYBODY
        if credential.claimed is Role.ADMIN and Role.ADMIN in options.roles:
            return self._verify_admin(options, credential, address)
        if credential.claimed not in options.roles:
            raise self._counted(_not_admitted(options, credential), address)
        self._spend_look_up(credential, address)
        identity = await self._credentials.identify(credential.secret)
        if identity is None or not _is_admitted(options, identity):
            raise self._counted(await self._bad(options, credential), address)
        if identity.suspended:
            submitting = options.credential_errors is CredentialErrors.SUBMIT
            raise errors.submit_key_invalid() if submitting else errors.account_suspended()
        return _principal(identity)

    async def _bad(self, options: MethodOptions, credential: Credential) -> ApiError:
        # Only these paths tell a key that has expired from one that never was.
        if options.is_v1 and await self._credentials.has_expired(credential.secret):
            return errors.authentication_key_expired()
        return _BAD[options.credential_errors]()

    async def while_good(
        self, options: MethodOptions, call: Call, stream: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Run the answer of a stream until it ends, or until the key that opened it is good for it no more.

        Whatever stops a key, here or on another replica, an account's suspension or the end of its time, ends what it
        opened: who stole a key must not go on reading with it. Then the call is `stopped`, before its answer is.
        """
        operator = call.principal.operator
        key_id = call.principal.key_id if operator is None else operator.key_id
        if key_id is None:
            await stream()
            return
        with self._credentials.watched(key_id) as changed:
            # Before it begins: the key may have been stopped since the call was let in.
            call.stopped = await self._objection(options, call.principal, key_id)
            if call.stopped is not None:
                return
            answering = asyncio.create_task(run_contained(stream()))
            try:
                while not await _either(answering, changed):
                    objection = await self._objection(options, call.principal, key_id)
                    # It may have come to its end meanwhile; behind a whole answer there is nothing to be said.
                    if objection is not None and not answering.done():
                        call.stopped = objection
                        return
                await answering
            finally:
                # Also when the caller left: the servicer's generator has to end with the call.
                answering.cancel()
                await asyncio.wait([answering])

    async def _objection(self, options: MethodOptions, principal: Principal, key_id: str) -> ApiError | None:
        """Return why the key that opened a stream is good for it no more; None while it is."""
        if principal.operator is not None:
            is_good = self._operators.current(key_id) is not None
        else:
            identity = await self._credentials.current(key_id)
            if identity is not None and identity.suspended:
                return errors.account_suspended()
            is_good = identity is not None and _is_admitted(options, identity)
        return None if is_good else _BAD[options.credential_errors]()

    async def recognise(self, options: MethodOptions, metadata: Mapping[str, str], address: str) -> Principal:
        """Return whose good key a call of a public method carries; it is counted for them, and opens nothing more.

        A bad one is no refusal, and counts against its address as anywhere.
        """
        credential = _find_credential(replace(options, roles=_ANY_ACCOUNT), metadata, None)
        if credential is None:
            return ANYBODY
        try:
            self._spend_look_up(credential, address)
        except ApiError:
            return ANYBODY
        # No account's, and no failure: who asks often as an operator must not shut the own address out.
        if self._is_admins(credential.secret, address):
            return ANYBODY
        identity = await self._credentials.identify(credential.secret)
        if identity is not None:
            return Principal(identity.role, identity.account_id)
        self._limiter.note(FAILED_AUTHENTICATIONS, Subject.of_address(address))
        return ANYBODY

    def _spend_look_up(self, credential: Credential, address: str) -> None:
        # The look-up is most of what a made-up key costs, and anybody can make up as many as he likes.
        subject = Subject.of_address(address)
        if self._limiter.has_room(FAILED_AUTHENTICATIONS, subject):
            return
        if self._credentials.costs_look_up(credential.secret):
            self._limiter.spend(LATE_LOOK_UPS, subject)

    def _verify_admin(self, options: MethodOptions, credential: Credential, address: str) -> Principal:
        # A token chosen by a person may be guessed, so an address that failed too often is not even compared.
        self._limiter.check(FAILED_AUTHENTICATIONS, Subject.of_address(address))
        operator = self._operators.identify(credential.secret)
        if operator is None and not self._is_admin_token(credential.secret):
            raise self._counted(_BAD[options.credential_errors](), address)
        self._require_admin_door(address)
        return Principal(Role.ADMIN, fingerprint=keys.fingerprint(credential.secret), operator=operator)

    def _is_admins(self, secret: str, address: str) -> bool:
        # Compared no more often than where it opens something, or a public method would be the place to guess.
        if not self._limiter.has_room(FAILED_AUTHENTICATIONS, Subject.of_address(address)):
            return False
        return self._is_admin_token(secret) or self._operators.identify(secret) is not None

    def _is_admin_token(self, secret: str) -> bool:
        return self._admin_token is not None and keys.same_secret(secret, self._admin_token)

    def _require_admin_door(self, address: str) -> None:
        if self._admin_networks and not is_within(address, self._admin_networks):
            raise errors.admin_ip_not_allowed()

    def _counted(self, refusal: ApiError, address: str) -> ApiError:
        self._limiter.spend(FAILED_AUTHENTICATIONS, Subject.of_address(address))
        return refusal


def _principal(identity: Identity) -> Principal:
    return Principal(
        identity.role,
        identity.account_id,
        identity.scopes,
        identity.key_id,
        key_hash=identity.key_hash,
        key_is_replaced=identity.is_replaced,
        has_replaced_keys=identity.has_replaced and not identity.is_replaced,
        owner_id=identity.owner_id,
        call_limits=identity.call_limits,
        key_limits=identity.key_limits,
    )


def _is_admitted(options: MethodOptions, identity: Identity) -> bool:
    """Tell whether a key that is good at all is so for this method; one that was replaced is so for few."""
    return options.admits_replaced_key or not identity.is_replaced


async def _either(answering: asyncio.Task[None], changed: asyncio.Event) -> bool:
    """Return whether a stream has ended, once it has, or its key may have changed, or was not looked at for long."""
    waiting = asyncio.create_task(changed.wait())
    try:
        await asyncio.wait([answering, waiting], timeout=_LOOKED_AT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    # Before the key is looked at: what changes while it is has to be seen the next time.
    changed.clear()
    return answering.done()


def _not_admitted(options: MethodOptions, credential: Credential) -> ApiError:
    is_key = credential.claimed in (Role.RENTER, Role.PROVIDER)
    expected = options.roles & {Role.RENTER, Role.PROVIDER}
    if is_key and expected and options.credential_errors in _TELL_WRONG_TYPE:
        return errors.wrong_key_type(credential.claimed, *expected)
    return _BAD[options.credential_errors]()


def require_rights(options: MethodOptions, principal: Principal) -> None:
    """Refuse an operator, a scoped key or a machine's that lacks what the method asks for, with a 403 that names it."""
    if principal.operator is not None:
        principal.operator.require(options.name, options.operator_role, options.admits_any_operator)
    # Who has taken a machine over has its key, and must be neither paid nor able to change who is.
    if options.master_key_only and principal.owner_id is not None:
        raise errors.scope_missing(_MASTER_KEY)
    if principal.scopes is None:
        return
    if options.master_key_only:
        raise errors.scope_missing(_MASTER_KEY)
    require_scope(principal.scopes, options.scopes)


def _find_credential(options: MethodOptions, metadata: Mapping[str, str], request: Request | None) -> Credential | None:
    """Return the first credential that is not blank: of role headers, Bearer, `x-api-key`, the query, the field.

    Only carriers of the roles that `options` admits are looked at, in the order admin, renter, provider. `request` is
    None where the call has no single request message.
    """
    for claimed, value in _carriers(options, metadata, request):
        secret = value.strip()
        if secret:
            return Credential(secret, _claimed_by_prefix(secret) or claimed)
    return None


def _carriers(
    options: MethodOptions, metadata: Mapping[str, str], request: Request | None
) -> Iterator[tuple[Role, str]]:
    for role, name in _HEADERS:
        if role in options.roles:
            yield role, metadata.get(name, "")
    authorization = metadata.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        yield Role.ADMIN, authorization[len(_BEARER) :]
    if options.is_v1 and Role.RENTER in options.roles:
        yield Role.RENTER, metadata.get(_V1_HEADER, "")
    if options.roles & {Role.RENTER, Role.PROVIDER}:
        yield Role.PUBLIC, metadata.get(_ANY_QUERY, "")
    for role, name in _QUERY:
        if role in options.roles:
            yield role, metadata.get(name, "")
    if options.body_key and request is not None:
        yield Role.PROVIDER, request.body_key(options)


def _is_operators(credential: Credential) -> bool:
    return keys.claimed_role(credential.secret) is KeyRole.OPERATOR


def _claimed_by_prefix(secret: str) -> Role | None:
    match keys.claimed_role(secret):
        case KeyRole.RENTER | KeyRole.SCOPED:
            return Role.RENTER
        case KeyRole.PROVIDER:
            return Role.PROVIDER
        case _:
            # An operator's token is good where the admin token is, and in no query or field either.
            return None

"""What a method's options declare, read once from its descriptor."""

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from dc1.domain.access.roles import Role
from dc1.server.paths import path_patterns
from dcp.v1 import options_pb2

_ROLES = {
    options_pb2.ROLE_PUBLIC: Role.PUBLIC,
    options_pb2.ROLE_RENTER: Role.RENTER,
    options_pb2.ROLE_PROVIDER: Role.PROVIDER,
    options_pb2.ROLE_ADMIN: Role.ADMIN,
}


class CredentialErrors(Enum):
    """Which row of the table of credential errors applies."""

    GENERAL = options_pb2.CREDENTIAL_ERRORS_UNSPECIFIED
    HEARTBEAT = options_pb2.CREDENTIAL_ERRORS_HEARTBEAT
    SUBMIT = options_pb2.CREDENTIAL_ERRORS_SUBMIT
    ADMIN = options_pb2.CREDENTIAL_ERRORS_ADMIN
    OPENAI = options_pb2.CREDENTIAL_ERRORS_OPENAI


class CountedBy(Enum):
    """What the calls of a bucket are counted by."""

    ACCOUNT = options_pb2.RATE_LIMIT_KEY_UNSPECIFIED
    ADDRESS = options_pb2.RATE_LIMIT_KEY_ADDRESS
    JOB = options_pb2.RATE_LIMIT_KEY_JOB


@dataclass(frozen=True, slots=True)
class Bucket:
    """A limit of `limit` calls in `window_seconds`; without an account, calls are counted by the client's address."""

    name: str
    limit: int
    window_seconds: int
    counted_by: CountedBy = CountedBy.ACCOUNT


GENERAL_BUCKET = Bucket("general", 300, 60)


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """The options of one method; `roles` is empty for a method that declares no access and is refused to everybody."""

    roles: frozenset[Role] = frozenset()
    scopes: tuple[str, ...] = ()
    body_key: str = ""
    credential_errors: CredentialErrors = CredentialErrors.GENERAL
    master_key_only: bool = False
    bucket: Bucket = GENERAL_BUCKET
    streamed_bucket: Bucket | None = None
    success_status: int = 200
    internal_error_text: str = ""
    honours_idempotency_key: bool = False
    paths: tuple[re.Pattern[str], ...] = ()

    @property
    def is_public(self) -> bool:
        """Whether anybody may call."""
        return Role.PUBLIC in self.roles

    @property
    def has_openai_errors(self) -> bool:
        """Whether every error has the OpenAI envelope."""
        return self.credential_errors is CredentialErrors.OPENAI


@cache
def options_of(full_method: str) -> MethodOptions:
    """Return what the method `/package.Service/Method` declares; nothing when no descriptor describes it."""
    name = full_method.removeprefix("/").replace("/", ".")
    try:
        return _read(descriptor_pool.Default().FindMethodByName(name))
    except KeyError:
        return MethodOptions()


def _read(method: MethodDescriptor) -> MethodOptions:
    options = method.GetOptions()
    access = options.Extensions[options_pb2.access]
    return MethodOptions(
        roles=frozenset(_ROLES[role] for role in access.roles if role in _ROLES),
        scopes=tuple(access.scopes),
        body_key=access.body_key,
        credential_errors=CredentialErrors(access.credential_errors),
        master_key_only=access.master_key_only,
        bucket=_bucket(options.Extensions[options_pb2.rate_limit]) or GENERAL_BUCKET,
        streamed_bucket=_bucket(options.Extensions[options_pb2.streamed_rate_limit]),
        success_status=options.Extensions[options_pb2.success_status] or 200,
        internal_error_text=options.Extensions[options_pb2.internal_error_text],
        honours_idempotency_key=options.Extensions[options_pb2.idempotency_key],
        paths=path_patterns(method),
    )


def _bucket(limit: options_pb2.RateLimit) -> Bucket | None:
    if not limit.bucket:
        return None
    return Bucket(limit.bucket, limit.limit, limit.window_seconds, CountedBy(limit.key))

"""What a method's options declare, and what its paths say of a request; read once from its descriptor."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final
from urllib.parse import unquote

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from dc1.domain.access.roles import Role
from dcp.v1 import options_pb2

# The stubs know no extensions of other packages.
_HTTP: Final[Any] = annotations_pb2.http
_VARIABLE = re.compile(r"\\{(\w+)\\}")
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


def fill_from_path(request: Message, patterns: Sequence[re.Pattern[str]], path: str) -> None:
    """Set the fields that `path` names, which may end in a query.

    The edge's transcoder lets the query and the body of a request overwrite them, so that a call for one object, in
    every log, would act on another.
    """
    bare = path.partition("?")[0]
    for pattern in patterns:
        found = pattern.fullmatch(bare)
        if found is not None:
            for name, value in found.groupdict().items():
                setattr(request, name, unquote(value))
            return


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
        paths=_path_patterns(method),
    )


def _bucket(limit: options_pb2.RateLimit) -> Bucket | None:
    if not limit.bucket:
        return None
    return Bucket(limit.bucket, limit.limit, limit.window_seconds, CountedBy(limit.key))


def _path_patterns(method: MethodDescriptor) -> tuple[re.Pattern[str], ...]:
    """Return a pattern for each REST path of `method` that has variables; its groups are the fields they fill."""
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[_HTTP]
    templates = [
        getattr(binding, binding.WhichOneof("pattern") or "get") for binding in (rule, *rule.additional_bindings)
    ]
    return tuple(
        re.compile(_VARIABLE.sub(r"(?P<\1>[^/]+)", re.escape(template))) for template in templates if "{" in template
    )

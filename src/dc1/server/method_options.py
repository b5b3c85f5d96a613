"""What a method's options declare, and what its paths say of a request; read once from its descriptor."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final
from urllib.parse import unquote

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from dc1.domain.access.operators import OperatorRole
from dc1.domain.access.roles import Role
from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors import ApiError, anthropic_envelope, openai_envelope
from dc1.services.admin.admin_methods import least_role, short_name
from dcp.v1 import edge_pb2, options_pb2

# The stubs know no extensions of other packages.
_HTTP: Final[Any] = annotations_pb2.http
REST: Final = edge_pb2.DESCRIPTOR.GetOptions().Extensions[options_pb2.rest]
"""What holds for all REST calls, of which the edge has the same."""

_MAX_BODY_BYTES: Final = REST.max_body_bytes
# A list of digits takes two bytes each in JSON and eleven in google.protobuf.Value. What the edge let through as a
# body is not refused for what the transcoder made of it.
_GROWTH_OF_JSON = 6
# Of GETs those that hand work out.
_DAEMONS = "DaemonService"
_VARIABLE = re.compile(r"\\{(\w+)(=\\\*\\\*)?\\}")
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
    ANTHROPIC = options_pb2.CREDENTIAL_ERRORS_ANTHROPIC


_ERROR_BODIES: Mapping[CredentialErrors, Callable[[ApiError], JsonObject]] = {
    CredentialErrors.OPENAI: openai_envelope,
    CredentialErrors.ANTHROPIC: anthropic_envelope,
}
"""What makes the body of errors where they read as those of another API."""


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
    """The options of one method, `Service/Method`.

    `roles` is empty for a method that declares no access and is refused to everybody; `operator_role` is the least that
    an operator must be, and with `admits_any_operator` the list of methods of such a token is not asked. A stream in
    both directions `holds_daemon`.
    """

    name: str = ""
    roles: frozenset[Role] = frozenset()
    operator_role: OperatorRole = OperatorRole.ADMIN
    admits_any_operator: bool = False
    scopes: tuple[str, ...] = ()
    body_key: str = ""
    body_key_number: int = 0
    credential_errors: CredentialErrors = CredentialErrors.GENERAL
    master_key_only: bool = False
    admits_replaced_key: bool = False
    bucket: Bucket = GENERAL_BUCKET
    success_status: int = 200
    internal_error_text: str = ""
    honours_idempotency_key: bool = False
    only_reads: bool = False
    paths: tuple[re.Pattern[str], ...] = ()
    max_message_bytes: int = 0
    max_rest_message_bytes: int = 0
    max_values: int = 0
    streams: bool = False
    holds_daemon: bool = False

    @property
    def is_public(self) -> bool:
        """Whether anybody may call."""
        return Role.PUBLIC in self.roles

    @property
    def is_v1(self) -> bool:
        """Whether it is called as another API, by the keys and with the errors that clients of that one know."""
        return self.credential_errors in _ERROR_BODIES

    @property
    def error_body(self) -> Callable[[ApiError], JsonObject]:
        """What makes the body of every error over REST."""
        return _ERROR_BODIES.get(self.credential_errors, ApiError.body)


def fill_from_path(request: Message, patterns: Sequence[re.Pattern[str]], path: str) -> None:
    """Set the fields that `path` names.

    The edge's transcoder lets the query and the body of a request overwrite them, so that a call for one object, in
    every log, would act on another.
    """
    for name, value in named_in_path(patterns, path).items():
        setattr(request, name, value)


def named_in_path(patterns: Sequence[re.Pattern[str]], path: str) -> dict[str, str]:
    """Return the fields that a path names; none when it is no path of the method."""
    for pattern in patterns:
        found = pattern.fullmatch(path)
        if found is not None:
            return {name: unquote(value) for name, value in found.groupdict().items()}
    return {}


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
    max_body_bytes = options.Extensions[options_pb2.max_body_bytes] or _MAX_BODY_BYTES
    max_message_bytes = options.Extensions[options_pb2.max_message_bytes]
    access = options.Extensions[options_pb2.access]
    return MethodOptions(
        name=short_name(method),
        operator_role=least_role(access),
        admits_any_operator=access.any_operator_token,
        roles=frozenset(_ROLES[role] for role in access.roles if role in _ROLES),
        scopes=tuple(access.scopes),
        body_key=access.body_key,
        body_key_number=method.input_type.fields_by_name[access.body_key].number if access.body_key else 0,
        credential_errors=CredentialErrors(access.credential_errors),
        master_key_only=access.master_key_only,
        admits_replaced_key=access.replaced_key,
        bucket=_bucket(options.Extensions[options_pb2.rate_limit]) or GENERAL_BUCKET,
        success_status=options.Extensions[options_pb2.success_status] or 200,
        internal_error_text=options.Extensions[options_pb2.internal_error_text],
        honours_idempotency_key=options.Extensions[options_pb2.idempotency_key],
        only_reads=_only_reads(method),
        paths=_path_patterns(method),
        max_message_bytes=max_message_bytes or max_body_bytes,
        max_values=options.Extensions[options_pb2.max_values] or REST.max_values,
        streams=method.client_streaming or method.server_streaming,
        holds_daemon=method.client_streaming and method.server_streaming,
        max_rest_message_bytes=max_message_bytes or max_body_bytes * _GROWTH_OF_JSON,
    )


def _only_reads(method: MethodDescriptor) -> bool:
    """Tell whether a call changes nothing, and may be refused when it is answered: what a daemon fetches is its own."""
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[_HTTP]
    return rule.WhichOneof("pattern") == "get" and method.containing_service.name != _DAEMONS


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
    return tuple(re.compile(_VARIABLE.sub(_segments, re.escape(template))) for template in templates if "{" in template)


def _segments(variable: re.Match[str]) -> str:
    name, has_all = variable.groups()
    return f"(?P<{name}>{'.+' if has_all else '[^/]+'})"

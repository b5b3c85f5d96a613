"""The methods that operators may call, with the least role of each, as the protos declare them."""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import MethodDescriptor

import dcp.v1
from dc1.domain.access.operators import OperatorRole
from dcp.v1 import options_pb2

# The stubs know no extensions of other packages.
_HTTP: Final[Any] = annotations_pb2.http
# A variable that takes the rest of a path, which documents have no word for.
_ALL = "=**"
_ROLES = {
    options_pb2.OPERATOR_ROLE_VIEWER: OperatorRole.VIEWER,
    options_pb2.OPERATOR_ROLE_SUPPORT: OperatorRole.SUPPORT,
    options_pb2.OPERATOR_ROLE_FINANCE: OperatorRole.FINANCE,
    options_pb2.OPERATOR_ROLE_ADMIN: OperatorRole.ADMIN,
}


def least_role(access: options_pb2.Access) -> OperatorRole:
    """Return the least that an operator must be for a method; of one that does not say it an admin."""
    return _ROLES.get(access.operator_role, OperatorRole.ADMIN)


def short_name(method: MethodDescriptor) -> str:
    """Return what operators' tokens call a method, `Service/Method`."""
    return f"{method.containing_service.name}/{method.name}"


@dataclass(frozen=True, slots=True)
class AdminMethod:
    """A method with the role admin: the least that may call it, and its verb and path over REST.

    `any_token` is whether one that is for other methods may call it as well.
    """

    least: OperatorRole
    any_token: bool
    route: str


@cache
def admin_methods() -> Mapping[str, AdminMethod]:
    """Return every method with the role admin by its short name, in order."""
    files = [name for _, name, _ in pkgutil.iter_modules(dcp.v1.__path__) if name.endswith("_service_pb2")]
    services = [
        service for name in files for service in import_module(f"dcp.v1.{name}").DESCRIPTOR.services_by_name.values()
    ]
    found: dict[str, AdminMethod] = {}
    for method in (method for service in services for method in service.methods):
        access = method.GetOptions().Extensions[options_pb2.access]
        if options_pb2.ROLE_ADMIN in access.roles:
            found[short_name(method)] = AdminMethod(least_role(access), access.any_operator_token, _route(method))
    return dict(sorted(found.items()))


def _route(method: MethodDescriptor) -> str:
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[_HTTP]
    verb = rule.WhichOneof("pattern")
    # Some are for gRPC alone.
    return "" if verb is None else f"{verb.upper()} {getattr(rule, verb).replace(_ALL, '')}"

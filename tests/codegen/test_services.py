"""Where a method is declared: the rule at the head of options.proto, held against every method."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from dc1.codegen.descriptors import Node
from tests.codegen.conftest import REPOSITORY, our_catalogue

_CATALOGUE = our_catalogue()
_SYSTEM = re.compile(r"/(health|docs.*|console|assets/.*|install\.sh|install/.*)?")
# `bulk` and `export` say what is done with the noun that follows.
_ADMIN_NOUN = re.compile(r"/admin/(?:(?:bulk|export)/)?([\w-]+)")
_ADMIN = {
    "providers": "AdminProviderService",
    "renters": "AdminRenterService",
    "jobs": "AdminJobService",
    "finance": "AdminFinanceService",
    "withdrawals": "AdminFinanceService",
    "pricing": "AdminFinanceService",
    "gpu-factors": "AdminFinanceService",
    "token-prices": "AdminFinanceService",
}
_BY_NOUN = {
    "jobs": "JobService",
    "providers": "ProviderService",
    "renters": "RenterService",
    "notifications": "NotificationService",
}


def routed() -> Iterator[Any]:
    for service in _CATALOGUE.services.values():
        for method in service.children:
            http = method.option("google.api.http")
            if http:
                path = next(http[verb] for verb in ("get", "put", "post", "delete", "patch") if verb in http)
                yield pytest.param(service.short_name, method, path, id=method.short_name)


def service_of(path: str, *, is_open_read: bool) -> str:
    if admin := _ADMIN_NOUN.match(path):
        return _ADMIN.get(admin[1], "AdminService")
    if path.startswith("/v1/") or (path.startswith("/vllm/") and not is_open_read):
        return "OpenAIService"
    if _SYSTEM.fullmatch(path):
        return "SystemService"
    return "MarketService" if is_open_read else _BY_NOUN[path.split("/")[1]]


@pytest.mark.parametrize(("service", "method", "path"), list(routed()))
def test_a_method_is_where_its_first_path_says(service: str, method: Node, path: str) -> None:
    roles = method.option("dcp.v1.access")["roles"]
    if service == "DaemonService" or method.short_name == "Heartbeat":
        assert "ROLE_PROVIDER" in roles
    else:
        is_open_read = "get" in method.option("google.api.http") and "ROLE_PUBLIC" in roles
        assert service == service_of(path, is_open_read=is_open_read)


@pytest.mark.parametrize("name", [name for name in _CATALOGUE.services if name.startswith("dcp.")])
def test_a_service_is_a_file(name: str) -> None:
    service = name.rpartition(".")[2]
    files = {file.stem.replace("_", ""): file for file in (REPOSITORY / "proto/dcp/v1").glob("*.proto")}
    assert f"\nservice {service} {{\n" in files[service.lower()].read_text()

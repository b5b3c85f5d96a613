"""Every route that the documentation lists is served, and every method of the protocol is closed to strangers."""

import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from google.protobuf.descriptor import MethodDescriptor

from dc1.testing.market import LocalMarket
from dc1.testing.rest import Json, check_refusal
from dc1.testing.server import ADMIN_TOKEN
from dcp.v1 import admin_service_pb2, admin_service_pb2_grpc, options_pb2
from tests.contract.expect import refused
from tests.contract.protocol import METHODS
from tests.support.openapi import document

VERBS = ("get", "post", "put", "patch", "delete")


def documented() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(verb, path with its parameters filled in, operation) of every route in the OpenAPI file."""
    for path, item in document()["paths"].items():
        for verb in VERBS:
            if verb in item:
                yield verb.upper(), re.sub(r"\{\w+\}", "1", path), item[verb]


ROUTES = list(documented())
ROUTE_NAMES = [f"{verb} {path}" for verb, path, _ in ROUTES]


@pytest.mark.parametrize(("verb", "path", "operation"), ROUTES, ids=ROUTE_NAMES)
def test_a_documented_route_is_served(
    quiet_market: LocalMarket, verb: str, path: str, operation: dict[str, Any]
) -> None:
    body: Json = {"json": {}} if verb in ("POST", "PUT", "PATCH") else {}
    at_root_only = path == "/" or path.startswith(("/v1/", "/docs/"))
    for prefix in ("",) if at_root_only else ("", "/api", "/api/dc1"):
        response = quiet_market.rest.rest(verb, prefix + path, **body)
        if response.status_code == 404:
            assert response.json()["error"] != "Not found", "no such route"
        if operation.get("security"):
            assert response.status_code in (400, 401, 403)
            check_refusal(response)


@pytest.mark.parametrize("path", ["/", "/docs/openapi.yaml", "/v1/models"])
@pytest.mark.parametrize("prefix", ["/api", "/api/dc1"])
def test_some_paths_exist_at_the_root_only(quiet_market: LocalMarket, prefix: str, path: str) -> None:
    refused(quiet_market.rest.get(prefix + path), 404, "Not found")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_every_method_declares_who_may_call_it(method: MethodDescriptor) -> None:
    access = method.GetOptions().Extensions[options_pb2.access]
    assert access.roles
    assert options_pb2.ROLE_UNSPECIFIED not in access.roles
    if options_pb2.ROLE_PUBLIC in access.roles:
        assert list(access.roles) == [options_pb2.ROLE_PUBLIC]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_a_native_stranger_is_refused(quiet_market: LocalMarket, method: MethodDescriptor) -> None:
    access = method.GetOptions().Extensions[options_pb2.access]
    if options_pb2.ROLE_PUBLIC in access.roles:
        return
    expected = (
        grpc.StatusCode.INVALID_ARGUMENT
        if access.credential_errors == options_pb2.CREDENTIAL_ERRORS_HEARTBEAT
        else grpc.StatusCode.UNAUTHENTICATED
    )
    with grpc.insecure_channel(quiet_market.edge.target) as channel:
        call = channel.stream_stream(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=empty_pb2.Empty.SerializeToString,
            response_deserializer=empty_pb2.Empty.FromString,
        )
        with pytest.raises(grpc.RpcError) as refusal:
            list(call(iter([empty_pb2.Empty()]), timeout=10))
    assert refusal.value.code() is expected


def test_a_method_nobody_declared_is_refused(quiet_market: LocalMarket) -> None:
    with grpc.insecure_channel(quiet_market.edge.target) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/dcp.v1.AdminService/DropEverything")
        with pytest.raises(grpc.RpcError) as refusal:
            call(b"", timeout=10, metadata=(("x-admin-token", ADMIN_TOKEN),))
    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_native_and_rest_callers_share_port_text_and_answer(quiet_market: LocalMarket) -> None:
    with grpc.insecure_channel(quiet_market.edge.target) as channel:
        stub = admin_service_pb2_grpc.AdminServiceStub(channel)
        request = admin_service_pb2.GetDashboardRequest()
        answer = stub.GetDashboard(request, timeout=10, metadata=(("x-admin-token", ADMIN_TOKEN),))
        with pytest.raises(grpc.RpcError) as refusal:
            stub.GetDashboard(request, timeout=10)
    assert answer.stats.timestamp == quiet_market.admin.stats()["timestamp"]
    assert (refusal.value.code(), refusal.value.details()) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "Admin access denied",
    )


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/admin/dashboard"),
        ("PATCH", "/jobs/submit"),
        ("PUT", "/jobs/submit"),
        ("GET", "/renters/register"),
        ("DELETE", "/health"),
        ("GET", "/providers/heartbeat"),
        ("TRACE", "/health"),
    ],
)
def test_a_wrong_verb_is_an_ordinary_refusal(quiet_market: LocalMarket, verb: str, path: str) -> None:
    response = quiet_market.rest.rest(verb, path)
    expected = {404: "Not found", 405: "Method not allowed"}
    assert response.json()["error"] == expected[response.status_code]

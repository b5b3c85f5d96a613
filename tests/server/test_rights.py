"""What scoped keys may do, and that an undeclared method may be called by nobody."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.resources import files
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, empty_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from dc1.server.method_options import options_of
from dc1.server.registry import Service
from dc1.testing.clock import ManualClock
from dcp.v1 import (
    admin_service_pb2,
    job_service_pb2,
    provider_service_pb2,
    renter_service_pb2,
    system_service_pb2,
)
from dcp.v1.job_progress_pb2 import GetJobRequest
from dcp.v1.job_submission_pb2 import SubmitJobRequest
from dcp.v1.renter_service_pb2 import GetRenterRequest
from dcp.v1.renter_wallet_pb2 import GetBalanceRequest
from tests.server.conftest import Serve
from tests.server.harness import ADMIN_TOKEN, START_MS, Harness, Running, refusal

J3 = SubmitJobRequest(job_type="llm_inference", duration_minutes=3)


async def test_a_scope_opens_its_methods_only(server: Running) -> None:
    key = (await server.scoped_key("jobs.read")).key
    assert (await server.call("JobService/GetJob", GetJobRequest(job_id="1"), x_renter_key=key)).status == 200
    assert server.last.principal.scopes == frozenset({"jobs.read"})
    refused = await server.call("JobService/SubmitJob", J3, x_renter_key=key)
    assert (refused.status, refused.body) == (
        403,
        {"error": "API key lacks scope: inference", "code": "SCOPE_MISSING"},
    )
    assert (await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=key)).status == 403
    assert (await server.call("RenterService/GetRenter", GetRenterRequest(), x_renter_key=key)).status == 200


@pytest.mark.parametrize("scope", ["billing", "balance.read", "admin"])
async def test_one_of_several_scopes_is_enough(server: Running, scope: str) -> None:
    key = (await server.scoped_key(scope)).key
    assert (await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=key)).status == 200


async def test_a_scoped_key_stops_when_it_expires(server: Running, clock: ManualClock) -> None:
    key = (await server.scoped_key("inference", expires_at_ms=START_MS + 1000)).key
    assert (await server.call("JobService/SubmitJob", J3, x_renter_key=key)).status == 201
    clock.advance(1)
    assert (await server.call("JobService/SubmitJob", J3, x_renter_key=key)).status == 403


def declared_methods() -> Iterator[MethodDescriptor]:
    for name in sorted(file.name for file in files("dcp.v1").iterdir() if file.name.endswith("_service_pb2.py")):
        module = import_module(f"dcp.v1.{name.removesuffix('.py')}")
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from service.methods


def test_a_replaced_key_is_good_for_running_work_only() -> None:
    """Contract 1.2.5 lists them."""
    admitted = {
        method.name
        for method in declared_methods()
        if options_of(f"/{method.containing_service.full_name}/{method.name}").admits_replaced_key
    }
    reads = {"GetProvider", "GetJob", "GetJobStatus", "ListDaemonJobs", "VerifyTaskHmac"}
    says = {"Connect", "Heartbeat", "BeatProvider", "GoOnline", "ReportDaemonEvent", "NextJob"}
    runs = {
        "ReportProgress",
        "AppendJobLogs",
        "ReportEndpointReady",
        "ReportJobResult",
        "ReportRunResult",
        "FailJob",
    }
    assert admitted == reads | says | runs


def test_no_answer_that_is_kept_for_a_repeat_has_a_secret() -> None:
    """An Idempotency-Key has the first answer stored in the clear.

    Of a new machine the answer is kept without its key, which `test_a_machine_is_added_once_under_a_key` sees, and of a
    new account sealed, which `test_a_registration_whose_answer_was_lost_is_told_again` does.
    """
    for method in declared_methods():
        if (
            method.name not in {"AddMachine", "RegisterRenter", "RegisterProvider"}
            and options_of(f"/{method.containing_service.full_name}/{method.name}").honours_idempotency_key
        ):
            assert not {"api_key", "new_key", "key", "webhook_secret"} & set(method.output_type.fields_by_name)


def undeclared_service() -> ServiceDescriptor:
    """Describe a service whose method has no options."""
    pool = descriptor_pool.Default()
    file = descriptor_pb2.FileDescriptorProto(
        name="tests/undeclared.proto", package="tests", dependency=["google/protobuf/empty.proto"], syntax="proto3"
    )
    method = file.service.add(name="UndeclaredService").method.add(name="Open")
    method.input_type = method.output_type = ".google.protobuf.Empty"
    pool.Add(file)
    return pool.FindServiceByName("tests.UndeclaredService")


async def open_to_nobody(request: Any, context: Any) -> empty_pb2.Empty:
    raise AssertionError("called")


def add_undeclared(name: str) -> Callable[[Any, Any], None]:
    handler = grpc.unary_unary_rpc_method_handler(
        open_to_nobody,
        request_deserializer=empty_pb2.Empty.FromString,
        response_serializer=empty_pb2.Empty.SerializeToString,
    )

    def add(servicer: object, server: Any) -> None:
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Open": handler}),))

    return add


@pytest.mark.parametrize("name", ["tests.UndeclaredService", "tests.UndescribedService"])
async def test_a_method_that_declares_nothing_is_open_to_nobody(serve: Serve, harness: Harness, name: str) -> None:
    harness.extra_services.append(Service(UNDECLARED, add_undeclared(name), object()))
    server = await serve()
    call = server.channel.unary_unary(
        f"/{name}/Open",
        request_serializer=empty_pb2.Empty.SerializeToString,
        response_deserializer=empty_pb2.Empty.FromString,
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(empty_pb2.Empty(), metadata=[("x-admin-token", ADMIN_TOKEN)])
    answer = refusal(caught.value)
    assert (answer.code, answer.status, answer.text) == (grpc.StatusCode.PERMISSION_DENIED, 403, "Forbidden")


UNDECLARED = undeclared_service()


@pytest.mark.parametrize(
    "file", [admin_service_pb2, job_service_pb2, provider_service_pb2, renter_service_pb2, system_service_pb2]
)
def test_every_method_of_the_protocol_declares_who_may_call(file: Any) -> None:
    for service in file.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            assert options_of(f"/{service.full_name}/{method.name}").roles, method.full_name


async def test_a_call_that_no_admin_can_make_is_not_held_by_the_audit(server: Running) -> None:
    """Two generators more for each call would be a hundredth of it, and stay as long as a stream does."""
    begun: list[str] = []
    hooks = sys.get_asyncgen_hooks()
    to_loop = hooks.firstiter
    assert to_loop is not None

    def note(generator: Any) -> None:
        begun.append(generator.__qualname__)
        to_loop(generator)

    sys.set_asyncgen_hooks(firstiter=note)
    try:
        await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=server.accounts.renter)
    finally:
        sys.set_asyncgen_hooks(*hooks)
    # What lives beside the calls may begin one meanwhile.
    assert [each for each in begun if each.startswith(("Pipeline.", "Auditor."))] == ["Pipeline._guarded"]

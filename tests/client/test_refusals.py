"""Each kind of refusal by a real market, as the client and as native callers' own libraries have it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from dc1.client import (
    AsyncClient,
    Client,
    ForbiddenError,
    InsufficientBalanceError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    UnauthorizedError,
)
from dc1.testing.market import LocalMarket
from dcp.v1.job_progress_pb2 import GetJobRequest
from dcp.v1.job_service_pb2_grpc import JobServiceStub
from dcp.v1.job_submission_pb2 import SubmitJobRequest

SECONDS = 60


def own_key(market: LocalMarket) -> str:
    return market.add_renter().key


def made_up_key(_: LocalMarket) -> str:
    return "dc1-renter-nobody"


def key_without_scope(market: LocalMarket) -> str:
    with Client(market.edge.url, own_key(market)) as client:
        return str(client.renter.create_key(["billing"])["key"])


def key_that_has_spent(market: LocalMarket) -> str:
    with Client(market.edge.url, own_key(market)) as client:
        return str(client.renter.create_key(["inference"], monthly_budget_halala=1)["key"])


def submits(minutes: float) -> tuple[Callable[[Any], Any], str, Message]:
    request = SubmitJobRequest(job_type="benchmark", duration_minutes=minutes)
    return (lambda client: client.jobs.submit(job_type="benchmark", minutes=minutes)), "SubmitJob", request


@dataclass(frozen=True)
class Case:
    """Who asks for what, and what is said."""

    key: Callable[[LocalMarket], str]
    asked: tuple[Callable[[Any], Any], str, Message]
    kind: type[RefusedError]
    code: str
    status: grpc.StatusCode
    fields: set[str] = field(default_factory=set)
    details: frozenset[str] = frozenset()


UNKNOWN_JOB = (lambda client: client.jobs.get("job-0-none00"), "GetJob", GetJobRequest(job_id="job-0-none00"))
CASES = {
    "unauthorized": Case(
        made_up_key, UNKNOWN_JOB, UnauthorizedError, "UNAUTHENTICATED", grpc.StatusCode.UNAUTHENTICATED
    ),
    "forbidden": Case(
        key_without_scope, submits(1), ForbiddenError, "SCOPE_MISSING", grpc.StatusCode.PERMISSION_DENIED
    ),
    "not found": Case(own_key, UNKNOWN_JOB, NotFoundError, "NOT_FOUND", grpc.StatusCode.NOT_FOUND),
    "invalid": Case(
        own_key,
        submits(-1),
        InvalidRequestError,
        "VALIDATION_FAILED",
        grpc.StatusCode.INVALID_ARGUMENT,
        {"duration_minutes"},
        frozenset({"BadRequest"}),
    ),
    "too poor": Case(
        own_key, submits(120), InsufficientBalanceError, "INSUFFICIENT_BALANCE", grpc.StatusCode.FAILED_PRECONDITION
    ),
    "too much": Case(
        key_that_has_spent,
        submits(1),
        RateLimitedError,
        "KEY_BUDGET",
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        details=frozenset({"RetryInfo", "QuotaFailure"}),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_refusal_says_the_same_to_everybody(market: LocalMarket, case: Case) -> None:
    key = await asyncio.to_thread(case.key, market)
    call, method, request = case.asked

    def synchronously() -> None:
        with Client(market.edge.url, key) as client:
            call(client)

    async def asynchronously() -> None:
        async with AsyncClient(market.edge.url, key) as client:
            await call(client)

    def natively() -> None:
        with grpc.insecure_channel(market.edge.target) as channel:
            getattr(JobServiceStub(channel), method)(request, metadata=(("x-renter-key", key),), timeout=SECONDS)

    async def natively_on_a_loop() -> None:
        async with grpc.aio.insecure_channel(market.edge.target) as channel:
            await getattr(JobServiceStub(channel), method)(request, metadata=(("x-renter-key", key),), timeout=SECONDS)

    by_client: list[Callable[[], Awaitable[None]]] = [lambda: asyncio.to_thread(synchronously), asynchronously]
    for ask in by_client:
        with pytest.raises(RefusedError) as caught:
            await ask()
        error = caught.value
        assert (type(error), error.code, set(error.fields)) == (case.kind, case.code, case.fields)
        assert error.request_id
        assert (error.retry_after_seconds is not None) == ("RetryInfo" in case.details)

    by_grpc: list[Callable[[], Awaitable[None]]] = [lambda: asyncio.to_thread(natively), natively_on_a_loop]
    for ask in by_grpc:
        with pytest.raises(grpc.RpcError) as refused:
            await ask()
        told: Any = refused.value
        metadata = {
            name: value for part in (told.initial_metadata(), told.trailing_metadata()) for name, value in part or ()
        }
        found = details(metadata["grpc-status-details-bin"])
        assert told.code() is case.status
        assert (found["ErrorInfo"].reason, found["ErrorInfo"].domain) == (case.code, "dc1")
        assert found.keys() - {"ErrorInfo"} == case.details
        assert metadata["x-request-id"]
        if case.fields:
            assert {each.field for each in found["BadRequest"].field_violations} == case.fields
        if "RetryInfo" in case.details:
            assert found["RetryInfo"].retry_delay.seconds > 0
            assert found["QuotaFailure"].violations[0].description == told.details()


def details(packed: bytes) -> dict[str, Any]:
    """Those of google.rpc, by their names."""
    found = {}
    for each in status_pb2.Status.FromString(packed).details:
        name = each.TypeName().rpartition(".")[2]
        if each.TypeName().startswith("google.rpc."):
            each.Unpack(message := getattr(error_details_pb2, name)())
            found[name] = message
    return found

"""How refusals leave the server, for the edge and for native callers."""

from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from structlog.testing import capture_logs

from dc1.domain import errors
from dc1.domain.errors import ApiError, FieldViolation
from dc1.services.api.call import current_call
from dcp.v1.error_pb2 import ErrorDetail
from dcp.v1.job_progress_pb2 import GetJobRequest, GetJobResponse
from dcp.v1.job_submission_pb2 import SubmitJobRequest
from dcp.v1.renter_service_pb2 import RegisterRenterRequest
from dcp.v1.renter_wallet_pb2 import GetBalanceRequest
from tests.server.harness import Harness, Running

J3 = SubmitJobRequest(job_type="llm_inference", duration_minutes=3)
GRPC_METADATA_LIMIT = 8 * 1024


def raising(error: Exception) -> Any:
    async def behaviour(request: Any) -> Any:
        raise error

    return behaviour


def detail_of(headers: dict[str, str | bytes]) -> tuple[status_pb2.Status, ErrorDetail]:
    raw = headers["grpc-status-details-bin"]
    assert isinstance(raw, bytes)
    status = status_pb2.Status.FromString(raw)
    detail = ErrorDetail()
    assert status.details[0].Unpack(detail)
    return status, detail


async def test_a_refusal_of_a_servicer_reaches_the_edge_as_json(server: Running, harness: Harness) -> None:
    harness.behaviours["SubmitJob"] = raising(errors.insufficient_balance(44, 45))
    answer = await server.call("JobService/SubmitJob", J3, x_renter_key=server.accounts.renter)
    assert (answer.code, answer.text) == (grpc.StatusCode.FAILED_PRECONDITION, "Insufficient balance")
    assert (answer.status, answer.body) == (
        402,
        {
            "error": "Insufficient balance",
            "code": "INSUFFICIENT_BALANCE",
            "balance_halala": 44,
            "required_halala": 45,
            "shortfall_halala": 1,
        },
    )
    assert "grpc-status-details-bin" not in answer.headers


async def test_a_native_caller_finds_the_same_facts_in_the_status(server: Running, harness: Harness) -> None:
    harness.behaviours["SubmitJob"] = raising(errors.insufficient_balance(44, 45))
    answer = await server.call_natively("JobService/SubmitJob", J3, x_renter_key=server.accounts.renter)
    assert "x-error-body" not in answer.headers
    status, detail = detail_of(answer.headers)
    assert (status.code, status.message) == (grpc.StatusCode.FAILED_PRECONDITION.value[0], "Insufficient balance")
    assert (detail.code, detail.http_status) == ("INSUFFICIENT_BALANCE", 402)
    assert dict(detail.context.items()) == {"balance_halala": 44, "required_halala": 45, "shortfall_halala": 1}
    invalid = await server.call_natively(
        "RenterService/RegisterRenter", RegisterRenterRequest(name="x", email="a@b.sa")
    )
    _, detail = detail_of(invalid.headers)
    assert [(fault.field, fault.message) for fault in detail.fields] == [("name", "must be at least 2 characters")]


async def test_a_native_caller_s_library_knows_the_details(server: Running, harness: Harness) -> None:
    """Those of google.rpc, which clients in every language read without a message of ours."""

    async def details(method: str, request: Any, **headers: str) -> dict[str, Any]:
        answer = await server.call_natively(method, request, **headers)
        found = [unpacked(each) for each in detail_of(answer.headers)[0].details]
        return {type(each).__name__: each for each in found}

    key = server.accounts.renter
    harness.behaviours["SubmitJob"] = raising(errors.insufficient_balance(44, 45))
    info = (await details("JobService/SubmitJob", J3, x_renter_key=key))["ErrorInfo"]
    assert (info.reason, info.domain) == ("INSUFFICIENT_BALANCE", "dc1")
    assert dict(info.metadata) == {
        "balance_halala": "44",
        "required_halala": "45",
        "shortfall_halala": "1",
        "http_status": "402",
    }
    harness.behaviours["SubmitJob"] = raising(errors.rate_limit_exceeded(7))
    limited = await details("JobService/SubmitJob", J3, x_renter_key=key)
    assert limited["RetryInfo"].retry_delay.seconds == 7
    assert limited["QuotaFailure"].violations[0].description == "Rate limit exceeded"
    invalid = await details("RenterService/RegisterRenter", RegisterRenterRequest(name="x", email="a@b.sa"))
    faults = [(fault.field, fault.description) for fault in invalid["BadRequest"].field_violations]
    assert faults == [("name", "must be at least 2 characters")]
    # What has no name of its own in the contract has that of its status, in both shapes.
    harness.behaviours["SubmitJob"] = raising(errors.job_not_found())
    unnamed = await details("JobService/SubmitJob", J3, x_renter_key=key)
    assert (unnamed["ErrorDetail"].code, unnamed["ErrorInfo"].reason) == ("NOT_FOUND", "NOT_FOUND")
    over_rest = await server.call("JobService/SubmitJob", J3, x_renter_key=key)
    assert over_rest.body == {"error": "Job not found", "code": "NOT_FOUND"}


def unpacked(packed: any_pb2.Any) -> Any:
    standard = ("ErrorInfo", "RetryInfo", "QuotaFailure", "BadRequest")
    kinds: list[Any] = [ErrorDetail, *(getattr(error_details_pb2, name) for name in standard)]
    (message,) = [message for kind in kinds if packed.Unpack(message := kind())]
    return message


@pytest.mark.parametrize(
    ("method", "request_", "text"),
    [
        ("JobService/SubmitJob", J3, "Job submission failed"),
        ("RenterService/GetBalance", GetBalanceRequest(), "Internal error"),
    ],
)
async def test_the_unexpected_is_told_in_the_method_s_words_and_logged_with_its_traceback(
    server: Running, harness: Harness, method: str, request_: Any, text: str
) -> None:
    harness.behaviours[method.split("/")[1]] = raising(ZeroDivisionError("SELECT secret"))
    with capture_logs() as lines:
        answer = await server.call(method, request_, x_renter_key=server.accounts.renter)
    assert (answer.code, answer.status, answer.body) == (
        grpc.StatusCode.INTERNAL,
        500,
        {"error": text, "code": "INTERNAL"},
    )
    failed, ended = lines
    assert (failed["log_level"], failed["method"]) == ("error", f"/dcp.v1.{method}")
    assert isinstance(failed["exc_info"], ZeroDivisionError)
    assert (ended["event"], ended["status"]) == ("call", 500)


async def test_success_has_the_status_the_method_declares(server: Running) -> None:
    answer = await server.call("JobService/SubmitJob", J3, x_renter_key=server.accounts.renter)
    assert answer.status == 201
    balance = await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=server.accounts.renter)
    assert "x-http-status" not in balance.headers


async def test_a_servicer_may_choose_status_and_headers(server: Running, harness: Harness) -> None:
    async def accepted(request: GetJobRequest) -> GetJobResponse:
        call = current_call()
        call.http_status = 202
        call.headers["cache-control"] = "no-store"
        return GetJobResponse(id=request.job_id)

    harness.behaviours["GetJob"] = accepted
    answer = await server.call("JobService/GetJob", GetJobRequest(job_id="7"), x_renter_key=server.accounts.renter)
    assert (answer.status, answer.headers["cache-control"], answer.message.id) == (202, "no-store", "7")


async def test_a_long_text_in_any_script_fits_the_trailers(server: Running, harness: Harness) -> None:
    harness.behaviours["GetJob"] = raising(ApiError(410, "خطأ " * 5000, context={"status": "failed"}))
    for call in (server.call, server.call_natively):
        answer = await call("JobService/GetJob", GetJobRequest(job_id="7"), x_renter_key=server.accounts.renter)
        assert answer.status == 410
        assert answer.text.startswith("خطأ خطأ")
    assert (await server.call("JobService/GetJob", GetJobRequest(), x_renter_key=server.accounts.renter)).body[
        "status"
    ] == "failed"


async def test_a_long_list_of_faults_is_cut(server: Running, harness: Harness) -> None:
    faults = [FieldViolation(f"lines.{number}.message", "must be at most 2000 characters") for number in range(500)]
    harness.behaviours["GetJob"] = raising(errors.validation_failed(faults))
    answer = await server.call("JobService/GetJob", GetJobRequest(job_id="7"), x_renter_key=server.accounts.renter)
    assert (answer.status, answer.body["code"]) == (400, "VALIDATION_FAILED")
    assert answer.body["fields"][0] == {"field": "lines.0.message", "message": "must be at most 2000 characters"}
    assert 10 < len(answer.body["fields"]) < 500


@pytest.mark.parametrize(
    "error",
    [
        errors.job_not_found(),
        errors.renter_email_taken(),
        errors.attempt_superseded(2),
        errors.service_unavailable(),
        errors.completion_timeout(),
    ],
    ids=str,
)
async def test_every_kind_of_refusal_keeps_its_status_and_code(
    server: Running, harness: Harness, error: ApiError
) -> None:
    harness.behaviours["GetJob"] = raising(error)
    answer = await server.call("JobService/GetJob", GetJobRequest(job_id="7"), x_renter_key=server.accounts.renter)
    assert (answer.status, answer.code.name, answer.text) == (error.status, error.grpc, error.message)
    assert answer.body == error.body()

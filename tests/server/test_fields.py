"""What is made of a request's fields, and in which order faults are told."""

import math
import re
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from protovalidate import Validator

from buf.validate import validate_pb2
from dc1.domain.jobs import images
from dc1.server.field_rules import FieldRules
from dcp.v1.admin_service_pb2 import ApproveImageRequest
from dcp.v1.daemon_run_pb2 import AppendJobLogsRequest, LogInput, ReportProgressRequest
from dcp.v1.job_submission_pb2 import SubmitJobRequest
from dcp.v1.provider_service_pb2 import RegisterProviderRequest
from dcp.v1.renter_service_pb2 import RegisterRenterRequest
from dcp.v1.renter_wallet_pb2 import TopUpRequest
from tests.server.harness import ADMIN_TOKEN, Answer, Harness, Running

JOB_TYPES = "image_generation, llm-inference, llm_inference, rendering, training, benchmark, custom_container, vllm_serve, rag-pipeline"


async def submit(server: Running, **fields: Any) -> Answer:
    request = SubmitJobRequest(**{"job_type": "llm_inference", "duration_minutes": 3, **fields})
    return await server.call("JobService/SubmitJob", request, x_renter_key=server.accounts.renter)


async def test_missing_fields_are_named_in_their_order(server: Running) -> None:
    async def register(**fields: str) -> str:
        answer = await server.call("RenterService/RegisterRenter", RegisterRenterRequest(**fields))
        assert (answer.status, answer.body["code"]) == (400, "MISSING_FIELDS")
        return str(answer.body["error"])

    assert await register() == "Missing required fields: name, email"
    assert await register(name="x") == "Missing required fields: email"
    assert await register(email="not an address", name=" \t") == "Missing required fields: name"
    provider = await server.call("ProviderService/RegisterProvider", RegisterProviderRequest())
    assert provider.body["error"] == "Missing required fields: name, email, os"


async def test_names_and_addresses_are_tidied_and_other_strings_kept(server: Running) -> None:
    request = RegisterRenterRequest(name="  نورة 🌊 ", email=" Noura@Example.SA ", use_case=" <b>as sent</b> ")
    answer = await server.call("RenterService/RegisterRenter", request)
    assert answer.status == 201
    seen = server.calls[-1][1]
    assert (seen.name, seen.email, seen.use_case) == ("نورة 🌊", "noura@example.sa", " <b>as sent</b> ")
    assert not seen.HasField("phone")


async def test_broken_rules_are_listed_by_field(server: Running) -> None:
    answer = await server.call(
        "RenterService/RegisterRenter", RegisterRenterRequest(name=" x ", email="nowhere", phone="1" * 41)
    )
    assert (answer.status, answer.body["error"], answer.body["code"]) == (400, "Validation failed", "VALIDATION_FAILED")
    assert answer.body["fields"] == [
        {"field": "name", "message": "must be at least 2 characters"},
        {"field": "email", "message": "must be a valid email address"},
        {"field": "phone", "message": "must be at most 40 characters"},
    ]


@pytest.mark.parametrize("minutes", [-5, 0, 43_201, math.nan, math.inf])
async def test_a_duration_out_of_range_is_refused(server: Running, minutes: float) -> None:
    answer = await submit(server, duration_minutes=minutes)
    assert (answer.status, answer.body["error"]) == (400, "Validation failed")
    assert [fault["field"] for fault in answer.body["fields"]] == ["duration_minutes"]


async def test_a_number_without_a_rule_is_finite_all_the_same(server: Running) -> None:
    request = TopUpRequest(amount_sar=math.nan)
    answer = await server.call("RenterService/TopUp", request, x_renter_key=server.accounts.renter)
    assert answer.body["fields"] == [{"field": "amount_sar", "message": "must be a finite number"}]


async def test_a_value_off_its_list_is_answered_with_the_list(server: Running) -> None:
    job_type = await submit(server, job_type="mining")
    assert (job_type.status, job_type.body) == (
        400,
        {"error": f"Invalid job_type. Allowed: {JOB_TYPES}", "code": "INVALID_ENUM"},
    )
    pricing = await submit(server, pricing_class="gold")
    assert pricing.body["error"] == "Invalid pricing_class. Allowed: priority, standard, economy"
    phase = await server.call(
        "DaemonService/ReportProgress",
        ReportProgressRequest(job_id="1", phase="flying"),
        x_provider_key=server.accounts.provider,
    )
    assert phase.body["error"].startswith("Invalid phase. Allowed: pulling, downloading_model, ")


async def test_ranges_are_told_before_lists_and_missing_fields_before_both(server: Running) -> None:
    both = await submit(server, job_type="mining", max_duration_seconds=59)
    assert [fault["field"] for fault in both.body["fields"]] == ["max_duration_seconds"]
    request = SubmitJobRequest(job_type="mining", max_duration_seconds=59)
    missing = await server.call("JobService/SubmitJob", request, x_renter_key=server.accounts.renter)
    assert missing.body["error"] == "Missing required fields: duration_minutes"


async def test_fields_inside_lists_have_dotted_names(server: Running) -> None:
    async def append(*lines: LogInput) -> dict[str, Any]:
        request = AppendJobLogsRequest(job_id="1", lines=lines)
        answer = await server.call("DaemonService/AppendJobLogs", request, x_provider_key=server.accounts.provider)
        assert answer.status == 400
        return answer.body

    too_long = await append(LogInput(message="fine"), LogInput(message="y" * 2001))
    assert too_long["fields"][0]["field"] == "lines.1.message"
    unlisted = await append(LogInput(message="fine", level="loud"))
    assert unlisted["error"] == "Invalid lines.0.level. Allowed: info, warn, error, debug"


async def test_a_service_may_normalise_a_request_before_its_rules(server: Running, harness: Harness) -> None:
    def short_form(request: SubmitJobRequest) -> None:
        request.job_type, request.duration_minutes = "custom_container", 30

    harness.normalisers["/dcp.v1.JobService/SubmitJob"] = short_form
    request = SubmitJobRequest(container_image="ghcr.io/a/b")
    answer = await server.call("JobService/SubmitJob", request, x_renter_key=server.accounts.renter)
    assert (answer.status, server.calls[-1][1].job_type) == (201, "custom_container")


async def test_credentials_come_before_fields(server: Running) -> None:
    answer = await server.call("JobService/SubmitJob", SubmitJobRequest())
    assert answer.status == 401


def test_the_validator_is_not_shown_free_json(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = FieldRules()
    validator = Mock(wraps=Validator())
    monkeypatch.setattr(rules, "_validator", validator)
    request = SubmitJobRequest(job_type="llm_inference", duration_minutes=3, model="m")
    request.params["x"] = list(range(1000))
    request.priority.number_value = 1
    sent = request.SerializeToString()
    rules.apply(request)
    (shown,) = validator.collect_violations.call_args.args
    assert (shown.job_type, shown.duration_minutes, shown.model) == ("llm_inference", 3, "m")
    assert shown.HasField("params")
    assert shown.ByteSize() < 100
    assert request.SerializeToString() == sent


PARTS = (
    "a",
    "B",
    "1",
    ".",
    "_",
    "__",
    "-",
    ":",
    "/",
    "@",
    "[",
    "]",
    " ",
    "::1",
    ":5",
    "localhost",
    "team/",
    "docker.io/",
    "index.docker.io/",
)


@given(st.lists(st.sampled_from((*PARTS, "@sha256:" + "0" * 64)), min_size=1, max_size=6).map("".join))
@example("team/tool:1")
@example("localhost:5000/tool:1")
@example("[2001:DB8::1]:5000/a:1@sha256:" + "f" * 64)
@example("N0wy9amaq")
@example("a.b_c/d")
@settings(max_examples=500)
def test_the_declared_grammar_of_an_image_is_the_one_that_is_read(text: str) -> None:
    options = ApproveImageRequest.DESCRIPTOR.fields_by_name["image_ref"].GetOptions()
    declared = options.Extensions[validate_pb2.field].string.pattern
    assert (re.fullmatch(declared, text) is not None) == (images.parse(text) is not None)


async def test_what_breaks_a_long_grammar_is_told_in_words(server: Running) -> None:
    request = ApproveImageRequest(image_ref="N0wy9amaq")
    answer = await server.call("AdminService/ApproveImage", request, x_admin_token=ADMIN_TOKEN)
    assert answer.body["fields"] == [{"field": "image_ref", "message": "does not have the documented form"}]

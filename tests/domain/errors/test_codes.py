"""The names of refusals: one list in the catalogue, the same in the protos, each with its constructors."""

import ast
import inspect
from collections.abc import Iterator

import pytest

from dc1.domain import errors
from dc1.domain.errors.codes import ErrorCode
from dc1.domain.errors.openai import openai_envelope
from dcp.v1 import error_pb2, options_pb2
from tests.domain.errors.test_catalogue import CASES

REASONS = {
    value.name.removeprefix("ERROR_REASON_"): value.GetOptions().Extensions[options_pb2.refusal]
    for value in error_pb2.ErrorReason.DESCRIPTOR.values
    if value.number
}
WITH_CONTEXT = (
    errors.zero_balance(45),
    errors.insufficient_balance(44, 45),
    errors.daily_quota_exceeded(100, 100, 60),
    errors.monthly_quota_exceeded(10_000, 0, 10_020, 60),
    errors.key_budget_exceeded(100, 90, 45, 60),
    errors.attempt_superseded(2),
    errors.job_already_settled("completed", "job-1-abcdef"),
)
SAMPLES = [*(case[0] for case in CASES), *WITH_CONTEXT]


def _constructors() -> Iterator[tuple[str, str]]:
    """Every constructor that names a code, with that code."""
    for name in errors.__all__:
        if inspect.isfunction(constructor := getattr(errors, name)):
            for node in ast.walk(ast.parse(inspect.getsource(constructor))):
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ErrorCode":
                    yield name, node.attr


def test_the_catalogue_and_the_protos_have_the_same_codes() -> None:
    assert sorted(REASONS) == sorted(ErrorCode)
    assert all(code.name == code.value for code in ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_code_reads_as_the_protos_show_it(code: ErrorCode) -> None:
    shown = REASONS[code]
    found = {(error.status, error.message) for error in SAMPLES if error.code == code}
    assert (shown.http_status, shown.text) in found


@pytest.mark.parametrize("code", ErrorCode)
def test_a_code_is_called_under_v1_what_the_protos_say(code: ErrorCode) -> None:
    error = next(error for error in SAMPLES if error.code == code)
    of_status = _openai_code(errors.ApiError(error.status, ""))
    assert _openai_code(error) == (REASONS[code].openai_code or of_status)


def _openai_code(error: errors.ApiError) -> object:
    detail = openai_envelope(error)["error"]
    assert isinstance(detail, dict)
    return detail["code"]


def test_a_code_has_one_constructor() -> None:
    named: dict[str, set[str]] = {code: set() for code in ErrorCode}
    for constructor, code in _constructors():
        named[code].add(constructor)
    several = {code: names for code, names in named.items() if len(names) != 1}
    # Renters and providers are told apart by the text alone.
    assert several == {"EMAIL_TAKEN": {"renter_email_taken", "provider_email_taken"}}

"""The catalogue: literal texts, statuses, codes and bodies."""

import inspect
import json

import pytest

from dc1.domain import errors
from dc1.domain.errors import ApiError, FieldViolation
from dc1.domain.jobs.states import JOB_TYPES, Phase

CASES: list[tuple[ApiError, int, str, str | None, str]] = [
    (errors.malformed_json(), 400, "Malformed JSON body", "MALFORMED_JSON", "INVALID_ARGUMENT"),
    (
        errors.missing_fields(["name", "email"]),
        400,
        "Missing required fields: name, email",
        "MISSING_FIELDS",
        "INVALID_ARGUMENT",
    ),
    (errors.invalid_field("name", "too short"), 400, "Validation failed", "VALIDATION_FAILED", "INVALID_ARGUMENT"),
    (
        errors.invalid_enum("job_type", JOB_TYPES),
        400,
        "Invalid job_type. Allowed: image_generation, llm-inference, llm_inference, rendering, training, benchmark, "
        "custom_container, vllm_serve, rag-pipeline",
        "INVALID_ENUM",
        "INVALID_ARGUMENT",
    ),
    (
        errors.invalid_enum("phase", Phase),
        400,
        "Invalid phase. Allowed: pulling, downloading_model, installing_deps, loading_model, generating, formatting",
        "INVALID_ENUM",
        "INVALID_ARGUMENT",
    ),
    (errors.request_body_too_large(), 413, "Request body too large", None, "RESOURCE_EXHAUSTED"),
    (errors.rate_limit_exceeded(7), 429, "Rate limit exceeded", None, "RESOURCE_EXHAUSTED"),
    (errors.internal_error(), 500, "Internal error", None, "INTERNAL"),
    (errors.internal_error("Heartbeat failed"), 500, "Heartbeat failed", None, "INTERNAL"),
    (errors.service_unavailable(), 503, "Service unavailable", "UPSTREAM_UNAVAILABLE", "UNAVAILABLE"),
    (errors.database_unwritable("disk_full"), 503, "Database cannot be written", None, "UNAVAILABLE"),
    (errors.outcome_unknown(), 503, "It is not known whether this was done", None, "UNAVAILABLE"),
    (
        errors.idempotency_key_too_long(),
        400,
        "Idempotency-Key must be at most 255 characters",
        None,
        "INVALID_ARGUMENT",
    ),
    (
        errors.idempotency_mismatch(),
        409,
        "Idempotency-Key was already used with a different request",
        "IDEMPOTENCY_MISMATCH",
        "ALREADY_EXISTS",
    ),
    (
        errors.idempotency_in_progress(),
        409,
        "A request with this Idempotency-Key is in progress",
        "IDEMPOTENCY_IN_PROGRESS",
        "ABORTED",
    ),
    (errors.api_key_required(), 401, "API key required", None, "UNAUTHENTICATED"),
    (errors.invalid_api_key(), 401, "Invalid API key", None, "UNAUTHENTICATED"),
    (errors.heartbeat_key_required(), 400, "api_key required", None, "INVALID_ARGUMENT"),
    (
        errors.submit_key_required(),
        401,
        "Renter API key required (x-renter-key header or renter_key query)",
        None,
        "UNAUTHENTICATED",
    ),
    (errors.submit_key_invalid(), 403, "Invalid or inactive renter API key", None, "PERMISSION_DENIED"),
    (errors.admin_access_denied(), 401, "Admin access denied", None, "UNAUTHENTICATED"),
    (errors.admin_token_not_configured(), 503, "Admin token not configured", None, "UNAVAILABLE"),
    (errors.admin_ip_not_allowed(), 403, "Access denied: IP not in allowlist", None, "PERMISSION_DENIED"),
    (
        errors.wrong_key_type("provider", "renter"),
        401,
        "Wrong key type: provider key cannot be used on renter endpoint",
        "WRONG_KEY_TYPE",
        "UNAUTHENTICATED",
    ),
    (errors.account_suspended(), 403, "Account suspended", "ACCOUNT_SUSPENDED", "PERMISSION_DENIED"),
    (errors.forbidden(), 403, "Forbidden", None, "PERMISSION_DENIED"),
    (errors.scope_missing("inference"), 403, "API key lacks scope: inference", "SCOPE_MISSING", "PERMISSION_DENIED"),
    (errors.role_missing("finance"), 403, "Operator lacks role: finance", "ROLE_MISSING", "PERMISSION_DENIED"),
    (
        errors.method_not_granted("AdminService/GetOverview"),
        403,
        "Operator token is not for: AdminService/GetOverview",
        "METHOD_NOT_GRANTED",
        "PERMISSION_DENIED",
    ),
    (errors.operator_not_found(), 404, "Operator not found", None, "NOT_FOUND"),
    (errors.operator_name_taken(), 409, "Operator name taken", None, "ALREADY_EXISTS"),
    (errors.provider_not_approved(), 403, "Provider is not approved yet", None, "PERMISSION_DENIED"),
    (errors.renter_email_taken(), 409, "A renter with this email already exists", "EMAIL_TAKEN", "ALREADY_EXISTS"),
    (
        errors.provider_key_in_use(),
        409,
        "Another daemon is connected with this provider's key",
        "KEY_IN_USE",
        "ALREADY_EXISTS",
    ),
    (
        errors.provider_email_taken(),
        409,
        "A provider with this email already exists",
        "EMAIL_TAKEN",
        "ALREADY_EXISTS",
    ),
    (errors.renter_not_found(), 404, "Renter not found", None, "NOT_FOUND"),
    (errors.provider_not_found(), 404, "Provider not found", None, "NOT_FOUND"),
    (errors.key_not_found(), 404, "Key not found", None, "NOT_FOUND"),
    (errors.key_limit_reached(), 409, "Key limit reached", None, "ABORTED"),
    (errors.webhook_url_not_public(), 400, "webhook_url must be a public https URL", None, "INVALID_ARGUMENT"),
    (errors.deletion_not_confirmed(), 400, "confirm must be DELETE_MY_ACCOUNT", None, "INVALID_ARGUMENT"),
    (errors.gpu_profile_reported(), 409, "GPU profile is reported by the daemon", None, "ABORTED"),
    (errors.gpu_status_not_object(), 400, "gpu_status must be an object", None, "INVALID_ARGUMENT"),
    (errors.gpu_info_not_object(), 400, "gpu_info must be an object", None, "INVALID_ARGUMENT"),
    (errors.rejection_reason_required(), 400, "Rejection reason is required", None, "INVALID_ARGUMENT"),
    (errors.provider_not_pending(), 409, "Provider is not pending approval", None, "ABORTED"),
    (errors.balance_limit_exceeded(), 400, "Balance limit exceeded", None, "INVALID_ARGUMENT"),
    (errors.balance_below_zero(), 400, "Balance cannot go below 0", None, "INVALID_ARGUMENT"),
    (errors.reason_required(), 400, "reason is required", None, "INVALID_ARGUMENT"),
    (errors.top_up_disabled(), 403, "Direct top-up is disabled", "TOPUP_DISABLED", "PERMISSION_DENIED"),
    (errors.withdrawal_below_minimum(1000), 400, "Minimum withdrawal is 1000 halala", None, "INVALID_ARGUMENT"),
    (errors.invalid_iban(), 400, "Invalid IBAN", None, "INVALID_ARGUMENT"),
    (errors.ledger_entry_not_found(), 404, "Ledger entry not found", None, "NOT_FOUND"),
    (errors.ledger_entry_not_reversible("hold"), 409, "Ledger entry cannot be reversed", None, "ABORTED"),
    (errors.ledger_entry_reversed(7), 409, "Ledger entry is already reversed", None, "ABORTED"),
    (errors.withdrawal_pending(), 409, "A withdrawal is already pending", None, "ABORTED"),
    (errors.withdrawal_not_found(), 404, "Withdrawal not found", None, "NOT_FOUND"),
    (errors.price_not_found(), 404, "Price not found", None, "NOT_FOUND"),
    (
        errors.invalid_gpu_type("GT710", ["H200", "H100"]),
        400,
        "Invalid gpu_requirements.gpu_type 'GT710'. Allowed values: H200, H100",
        "INVALID_GPU_TYPE",
        "INVALID_ARGUMENT",
    ),
    (
        errors.weak_notebook_token(),
        400,
        "NOTEBOOK_TOKEN must be a unique, non-default value",
        "WEAK_NOTEBOOK_TOKEN",
        "INVALID_ARGUMENT",
    ),
    (errors.raw_task_spec(), 400, "Raw Python task_spec is not allowed", None, "INVALID_ARGUMENT"),
    (errors.image_type_required(), 400, "container_spec.image_type is required", None, "INVALID_ARGUMENT"),
    (
        errors.image_not_approved("params.image_override"),
        400,
        "params.image_override is not approved",
        "IMAGE_NOT_APPROVED",
        "INVALID_ARGUMENT",
    ),
    (
        errors.model_not_served("other/Model-7B"),
        400,
        "Provider does not serve model 'other/Model-7B'",
        "MODEL_NOT_SERVED",
        "INVALID_ARGUMENT",
    ),
    (errors.job_not_found(), 404, "Job not found", None, "NOT_FOUND"),
    (errors.cannot_cancel("failed"), 400, "Cannot cancel job with status: failed", None, "INVALID_ARGUMENT"),
    (errors.job_not_settled(), 409, "Job is not settled", None, "ABORTED"),
    (errors.result_or_error_required(), 400, "result or error is required", None, "INVALID_ARGUMENT"),
    (
        errors.invalid_reported_duration(180),
        400,
        "duration_seconds must be a finite number between 0 and 180",
        None,
        "INVALID_ARGUMENT",
    ),
    (errors.endpoint_not_serving(), 409, "Job is not a running vllm_serve job", None, "ABORTED"),
    (errors.output_format_unavailable("webp"), 400, "Output is not available as webp", None, "INVALID_ARGUMENT"),
]


@pytest.mark.parametrize(("error", "status", "text", "code", "grpc"), CASES, ids=lambda value: str(value)[:40])
def test_literal_texts(error: ApiError, status: int, text: str, code: str | None, grpc: str) -> None:
    assert (error.status, error.message, error.code, error.grpc) == (status, text, code, grpc)
    assert str(error) == error.body()["error"] == text


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (
            errors.zero_balance(45),
            402,
            {
                "error": "Balance is zero. Please top up your renter wallet before submitting jobs.",
                "code": "ZERO_BALANCE",
                "balance_halala": 0,
                "required_halala": 45,
            },
        ),
        (
            errors.insufficient_balance(44, 45),
            402,
            {
                "error": "Insufficient balance",
                "code": "INSUFFICIENT_BALANCE",
                "balance_halala": 44,
                "required_halala": 45,
                "shortfall_halala": 1,
            },
        ),
        (
            errors.daily_quota_exceeded(100, 100, 60),
            429,
            {
                "error": "Daily job submission quota exceeded",
                "code": "QUOTA_DAILY",
                "daily_jobs_limit": 100,
                "submitted_today": 100,
                "retryAfterSeconds": 60,
                "retryAfterMs": 60_000,
            },
        ),
        (
            errors.monthly_quota_exceeded(10_000, 0, 10_020, 60),
            429,
            {
                "error": "Monthly spend quota exceeded",
                "code": "QUOTA_MONTHLY",
                "monthly_spend_limit_halala": 10_000,
                "spent_this_month_halala": 0,
                "requested_halala": 10_020,
                "retryAfterSeconds": 60,
                "retryAfterMs": 60_000,
            },
        ),
        (
            errors.key_budget_exceeded(100, 90, 45, 60),
            429,
            {
                "error": "Monthly budget of this key exceeded",
                "code": "KEY_BUDGET",
                "monthly_budget_halala": 100,
                "spent_this_month_halala": 90,
                "requested_halala": 45,
                "retryAfterSeconds": 60,
                "retryAfterMs": 60_000,
            },
        ),
        (
            errors.insufficient_earnings(469, 1000),
            400,
            {
                "error": "Insufficient available earnings",
                "code": "INVALID_ARGUMENT",
                "available_halala": 469,
                "requested_halala": 1000,
            },
        ),
        (
            errors.illegal_withdrawal_transition("paid", "processing"),
            409,
            {"error": "Cannot change withdrawal from paid to processing", "code": "ABORTED", "current_status": "paid"},
        ),
        (
            errors.provider_not_online("paused"),
            400,
            {"error": "Provider is not online", "code": "INVALID_ARGUMENT", "provider_status": "paused"},
        ),
        (
            errors.provider_lacks_vram(80, 24),
            400,
            {
                "error": "Provider does not meet GPU requirements",
                "code": "INVALID_ARGUMENT",
                "required_vram_gb": 80,
                "provider_vram_gb": 24,
            },
        ),
        (
            errors.provider_lacks_gpu_type("H100", None),
            400,
            {
                "error": "Provider does not meet GPU requirements",
                "code": "INVALID_ARGUMENT",
                "required_gpu_type": "H100",
                "provider_gpu_model": None,
            },
        ),
        (
            errors.cannot_complete("queued"),
            400,
            {"error": "Job is not running", "code": "INVALID_ARGUMENT", "current_status": "queued"},
        ),
        (
            errors.job_not_running("queued"),
            409,
            {"error": "Job is not running", "code": "ABORTED", "current_status": "queued"},
        ),
        (
            errors.only_failed_retried("cancelled"),
            400,
            {"error": "Only failed jobs can be retried", "code": "INVALID_ARGUMENT", "current_status": "cancelled"},
        ),
        (
            errors.attempt_superseded(2),
            409,
            {"error": "Attempt superseded", "code": "LEASE_SUPERSEDED", "attempt_number": 2},
        ),
        (
            errors.job_already_settled("completed", "job-1-abcdef"),
            409,
            {
                "error": "Job already settled",
                "code": "JOB_SETTLED",
                "current_status": "completed",
                "job_id": "job-1-abcdef",
            },
        ),
    ],
)
def test_bodies_with_context(error: ApiError, status: int, body: dict[str, object]) -> None:
    assert error.status == status
    assert json.dumps(error.body()) == json.dumps(body), "the keys come in documented order"


def test_fields_come_between_code_and_context() -> None:
    error = errors.validation_failed([FieldViolation("container_spec.gpu_count", "must be positive")])
    assert list(error.body()) == ["error", "code", "fields"]
    assert error.body()["fields"] == [{"field": "container_spec.gpu_count", "message": "must be positive"}]


def test_the_catalogue_is_whole() -> None:
    constructors = {name for name in errors.__all__ if inspect.isfunction(getattr(errors, name))}
    assert constructors == set(errors.__all__) - {"ApiError", "FieldViolation", "GRPC_CODES"}
    assert all(inspect.getdoc(getattr(errors, name)) for name in constructors)


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (errors.authentication_required(), "authentication_required", False),
        (errors.authentication_invalid_key(), "authentication_invalid_key", False),
        (errors.authentication_key_expired(), "authentication_key_expired", False),
        (errors.wrong_key_type("provider", "renter"), "wrong_key_type", False),
        (errors.zero_balance(5), "billing_insufficient_balance", False),
        (errors.insufficient_balance(1, 5), "billing_insufficient_balance", False),
        (errors.scope_missing("inference"), "authentication_scope_missing", False),
        (errors.account_suspended(), "account_suspended", False),
        (errors.model_not_found("a/b"), "model_not_found", False),
        (errors.job_not_found(), "not_found", False),
        (errors.rate_limit_exceeded(7), "rate_limit_exceeded", True),
        (errors.monthly_quota_exceeded(9, 9, 1, 60), "quota_exceeded", True),
        (errors.model_not_offered("a/b"), "model_not_served", True),
        (errors.no_capacity_available("a/b"), "no_capacity_available", True),
        (errors.provider_unavailable("It left"), "provider_unavailable", True),
        (errors.service_unavailable(), "provider_unavailable", True),
        (errors.completion_timeout(), "upstream_timeout", True),
        (errors.malformed_json(), "invalid_request_error", False),
        (errors.missing_fields(["model"]), "invalid_request_error", False),
        (errors.request_body_too_large(), "invalid_request_error", False),
        (errors.internal_error(), "internal_error", False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_openai_envelope(error: ApiError, code: str, retryable: bool) -> None:
    wait = error.retry_after_seconds
    waits = {} if wait is None else {"retry_after_seconds": wait, "retry_after_ms": wait * 1000}
    detail = {"message": error.message, "type": code, "code": code, "status": error.status, "retryable": retryable}
    assert errors.openai_envelope(error) == {"error": {**detail, **waits}}


def test_the_openai_envelope_names_the_fields_at_fault() -> None:
    error = errors.validation_failed([FieldViolation("n", "must be 1"), FieldViolation("model", "must be a string")])
    body = errors.openai_envelope(error)["error"]
    assert isinstance(body, dict)
    assert body["message"] == "Validation failed: n must be 1; model must be a string"

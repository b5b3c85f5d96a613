"""The machine-readable names of refusals, which clients match on; none is ever renamed or given another meaning."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """The `code` of an error body; each is a value of the proto enum `ErrorReason`, which says what it means.

    Refusals without one have the name of their gRPC status in its place.
    """

    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    EMAIL_TAKEN = "EMAIL_TAKEN"
    IDEMPOTENCY_IN_PROGRESS = "IDEMPOTENCY_IN_PROGRESS"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    IMAGE_NOT_APPROVED = "IMAGE_NOT_APPROVED"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    INVALID_ENUM = "INVALID_ENUM"
    INVALID_GPU_TYPE = "INVALID_GPU_TYPE"
    JOB_SETTLED = "JOB_SETTLED"
    KEY_BUDGET = "KEY_BUDGET"
    KEY_IN_USE = "KEY_IN_USE"
    LEASE_SUPERSEDED = "LEASE_SUPERSEDED"
    MALFORMED_JSON = "MALFORMED_JSON"
    METHOD_NOT_GRANTED = "METHOD_NOT_GRANTED"
    MISSING_FIELDS = "MISSING_FIELDS"
    MODEL_NOT_SERVED = "MODEL_NOT_SERVED"
    QUOTA_DAILY = "QUOTA_DAILY"
    QUOTA_MONTHLY = "QUOTA_MONTHLY"
    ROLE_MISSING = "ROLE_MISSING"
    SCOPE_MISSING = "SCOPE_MISSING"
    TOPUP_DISABLED = "TOPUP_DISABLED"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    WEAK_NOTEBOOK_TOKEN = "WEAK_NOTEBOOK_TOKEN"  # noqa: S105 - the name of a refusal
    WRONG_KEY_TYPE = "WRONG_KEY_TYPE"
    ZERO_BALANCE = "ZERO_BALANCE"


class OpenAICode(StrEnum):
    """The `code` and `type` of an error under /v1, in the lower case that clients of that dialect expect."""

    ACCOUNT_SUSPENDED = "account_suspended"
    AUTHENTICATION_INVALID_KEY = "authentication_invalid_key"
    AUTHENTICATION_KEY_EXPIRED = "authentication_key_expired"
    AUTHENTICATION_REQUIRED = "authentication_required"
    AUTHENTICATION_SCOPE_MISSING = "authentication_scope_missing"
    BILLING_INSUFFICIENT_BALANCE = "billing_insufficient_balance"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    INTERNAL_ERROR = "internal_error"
    INVALID_REQUEST_ERROR = "invalid_request_error"
    MODEL_NOT_FOUND = "model_not_found"
    MODEL_NOT_SERVED = "model_not_served"
    NO_CAPACITY_AVAILABLE = "no_capacity_available"
    NOT_FOUND = "not_found"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    QUOTA_EXCEEDED = "quota_exceeded"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    WRONG_KEY_TYPE = "wrong_key_type"

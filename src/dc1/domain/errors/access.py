"""Errors of credentials and rights."""

from dc1.domain.errors.base import ApiError
from dc1.domain.errors.codes import ErrorCode


def api_key_required() -> ApiError:
    """Say that no carrier holds a credential."""
    return ApiError(401, "API key required")


def invalid_api_key() -> ApiError:
    """Say that the credential is unknown, expired, revoked or rotated away."""
    return ApiError(401, "Invalid API key")


def heartbeat_key_required() -> ApiError:
    """Say that a heartbeat came without a key in any carrier."""
    return ApiError(400, "api_key required")


def submit_key_required() -> ApiError:
    """Say that a submission came without a renter key."""
    return ApiError(401, "Renter API key required (x-renter-key header or renter_key query)")


def submit_key_invalid() -> ApiError:
    """Say that a submission came with a bad renter key, or with the key of a suspended renter."""
    # 403 where every other route says 401, as the contract has it for submissions.
    return ApiError(403, "Invalid or inactive renter API key")


def admin_access_denied() -> ApiError:
    """Say that the admin token is missing or wrong."""
    # One text for both, which does not tell a guesser how near it is.
    return ApiError(401, "Admin access denied")


def admin_token_not_configured() -> ApiError:
    """Say that the server has no admin token, so no admin call can be let in."""
    return ApiError(503, "Admin token not configured")


def admin_ip_not_allowed() -> ApiError:
    """Say that the caller's address is not on the admin allowlist."""
    return ApiError(403, "Access denied: IP not in allowlist")


def wrong_key_type(presented: str, expected: str) -> ApiError:
    """Say that a key of the other role was presented; both arguments are `renter` or `provider`."""
    text = f"Wrong key type: {presented} key cannot be used on {expected} endpoint"
    return ApiError(401, text, ErrorCode.WRONG_KEY_TYPE)


def account_suspended() -> ApiError:
    """Say that the renter's account is suspended."""
    return ApiError(403, "Account suspended", ErrorCode.ACCOUNT_SUSPENDED)


def forbidden() -> ApiError:
    """Say that a good credential gives no right to the object."""
    return ApiError(403, "Forbidden")


def scope_missing(scope: str) -> ApiError:
    """Say that a scoped key lacks the scope that the route needs."""
    return ApiError(403, f"API key lacks scope: {scope}", ErrorCode.SCOPE_MISSING)


def role_missing(role: str) -> ApiError:
    """Say that an operator is less than the route needs."""
    return ApiError(403, f"Operator lacks role: {role}", ErrorCode.ROLE_MISSING)


def method_not_granted(method: str) -> ApiError:
    """Say that an operator's token is for other methods than this, `Service/Method`."""
    return ApiError(403, f"Operator token is not for: {method}", ErrorCode.METHOD_NOT_GRANTED)


def operator_not_found() -> ApiError:
    """Say that there is no operator of that id, or none whose token could be replaced."""
    return ApiError(404, "Operator not found")


def operator_name_taken() -> ApiError:
    """Say that another operator has the name, whose token is not revoked."""
    return ApiError(409, "Operator name taken", grpc="ALREADY_EXISTS")


def provider_not_approved() -> ApiError:
    """Say that the provider's approval is pending or was rejected."""
    return ApiError(403, "Provider is not approved yet")

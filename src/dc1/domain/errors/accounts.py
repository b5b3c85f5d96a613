"""Errors of renter and provider accounts, their keys and their profiles."""

from dc1.domain.errors.base import ApiError
from dc1.domain.errors.codes import ErrorCode


def renter_email_taken() -> ApiError:
    """Say that a renter account has this address already, whatever its state."""
    # Deleted accounts count, until their data is erased.
    return ApiError(409, "A renter with this email already exists", ErrorCode.EMAIL_TAKEN, grpc="ALREADY_EXISTS")


def provider_email_taken() -> ApiError:
    """Say that a provider account has this address already, whatever its state."""
    return ApiError(409, "A provider with this email already exists", ErrorCode.EMAIL_TAKEN, grpc="ALREADY_EXISTS")


def renter_not_found() -> ApiError:
    """Say that no renter has this id."""
    return ApiError(404, "Renter not found")


def provider_not_found() -> ApiError:
    """Say that no provider has this id, or it was deleted."""
    return ApiError(404, "Provider not found")


def key_not_found() -> ApiError:
    """Say that the renter has no scoped key with this id."""
    return ApiError(404, "Key not found")


def machine_limit_reached(most: int) -> ApiError:
    """Say that an owner's account has as many machines as one may have."""
    return ApiError(409, f"An account has at most {most} machines")


def first_machine_stays() -> ApiError:
    """Say that the machine that an account began with goes with the account only."""
    return ApiError(409, "The first machine is removed with the account")


def machine_not_found() -> ApiError:
    """Say that the caller's account has no such machine."""
    return ApiError(404, "Machine not found")


def key_limit_reached() -> ApiError:
    """Say that the renter has as many live scoped keys as are allowed."""
    return ApiError(409, "Key limit reached")


def webhook_url_not_public() -> ApiError:
    """Say that the webhook address is not https, or its host is not public."""
    return ApiError(400, "webhook_url must be a public https URL")


def webhooks_not_configured() -> ApiError:
    """Say that the server has no key to keep webhook secrets with."""
    return ApiError(503, "Webhooks are not configured")


def channel_not_found() -> ApiError:
    """Say that the account is not told anywhere by that id."""
    return ApiError(404, "Channel not found")


def channel_limit_reached(most: int) -> ApiError:
    """Say that the account is told in as many places as one may be."""
    return ApiError(409, f"An account has at most {most} channels")


def channel_not_confirmed() -> ApiError:
    """Say that nothing is sent to an address whose reader has not confirmed it."""
    return ApiError(409, "Channel is not confirmed")


def wrong_code() -> ApiError:
    """Say that another code was mailed."""
    return ApiError(400, "This is not the code that was mailed")


def code_used_up() -> ApiError:
    """Say that a code is too old, or was guessed too often, to confirm anything."""
    return ApiError(409, "The code is no longer valid: remove the channel and add it again")


def delivery_not_found() -> ApiError:
    """Say that nothing with this id was sent to the renter, or not lately."""
    return ApiError(404, "Delivery not found")


def delivery_pending() -> ApiError:
    """Say that a delivery is still tried, so there is nothing to send again."""
    return ApiError(409, "Delivery is still pending")


def webhook_url_missing() -> ApiError:
    """Say that the renter has no address to which anything could be sent."""
    return ApiError(409, "No webhook_url is set")


def deletion_not_confirmed() -> ApiError:
    """Say that the account is deleted only when the phrase is spelled out."""
    return ApiError(400, "confirm must be DELETE_MY_ACCOUNT")


def gpu_profile_reported() -> ApiError:
    """Say that a daemon has reported the GPU, so the profile is no longer written by hand."""
    return ApiError(409, "GPU profile is reported by the daemon")


def gpu_status_not_object() -> ApiError:
    """Say that `gpu_status` is neither an object nor a string."""
    return ApiError(400, "gpu_status must be an object")


def gpu_info_not_object() -> ApiError:
    """Say that `gpu_info` is not an object."""
    return ApiError(400, "gpu_info must be an object")


def provider_key_in_use() -> ApiError:
    """Say that another daemon, which lives, holds the stream that this key opens."""
    return ApiError(
        409, "Another daemon is connected with this provider's key", ErrorCode.KEY_IN_USE, grpc="ALREADY_EXISTS"
    )


def rejection_reason_required() -> ApiError:
    """Say that a provider is rejected only with a reason."""
    return ApiError(400, "Rejection reason is required")


def provider_not_pending() -> ApiError:
    """Say that the approval of this provider was decided before."""
    return ApiError(409, "Provider is not pending approval")


def probe_impossible() -> ApiError:
    """Say that a machine cannot be measured now."""
    return ApiError(
        409, "The machine cannot be probed now: it is not connected, at work, or its daemon answers no probes"
    )

"""Errors of wallets, quotas, earnings and withdrawals; every amount is in halala."""

from dc1.domain.errors.base import ApiError
from dc1.domain.errors.codes import ErrorCode


def balance_limit_exceeded() -> ApiError:
    """Say that a credit would lift a wallet over its limit."""
    return ApiError(400, "Balance limit exceeded")


def balance_below_zero() -> ApiError:
    """Say that an adjustment would take more than the wallet holds."""
    return ApiError(400, "Balance cannot go below 0")


def reason_required() -> ApiError:
    """Say that an admin's credit needs a reason."""
    return ApiError(400, "reason is required")


def top_up_disabled() -> ApiError:
    """Say that direct top-up is switched off on this deployment."""
    return ApiError(403, "Direct top-up is disabled", ErrorCode.TOPUP_DISABLED)


def zero_balance(required_halala: int) -> ApiError:
    """Say that the wallet is empty and the job costs `required_halala`."""
    return ApiError(
        402,
        "Balance is zero. Please top up your renter wallet before submitting jobs.",
        ErrorCode.ZERO_BALANCE,
        context={"balance_halala": 0, "required_halala": required_halala},
    )


def insufficient_balance(balance_halala: int, required_halala: int) -> ApiError:
    """Say that the wallet holds less than the job costs."""
    return ApiError(
        402,
        "Insufficient balance",
        ErrorCode.INSUFFICIENT_BALANCE,
        context={
            "balance_halala": balance_halala,
            "required_halala": required_halala,
            "shortfall_halala": required_halala - balance_halala,
        },
    )


def daily_quota_exceeded(limit: int, submitted_today: int, retry_after_seconds: int) -> ApiError:
    """Say that the renter submitted as many jobs as a UTC day allows; the day ends in `retry_after_seconds`."""
    return ApiError(
        429,
        "Daily job submission quota exceeded",
        ErrorCode.QUOTA_DAILY,
        context={"daily_jobs_limit": limit, "submitted_today": submitted_today},
        retry_after_seconds=retry_after_seconds,
    )


def monthly_quota_exceeded(
    limit_halala: int, spent_halala: int, requested_halala: int, retry_after_seconds: int
) -> ApiError:
    """Say that the job would pass the spend of a UTC month, which ends in `retry_after_seconds`."""
    return ApiError(
        429,
        "Monthly spend quota exceeded",
        ErrorCode.QUOTA_MONTHLY,
        context={
            "monthly_spend_limit_halala": limit_halala,
            "spent_this_month_halala": spent_halala,
            "requested_halala": requested_halala,
        },
        retry_after_seconds=retry_after_seconds,
    )


def key_budget_exceeded(
    budget_halala: int, spent_halala: int, requested_halala: int, retry_after_seconds: int
) -> ApiError:
    """Say that the job would pass what its scoped key may spend in a UTC month, which ends in `retry_after_seconds`."""
    return ApiError(
        429,
        "Monthly budget of this key exceeded",
        ErrorCode.KEY_BUDGET,
        context={
            "monthly_budget_halala": budget_halala,
            "spent_this_month_halala": spent_halala,
            "requested_halala": requested_halala,
        },
        retry_after_seconds=retry_after_seconds,
    )


def withdrawal_below_minimum(minimum_halala: int) -> ApiError:
    """Say that the amount is less than the smallest withdrawal."""
    return ApiError(400, f"Minimum withdrawal is {minimum_halala} halala")


def invalid_iban() -> ApiError:
    """Say that the account number is not a Saudi IBAN."""
    return ApiError(400, "Invalid IBAN")


def withdrawal_pending() -> ApiError:
    """Say that the provider has a withdrawal that is still open."""
    return ApiError(409, "A withdrawal is already pending")


def insufficient_earnings(available_halala: int, requested_halala: int) -> ApiError:
    """Say that the provider has earned less than the withdrawal asks for."""
    return ApiError(
        400,
        "Insufficient available earnings",
        context={"available_halala": available_halala, "requested_halala": requested_halala},
    )


def withdrawal_not_found() -> ApiError:
    """Say that no withdrawal has this id."""
    return ApiError(404, "Withdrawal not found")


def illegal_withdrawal_transition(current: str, requested: str) -> ApiError:
    """Say that a withdrawal cannot move from status `current` to `requested`."""
    return ApiError(409, f"Cannot change withdrawal from {current} to {requested}", context={"current_status": current})


def ledger_entry_not_found() -> ApiError:
    """Say that no ledger entry has this id."""
    return ApiError(404, "Ledger entry not found")


def ledger_entry_not_reversible(kind: str) -> ApiError:
    """Say that an entry of this kind is part of a job's bill, of a withdrawal or a correction, and stands with it."""
    return ApiError(409, "Ledger entry cannot be reversed", context={"kind": kind})


def ledger_entry_reversed(reversed_by: int) -> ApiError:
    """Say that the entry was reversed before, by the entry `reversed_by`."""
    return ApiError(409, "Ledger entry is already reversed", context={"reversed_by": reversed_by})


def nothing_charged(status: str) -> ApiError:
    """Say that a job in this status cost nothing that could be given back."""
    return ApiError(409, "The job has no charge to give back", context={"status": status})


def charge_returned(returned_by: int) -> ApiError:
    """Say that the ledger's entry `returned_by` gave the charge back before."""
    return ApiError(409, "The charge is given back already", context={"returned_by": returned_by})


def price_not_found() -> ApiError:
    """Say that no price is kept for this job type."""
    return ApiError(404, "Price not found")

"""The kinds of accounts and of movements that the double-entry ledger knows."""

from enum import StrEnum


class AccountKind(StrEnum):
    """What an account is for; the first two belong to renters, the next two to providers, the rest to the market."""

    WALLET = "wallet"
    HOLD = "hold"
    PAYABLE = "payable"
    PAYOUT = "payout"
    PLATFORM = "platform"
    PROMO = "promo"
    EXTERNAL = "external"
    ADJUSTMENT = "adjustment"


class MovementKind(StrEnum):
    """Why money moves."""

    STARTER_CREDIT = "starter_credit"
    TOPUP = "topup"
    ADMIN_CREDIT = "admin_credit"
    ADMIN_ADJUSTMENT = "admin_adjustment"
    HOLD = "hold"
    CHARGE_PROVIDER = "charge_provider"
    CHARGE_PLATFORM = "charge_platform"
    REFUND = "refund"
    WITHDRAWAL = "withdrawal"
    PAYOUT_PAID = "payout_paid"
    PAYOUT_RETURNED = "payout_returned"
    REVERSAL = "reversal"

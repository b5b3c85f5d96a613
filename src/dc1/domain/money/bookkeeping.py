"""The kinds of accounts and of movements that the double-entry ledger knows."""

from enum import StrEnum


class AccountKind(StrEnum):
    """What an account is for; the first two belong to renters, the next three to providers, the rest to the market."""

    WALLET = "wallet"
    HOLD = "hold"
    PAYABLE = "payable"
    PROMO_EARNINGS = "promo_earnings"
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
    ADMIN_PAYMENT = "admin_payment"
    ADMIN_ADJUSTMENT = "admin_adjustment"
    HOLD = "hold"
    CHARGE_PROVIDER = "charge_provider"
    CHARGE_PROVIDER_PROMO = "charge_provider_promo"
    CHARGE_PLATFORM = "charge_platform"
    ADVANCE = "advance"
    ADVANCE_PROMO = "advance_promo"
    REFUND = "refund"
    CHARGE_RETURNED = "charge_returned"
    EARNINGS_RETURNED = "earnings_returned"
    PROMO_RELEASE = "promo_release"
    WITHDRAWAL = "withdrawal"
    PAYOUT_PAID = "payout_paid"
    PAYOUT_RETURNED = "payout_returned"
    REVERSAL = "reversal"


PAYMENTS = frozenset({MovementKind.TOPUP, MovementKind.ADMIN_PAYMENT})
"""What a renter has paid for with real money; the rest of what comes into a wallet was given."""

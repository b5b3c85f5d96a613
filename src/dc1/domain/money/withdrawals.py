"""Payouts of a provider's earnings: their states, and the accounts they go to."""

import re
import secrets
from collections.abc import Mapping
from enum import StrEnum

_IBAN = re.compile(r"SA[0-9]{22}")
_VISIBLE_DIGITS = 4


class WithdrawalStatus(StrEnum):
    """Where a withdrawal stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"
    REJECTED = "rejected"


UNDER_WAY = (WithdrawalStatus.PENDING, WithdrawalStatus.PROCESSING)
"""A provider has at most one withdrawal in these."""

RETURNED = (WithdrawalStatus.FAILED, WithdrawalStatus.REJECTED)
"""The amount went back to the provider's earnings."""

MOVES: Mapping[WithdrawalStatus, frozenset[WithdrawalStatus]] = {
    WithdrawalStatus.PENDING: frozenset({WithdrawalStatus.PROCESSING, WithdrawalStatus.PAID, *RETURNED}),
    WithdrawalStatus.PROCESSING: frozenset({WithdrawalStatus.PAID, WithdrawalStatus.FAILED}),
}
"""Every legal move; the states that are missing are final."""


def can_change_to(current: WithdrawalStatus, target: WithdrawalStatus) -> bool:
    """Tell whether a withdrawal may go from `current` to `target`."""
    return target in MOVES.get(current, frozenset())


def new_withdrawal_id() -> str:
    """Return an id such as `wreq-5f0c…`, which cannot be guessed."""
    return f"wreq-{secrets.token_hex(12)}"


def is_iban(text: str) -> bool:
    """Tell whether `text` has the form of a Saudi IBAN: `SA` and 22 digits."""
    return _IBAN.fullmatch(text) is not None


def iban_hint(iban: str) -> str:
    """Return an IBAN with all but its country and its last four digits masked."""
    hidden = len(iban) - 2 - _VISIBLE_DIGITS
    return f"{iban[:2]}{'*' * hidden}{iban[-_VISIBLE_DIGITS:]}"

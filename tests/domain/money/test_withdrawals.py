import pytest

from dc1.domain.money.withdrawals import WithdrawalStatus, can_change_to, iban_hint, is_iban, new_withdrawal_id

LEGAL = {
    ("pending", "processing"),
    ("pending", "paid"),
    ("pending", "failed"),
    ("pending", "rejected"),
    ("processing", "paid"),
    ("processing", "failed"),
}


@pytest.mark.parametrize("target", WithdrawalStatus)
@pytest.mark.parametrize("current", WithdrawalStatus)
def test_moves(current: WithdrawalStatus, target: WithdrawalStatus) -> None:
    assert can_change_to(current, target) is ((current.value, target.value) in LEGAL)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("SA0380000000608010167519", True),
        ("SA" + "0" * 22, True),
        ("SA" + "0" * 21, False),
        ("SA" + "0" * 23, False),
        ("sa" + "0" * 22, False),
        ("AE" + "0" * 22, False),
        ("SA" + "0" * 22 + "\n", False),
        (" SA" + "0" * 22, False),
        ("SA" + "٠" * 22, False),
        ("SA03 8000 0000 6080 1016 7519", False),
        ("", False),
    ],
)
def test_a_saudi_iban(text: str, good: bool) -> None:
    assert is_iban(text) is good


def test_a_hint_shows_four_digits() -> None:
    assert iban_hint("SA0380000000608010167519") == "SA******************7519"


def test_ids_differ() -> None:
    ids = {new_withdrawal_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(name.startswith("wreq-") for name in ids)

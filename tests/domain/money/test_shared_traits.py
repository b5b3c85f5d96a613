import pytest

from dc1.domain.money.shared_traits import SharedTrait, Trait, Traits, mailbox, network, shared_traits


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a.b+x@gmail.com", "ab@gmail.com", True),
        ("a.b@acme.sa", "ab@acme.sa", False),
        ("A+1@acme.sa", "a+2@acme.sa", True),
    ],
)
def test_a_mailbox_is_one_however_it_is_written(one: str, other: str, same: bool) -> None:
    assert (mailbox(one) == mailbox(other)) is same


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("unix:", None),
        ("", None),
        (None, None),
    ],
)
def test_an_ipv6_site_is_one_network(address: str | None, expected: str | None) -> None:
    assert network(address) == expected


def test_what_is_shared_is_told_with_whom() -> None:
    own = Traits("owner@acme.sa", frozenset({"203.0.113.7"}), frozenset({"SA1"}))
    renters = {
        3: Traits("renter@acme.sa"),
        2: Traits("owner+2@acme.sa", frozenset({"203.0.113.7"})),
        4: Traits("renter@other.sa"),
    }
    providers = {9: Traits("x@other.sa", ibans=frozenset({"SA1"}))}
    assert list(shared_traits(own, renters, providers)) == [
        SharedTrait(Trait.ADDRESS, (2,)),
        SharedTrait(Trait.BANK_ACCOUNT, (), (9,)),
        SharedTrait(Trait.EMAIL, (2,)),
        SharedTrait(Trait.EMAIL_HOST, (3,)),
    ]


def test_a_public_host_says_nothing() -> None:
    assert Traits("a@gmail.com").shared_with(Traits("b@gmail.com")) == []
    assert Traits("a@gmail.com", ibans=frozenset()).shared_with(Traits("b@acme.sa")) == []

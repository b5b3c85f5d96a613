import pytest

from dc1.domain.access.secret_box import SecretBox, UnreadableSecretError
from dc1.domain.access.webhooks import is_public_address, new_secret


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"],
)
def test_public_addresses(address: str) -> None:
    assert is_public_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "2001:0:a00:1::1",
        "2001:db8::1",
        "3fff::1",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "example.com",
        "",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public_address(address)


def test_secrets_are_long_and_never_the_same() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert len(new_secret()) == len("whsec_") + 64


def test_a_secret_box_gives_back_what_it_sealed_for_the_same_thing_only() -> None:
    box = SecretBox(lambda: "k" * 32)
    sealed = box.seal("whsec_0123", "renter 1")
    assert "whsec" not in sealed
    assert box.seal("whsec_0123", "renter 1") != sealed
    assert SecretBox(lambda: "k" * 32).open(sealed, "renter 1") == "whsec_0123"
    for opener, what_for, text in (
        (box, "renter 2", sealed),
        (SecretBox(lambda: "K" * 32), "renter 1", sealed),
        (box, "renter 1", sealed[:-8] + "AAAAAAA="),
        (box, "renter 1", ""),
        (box, "renter 1", "نعم"),
    ):
        with pytest.raises(UnreadableSecretError):
            opener.open(text, what_for)

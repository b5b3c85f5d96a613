"""Keys: generation, format, checksum and comparison."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole


@given(st.sampled_from(KeyRole))
def test_a_new_key_is_read_back(role: KeyRole) -> None:
    new = keys.new_key(role)
    assert keys.parse(new.key) == keys.ParsedKey(role=role, key_id=new.key_id)
    assert keys.claimed_role(new.key) is role
    assert keys.matches(new.key, new.key_hash)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", new.key)
    assert len(new.key_id) == 8


def test_keys_differ() -> None:
    made = [keys.new_key(KeyRole.RENTER) for _ in range(200)]
    assert len({new.key for new in made}) == len({new.key_id for new in made}) == 200


@given(st.integers(0, 45), st.integers(1, 61))
def test_one_wrong_character_breaks_the_checksum(position: int, distance: int) -> None:
    alphabet = string.ascii_letters + string.digits
    key = keys.new_key(KeyRole.PROVIDER).key
    place = len("dc1-provider-") + position
    other = alphabet[(alphabet.index(key[place]) + distance) % len(alphabet)]
    assert keys.parse(key[:place] + other + key[place + 1 :]) is None


@given(st.text())
def test_other_text_is_no_key(text: str) -> None:
    assert keys.parse(text) is None


def test_the_role_is_part_of_the_checksum() -> None:
    key = keys.new_key(KeyRole.RENTER).key
    assert keys.parse(key.replace("renter", "provider")) is None


@pytest.mark.parametrize(
    ("text", "role"),
    [("dc1-renter-x", "renter"), ("dc1-provider-", "provider"), ("dc1-sk-?", "sk"), ("token", None), ("dc1-", None)],
)
def test_the_prefix_claims_a_role(text: str, role: str | None) -> None:
    assert keys.claimed_role(text) == role


def test_neither_repr_nor_hint_shows_a_key() -> None:
    new = keys.new_key(KeyRole.SCOPED)
    secret = new.key.removeprefix(f"dc1-sk-{new.key_id}")
    assert secret not in repr(new)
    assert keys.hint(KeyRole.SCOPED, new.key_id) == f"dc1-sk-{new.key_id}..."


def test_comparison() -> None:
    assert not keys.matches("dc1-renter-other", keys.new_key(KeyRole.RENTER).key_hash)
    assert keys.same_secret("Überraschung", "Überraschung")
    assert not keys.same_secret("token", "token2")
    assert re.fullmatch("[0-9a-f]{12}", keys.fingerprint("token"))

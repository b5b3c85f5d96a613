"""API keys: `dc1-<role>-<key id><secret><checksum>` in base 62.

The key id finds the row, the secret carries 190 random bits, and the checksum tells a mistyped key from an unknown one
without a look-up. Only a hash is stored.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from enum import StrEnum

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH = 8
_SECRET_LENGTH = 32
# Six digits of base 62 hold the 32 bits of a CRC.
_CHECKSUM_LENGTH = 6


class KeyRole(StrEnum):
    """Whose key it is; the value is the key's second part."""

    RENTER = "renter"
    PROVIDER = "provider"
    SCOPED = "sk"
    OPERATOR = "operator"


_KEY = re.compile(
    rf"dc1-(?P<role>{'|'.join(KeyRole)})-"
    rf"(?P<key_id>[0-9A-Za-z]{{{_ID_LENGTH}}})[0-9A-Za-z]{{{_SECRET_LENGTH}}}"
    rf"(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; `key` is shown once and never stored."""

    key: str = field(repr=False)
    key_id: str
    key_hash: str


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """The public parts of a well-formed key."""

    role: KeyRole
    key_id: str


def new_key(role: KeyRole) -> NewKey:
    """Make a key from the system's secure random source."""
    key_id = _random(_ID_LENGTH)
    payload = f"dc1-{role}-{key_id}{_random(_SECRET_LENGTH)}"
    key = payload + _checksum(payload)
    return NewKey(key=key, key_id=key_id, key_hash=hash_key(key))


def parse(text: str) -> ParsedKey | None:
    """Return the parts of a well-formed key, or None when its format or its checksum is wrong."""
    match = _KEY.fullmatch(text)
    # A mistyped key is turned away without asking the database.
    if match is None or match["checksum"] != _checksum(text[:-_CHECKSUM_LENGTH]):
        return None
    return ParsedKey(role=KeyRole(match["role"]), key_id=match["key_id"])


def claimed_role(text: str) -> KeyRole | None:
    """Return the role that a key's prefix claims, whether or not the rest is a key."""
    for role in KeyRole:
        if text.startswith(f"dc1-{role}-"):
            return role
    return None


def hash_key(key: str) -> str:
    """Return the SHA-256 of a key in hex; its 190 random bits need no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()


def matches(key: str, key_hash: str) -> bool:
    """Tell in constant time whether `key_hash` is the hash of `key`."""
    return hmac.compare_digest(hash_key(key), key_hash)


def same_secret(presented: str, expected: str) -> bool:
    """Tell in constant time, whatever the lengths, whether two secrets are equal."""
    return matches(presented, hash_key(expected))


def hint(role: KeyRole, key_id: str) -> str:
    """Return the part of a key that lists may show."""
    return f"dc1-{role}-{key_id}..."


def fingerprint(secret: str) -> str:
    """Return 12 hex digits that name a secret in the audit log without revealing it."""
    return hash_key(secret)[:12]


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(payload: str) -> str:
    number = zlib.crc32(payload.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))

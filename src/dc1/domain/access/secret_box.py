"""Secrets that must be used and not only compared, kept encrypted."""

import base64
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# Bytes; the length that GCM is made for.
_NONCE_LENGTH = 12


class UnreadableSecretError(Exception):
    """A sealed secret was sealed under another key, for something else, or was tampered with."""


class SecretBox:
    """Seals short texts with AES-256-GCM. What is sealed for one thing cannot be opened for another."""

    def __init__(self, load_key: Callable[[], str]) -> None:
        """Take `load_key`, which returns the key's text, of at least 128 random bits.

        It is called when the key is first needed.
        """
        self._load_key = load_key
        self._cipher: AESGCM | None = None

    def seal(self, text: str, what_for: str) -> str:
        """Return `text` encrypted."""
        nonce = os.urandom(_NONCE_LENGTH)
        # The purpose is authenticated with the text: moved to another place it does not open.
        sealed = self._aes().encrypt(nonce, text.encode(), what_for.encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode("ascii")

    def open(self, sealed: str, what_for: str) -> str:
        """Return the text that was sealed for `what_for`.

        Raises:
            UnreadableSecretError: it was sealed under another key, for something else, or was tampered with.
        """
        try:
            raw = base64.urlsafe_b64decode(sealed)
            return self._aes().decrypt(raw[:_NONCE_LENGTH], raw[_NONCE_LENGTH:], what_for.encode()).decode()
        except (InvalidTag, ValueError):
            raise UnreadableSecretError(what_for) from None

    def _aes(self) -> AESGCM:
        if self._cipher is None:
            # The key's text may be of any length, AES-256 takes 32 bytes.
            derivation = HKDF(SHA256(), length=32, salt=None, info=b"dc1 sealed secrets")
            self._cipher = AESGCM(derivation.derive(self._load_key().encode()))
        return self._cipher

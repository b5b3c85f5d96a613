"""Where a marketplace is, and the key that one comes with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from dc1.client.errors import ConfigurationError
from dc1.client.profiles import profile_named
from dc1.secret_files import SecretFileError, cleaned, is_sendable, read_secret

DEFAULT_URL = "http://127.0.0.1:8083"
Role: TypeAlias = Literal["renter", "provider", "admin"]
_HEADERS: Mapping[Role, str] = {"renter": "x-renter-key", "provider": "x-provider-key", "admin": "x-admin-token"}
_VARIABLES: Mapping[Role, str] = {
    "renter": "DC1_RENTER_KEY",
    "provider": "DC1_PROVIDER_KEY",
    "admin": "DC1_ADMIN_TOKEN",
}
# Where each is told whose key it is, whatever else that key may do: a scoped one, or a token for a list of methods.
OWN_PAGES: Mapping[Role, str] = {"renter": "/renters/me", "provider": "/providers/me", "admin": "/admin/operators/me"}
_PREFIXES: Mapping[str, Role] = {"dc1-renter-": "renter", "dc1-sk-": "renter", "dc1-provider-": "provider"}


@dataclass(frozen=True, slots=True)
class Target:
    """A marketplace, and who calls it: nobody in particular where there is no key."""

    url: str
    key: str | None = field(default=None, repr=False)
    role: Role | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The credential as the server reads it.

        Raises:
            ConfigurationError: the key is none that can be sent.
        """
        if not self.key:
            return {}
        # Headers are ASCII, and what the HTTP library says of others does not help a person.
        if not is_sendable(self.key):
            raise ConfigurationError("The key or token has characters in it that none has; was it copied as a whole?")
        return {_HEADERS[self.role or role_of(self.key)]: self.key}


def role_of(key: str) -> Role:
    """Return whose key it is, by how it begins; the admin token is free text, and other operators' go where it does."""
    return next((role for prefix, role in _PREFIXES.items() if key.startswith(prefix)), "admin")


def find_target(
    url: str | None = None,
    key: str | None = None,
    *,
    key_file: str | Path | None = None,
    role: Role | None = None,
    profile: str | None = None,
) -> Target:
    """Return where to call and as whom.

    What is given comes first, then what the environment says (`DC1_URL`, and `DC1_RENTER_KEY` or its like and
    `DC1_…_FILE` for the role), then the profile that is named, by `DC1_PROFILE` or as the default.

    Args:
        url: the marketplace's address.
        key: the key itself.
        key_file: a file that holds it.
        role: whose key is looked for in the environment; a renter's where it is not said.
        profile: what `dc1 login` stored under that name.

    Raises:
        ConfigurationError: both `key` and `key_file` are given, or a file or a profile cannot be read.
    """
    if key and key_file:
        raise ConfigurationError("A key and a file with one are both given.")
    place = url or (None if profile else os.environ.get("DC1_URL"))
    try:
        found = cleaned(key) if key else _from_files(key_file, role or "renter", named=profile is not None)
    except SecretFileError as error:
        raise ConfigurationError(str(error)) from None
    except ValueError as fault:
        raise ConfigurationError(f"The key {fault}.") from None
    if place and found and not profile:
        # Logins that cannot be read are no matter to who needs none.
        return Target(place, found, role)
    stored = profile_named(profile or os.environ.get("DC1_PROFILE") or None, role)
    place = place or stored.url or DEFAULT_URL
    # A profile's key is for its own marketplace: another one would be told it.
    if not found and stored.key and place.rstrip("/") == (stored.url or DEFAULT_URL).rstrip("/"):
        found = stored.key
        role = role or stored.role
    return Target(place, found, role)


def _from_files(key_file: str | Path | None, role: Role, *, named: bool) -> str | None:
    if key_file:
        return read_secret(Path(key_file))
    if named:
        # Who names a profile means its key, whatever else the environment holds.
        return None
    variable = _VARIABLES[role]
    if value := os.environ.get(variable):
        return cleaned(value)
    file = os.environ.get(f"{variable}_FILE")
    return read_secret(Path(file)) if file else None

"""Profiles: marketplaces and keys that `dc1 login` remembers, in one file for its owner alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from dc1.client.errors import ConfigurationError
from dc1.os_errors import file_and_reason
from dc1.private_files import make_private_file

DEFAULT_PROFILE = "default"


@dataclass(frozen=True, slots=True)
class Profile:
    """One key of one marketplace."""

    url: str | None = None
    role: Literal["renter", "provider", "admin"] | None = None
    key: str | None = field(default=None, repr=False)


def profiles_file() -> Path:
    """Return where the profiles are: `$XDG_CONFIG_HOME/dc1/profiles.json`, in `~/.config` where that is not set.

    Raises:
        FileNotFoundError: this user has no home, as in a container that gives it a number alone.
    """
    home = os.environ.get("XDG_CONFIG_HOME")
    try:
        return (Path(home) if home else Path.home() / ".config") / "dc1" / "profiles.json"
    except RuntimeError:
        raise FileNotFoundError("There is no home directory; XDG_CONFIG_HOME can name one") from None


def read_profiles() -> dict[str, list[Profile]]:
    """Return the profiles by their names, each with a key a role.

    Raises:
        ConfigurationError: the file is there and cannot be used.
    """
    try:
        file = profiles_file()
        text = file.read_text(encoding="utf-8")
    # A system's user may have a file as its home.
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"What `dc1 login` stored cannot be read: {file_and_reason(error)}.") from None
    if file.stat().st_mode & 0o077:
        raise ConfigurationError(f"{file} holds keys and can be read by others; `chmod 600 {file}` mends that.")
    try:
        named = json.loads(text or "{}")
        return {str(name): [_profile(entry) for entry in entries] for name, entries in named.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{file} cannot be used: {error}; `dc1 login` writes it.") from None


def _profile(entry: Mapping[str, Any]) -> Profile:
    if entry.get("role") not in ("renter", "provider", "admin") or not isinstance(entry.get("key"), str):
        raise ValueError("a profile has no role or no key")
    return Profile(url=str(entry["url"]), role=cast(Any, entry["role"]), key=entry["key"])


def profile_named(name: str | None, role: str | None) -> Profile:
    """Return the key of a role under a name; an empty one where nobody named a profile and there is no default.

    Raises:
        ConfigurationError: it was named, and there is none of that name or role.
    """
    kept = read_profiles().get(name or DEFAULT_PROFILE, [])
    found = next((profile for profile in kept if role is None or profile.role == role), None)
    if found is None and name is not None:
        kind = f"a {role}'s key in the profile" if role and kept else "a profile"
        raise ConfigurationError(f"There is not {kind} {name!r}; `dc1 login {name}` makes it.")
    return found or Profile()


def keep_profile(name: str, profile: Profile) -> Path:
    """Store a key under a name, in place of that of the same role; return the file."""
    with _changing() as profiles:
        others = [one for one in profiles.get(name, []) if one.role != profile.role]
        profiles[name] = [profile, *others]
    return profiles_file()


def forget_profile(name: str) -> bool:
    """Remove a profile with all its keys; return whether there was one."""
    with _changing() as profiles:
        return profiles.pop(name, None) is not None


@contextmanager
def _changing() -> Iterator[dict[str, list[Profile]]]:
    # Here and not above: Windows has none of it, and whoever only calls a marketplace locks nothing.
    from fcntl import LOCK_EX, flock

    try:
        file = profiles_file()
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Two logins at a time must not lose one of them, and a crash in between none at all.
        with (file.parent / ".lock").open("w") as lock:
            flock(lock, LOCK_EX)
            profiles = read_profiles()
            yield profiles
            fresh = file.with_suffix(".new")
            make_private_file(fresh)
            kept = {name: [asdict(profile) for profile in entries] for name, entries in profiles.items()}
            fresh.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
            fresh.replace(file)
    except OSError as error:
        raise ConfigurationError(f"What `dc1 login` stores cannot be written: {file_and_reason(error)}.") from None

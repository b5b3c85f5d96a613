"""The operating systems a provider may register, under the names people use for them."""

from dc1.domain.errors import invalid_enum

OPERATING_SYSTEMS = ("linux", "windows", "mac")
"""Canonical names in documented order."""

_ALIASES = {
    "linux": ("linux", "ubuntu", "debian", "fedora", "centos", "rhel", "arch", "alpine", "suse", "mint", "wsl"),
    "windows": ("windows", "win", "win32", "win64"),
    "mac": ("mac", "macos", "osx", "darwin", "macosx"),
}
_CANONICAL = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


def canonical_os(sent: str) -> str:
    """Return the canonical name that `sent` means, a version after it ignored; raises `Invalid os`."""
    words = sent.strip().lower().replace("-", " ").split()
    name = _CANONICAL.get(words[0].rstrip("0123456789.")) or _CANONICAL.get(words[0]) if words else None
    if name is None:
        raise invalid_enum("os", OPERATING_SYSTEMS)
    return name

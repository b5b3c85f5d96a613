"""The names of hardware: the GPU types that a job may ask for, the operating systems that a provider may register."""

from dc1.domain.errors import invalid_enum

GPU_TYPES = ("H200", "H100", "A100", "L40S", "L40", "RTX4090", "RTX4080", "RTX3090", "RTX3080")
"""Canonical names in documented order."""

# L40S contains L40, so the longer names are tried first.
_LONGEST_FIRST = sorted(GPU_TYPES, key=len, reverse=True)


def _squashed(name: str) -> str:
    return "".join(character for character in name.upper() if character.isalnum())


def requested_gpu_type(name: str) -> str | None:
    """Return the canonical type that a request names, case and punctuation ignored, or None when it names none."""
    squashed = _squashed(name)
    return squashed if squashed in GPU_TYPES else None


def canonical_gpu_type(reported_name: str | None) -> str | None:
    """Return the longest canonical type contained in a reported name, or None when there is none.

    `NVIDIA GeForce RTX 4090` is RTX4090 and `NVIDIA L40S` is L40S, not L40.
    """
    squashed = _squashed(reported_name or "")
    return next((gpu_type for gpu_type in _LONGEST_FIRST if gpu_type in squashed), None)


OPERATING_SYSTEMS = ("linux", "windows", "mac")
"""Canonical names in documented order."""

_ALIASES = {
    "linux": ("linux", "ubuntu", "debian", "fedora", "centos", "rhel", "arch", "alpine", "suse", "mint", "wsl"),
    "windows": ("windows", "win", "win32", "win64"),
    "mac": ("mac", "macos", "osx", "darwin", "macosx"),
}
_CANONICAL = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


def canonical_os(sent: str) -> str:
    """Return the canonical name that `sent` means, a version after it ignored.

    Raises:
        invalid_enum: it means none of them.
    """
    words = sent.strip().lower().replace("-", " ").split()
    name = _CANONICAL.get(words[0].rstrip("0123456789.")) or _CANONICAL.get(words[0]) if words else None
    if name is None:
        raise invalid_enum("os", OPERATING_SYSTEMS)
    return name

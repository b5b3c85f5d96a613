"""The names of hardware: the GPU models of the market, and the operating systems that a provider may register."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache

from dc1.domain.errors import invalid_enum

GPU_MODELS = (
    "H200",
    "H100",
    "A100 80 GB",
    "A100 40 GB",
    "L40S",
    "L40",
    "RTX 4090",
    "RTX 4080",
    "RTX 3090",
    "RTX 3080",
    "B200",
    "RTX 5090",
    "A6000",
    "L4",
    "V100",
    "T4",
    "RTX 3060",
)
"""Canonical names of the models that are known by name; what the market has besides goes by what daemons report."""

CPU = "CPU"
"""What a machine without a GPU is called where GPU models are listed."""

_A100 = "A100"
_A100_80, _A100_40 = "A100 80 GB", "A100 40 GB"
# Halfway between the two, for drivers report somewhat less than is printed on the card.
_LARGE_A100_MIB = 60 * 1024


def squashed(name: str) -> str:
    """Return a name without its case and punctuation, by which types are compared."""
    return "".join(character for character in name.upper() if character.isalnum())


# Those of the first market first, in the order in which its clients read them in refusals. An order for `A100` takes
# either size, so it is a type without being one machine's.
_FIRST_TYPES = ("H200", "H100", _A100, "L40S", "L40", "RTX4090", "RTX4080", "RTX3090", "RTX3080")
GPU_TYPES = (*_FIRST_TYPES, *(squashed(name) for name in GPU_MODELS if squashed(name) not in _FIRST_TYPES))
"""What an order may name of the known models."""

_FAMILIES: Mapping[str, str] = {squashed(_A100_80): _A100, squashed(_A100_40): _A100}


def _pattern(name: str) -> re.Pattern[str]:
    # By whole words and not by what is contained: GT 430 holds "T4", GB200 holds "B200" and L40 holds "L4". What
    # follows a number may be a letter, as in `RTX 4090D`, and no other digit but those of an A100's size.
    words = re.findall(r"[A-Z]+|\d+", name)
    return re.compile(r"(?<![A-Z0-9])" + r"[^A-Z0-9]*".join(words) + r"(?=[48]0GB|\D|$)")


# L40S contains L40, so the longer names are tried first.
_PATTERNS = [
    (name, _pattern(name))
    for name in sorted((*(name for name in GPU_MODELS if not name.startswith(_A100)), _A100), key=len, reverse=True)
]
# A slice of a card is not the card: what a MIG instance (`1g.10gb`) or a vGPU (`L40S-12Q`, `A100-1-5CME`) has and does
# is its own, whatever the card's name in front of it.
_SLICE = re.compile(r"\bMIG\b|\b\dG\.\d+GB\b|-(?:\d+-)?\d+[ABCQ](?:ME)?$")
_MAKERS = re.compile(r"^(?:(?:NVIDIA|AMD|INTEL|GEFORCE|TESLA|QUADRO|CORPORATION)\b(?:\(R\))?[\s_-]*)+", re.IGNORECASE)


@lru_cache(maxsize=4096)
def gpu_name(reported: str | None, vram_mib: int | None = None) -> str | None:
    """Return the canonical name of a GPU, None of none; of an unknown model what was reported without its maker.

    `NVIDIA GeForce RTX 4090` is RTX 4090. An A100 is told by its VRAM, where that is known, else by its name.
    """
    words = " ".join((reported or "").split())
    upper = words.upper()
    found = None if _SLICE.search(upper) else next((name for name, own in _PATTERNS if own.search(upper)), None)
    if found != _A100:
        return found or _MAKERS.sub("", words) or words or None
    if vram_mib is not None:
        return _A100_80 if vram_mib >= _LARGE_A100_MIB else _A100_40
    size = re.search(r"(80|40)[\s-]*GB", upper)
    return _A100 if size is None else _A100_80 if size[1] == "80" else _A100_40


@lru_cache(maxsize=4096)
def canonical_gpu_type(reported: str | None, vram_mib: int | None = None) -> str | None:
    """Return the type that placement compares: the canonical name without spaces, in upper case."""
    return squashed(gpu_name(reported, vram_mib) or "") or None


def requested_gpu_type(name: str, seen: Collection[str] = ()) -> str | None:
    """Return the type that a request names, however it spells it, or None when the market knows no such type.

    `seen` are the types of machines that the market has, beside the models known by name.
    """
    wanted = squashed(name)
    if wanted in GPU_TYPES or wanted in seen:
        return wanted
    named = canonical_gpu_type(name)
    return named if named in GPU_TYPES or named in seen else None


def is_of_gpu_type(machine_type: str | None, wanted: str) -> bool:
    """Tell whether a machine's type is the wanted one; either A100 is an A100."""
    return machine_type == wanted or _FAMILIES.get(machine_type or "") == wanted


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

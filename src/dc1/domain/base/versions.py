"""Comparison of daemon versions."""

import re
from dataclasses import dataclass
from functools import lru_cache

_DOTTED = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})*")


@dataclass(frozen=True, slots=True)
class VersionCheck:
    """What a daemon is told about its version."""

    needs_update: bool
    update_available: bool


def plain_version(text: str) -> str:
    """Return a version without a leading `v` and without anything from the first `-` or `+`."""
    return re.split(r"[-+]", text.strip(), maxsplit=1)[0].removeprefix("v")


# A look at a fleet compares each machine's, which are few.
@lru_cache(maxsize=256)
def _parse(text: str | None) -> tuple[int, ...] | None:
    """Return the parts of a dotted version without trailing zeros, or None when it is absent or unreadable.

    A leading `v` and anything from the first `-` or `+` is dropped.
    """
    core = plain_version(text or "")
    if _DOTTED.fullmatch(core) is None:
        return None
    parts = [int(part) for part in core.split(".")]
    # 3.3 and 3.3.0 are one version.
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def is_older(version: str | None, reference: str) -> bool:
    """Tell whether `version` is older than `reference`; an absent or unreadable one is older than all."""
    parsed = _parse(version)
    return parsed is None or parsed < (_parse(reference) or ())


def check_version(version: str | None, *, latest: str, minimum: str) -> VersionCheck:
    """Compare the version of a heartbeat with the market's latest and minimum."""
    return VersionCheck(needs_update=is_older(version, minimum), update_available=is_older(version, latest))

"""Paths of Unix sockets, which the kernel keeps in a field of fixed length."""

import os
import sys
from pathlib import Path

LONGEST = 107 if sys.platform == "linux" else 103
"""Bytes that the kernel takes of the path of a Unix socket."""


def numbered(path: Path, number: int) -> Path:
    """Return where one of several servers listens that share a machine, beside where a single one would."""
    return path.with_stem(f"{path.stem}-{number}")


def all_numbered(path: Path) -> list[Path]:
    """Return the sockets of several servers that were ever there."""
    return sorted(path.parent.glob(f"{path.stem}-[0-9]*{path.suffix}"))


def length_obstacle(path: Path, setting: str) -> str:
    """Return why a socket cannot lie there and which setting moves it; nothing when its path is short enough.

    Asked before gRPC and Envoy are given the path, which would not say what is wrong with it.
    """
    length = len(os.fsencode(path))
    if length <= LONGEST:
        return ""
    return f"The socket {path} has a path of {length} bytes, and a socket may have {LONGEST}: set {setting} to a shorter one."

"""Secrets in files: options are seen in the list of processes, and variables by whoever may look at the process."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dc1.os_errors import reason_of


class SecretFileError(Exception):
    """A file holds no secret, or not only its owner may know it; the text says so in a sentence for a person."""


def cleaned(secret: str) -> str:
    """Return a secret without what editors and mounts put around it: white space, line breaks, a byte-order mark.

    Raises:
        ValueError: there is a line break or another control character within it, which no header carries.
    """
    text = secret.strip().strip("\ufeff").strip()
    if not all(letter.isprintable() for letter in text):
        raise ValueError("has a line break or another character within it that no secret has")
    return text


def is_sendable(secret: str) -> bool:
    """Tell whether a header carries a secret as it is."""
    return secret.isascii() and secret.isprintable()


def read_secret(file: Path) -> str:
    """Return what a file holds, without the white space and the byte-order mark around it.

    Raises:
        SecretFileError: it cannot be read, is empty, holds several lines, or everybody on this machine can read it.
    """
    try:
        if _is_open_to_all(file):
            raise SecretFileError(f"{file} can be read by everybody on this machine; `chmod o= {file}` mends that.")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretFileError(f"{file} cannot be read: {reason_of(error)}.") from None
    try:
        secret = cleaned(text)
    except ValueError as fault:
        raise SecretFileError(f"{file} {fault}.") from None
    if not secret:
        raise SecretFileError(f"{file} is empty.")
    return secret


def read_named(settings: Iterable[str]) -> dict[str, Any]:
    """Return those of these settings that a variable `DC1_…_FILE` names a file for.

    Raises:
        SecretFileError: as `read_secret`, or a setting is said in both ways; the text names the variable.
    """
    found: dict[str, Any] = {}
    for name in settings:
        variable = f"DC1_{name.upper()}"
        file = os.environ.get(f"{variable}_FILE")
        if not file:
            continue
        # Neither is silently the other's better: the one that is forgotten would be the old secret.
        if os.environ.get(variable):
            raise SecretFileError(f"{variable} and {variable}_FILE are both set.")
        try:
            found[name] = read_secret(Path(file))
        except SecretFileError as error:
            raise SecretFileError(f"{variable}_FILE: {error}") from None
    return found


def _is_open_to_all(file: Path) -> bool:
    """Tell whether users that are neither the owner's nor in the group can read a file."""
    found = file.resolve(strict=True)
    # The group is left alone: a unit's user is often made able to read by it, and systemd's credentials show the rights
    # of an access list there. Nobody reads what lies in a directory that they cannot enter.
    reachable = all(folder.stat().st_mode & stat.S_IXOTH for folder in found.parents)
    return reachable and bool(found.stat().st_mode & stat.S_IROTH)

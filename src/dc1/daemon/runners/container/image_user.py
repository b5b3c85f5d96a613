"""Whom a user that an image names stands for: a name may well be root's."""

import io
import tarfile
from typing import Any

from docker.errors import NotFound

from dc1.daemon.runners.base import RunFailed
from dc1.domain.jobs.states import ErrorCategory

_USERS_FILE = "/etc/passwd"
_LONGEST = 1024 * 1024


def check_user(container: Any, user: str) -> None:
    """Look up the name that a container, created and not started yet, is to run under. Blocks.

    Raises:
        RunFailed: its file of users has root under that name, or cannot be read.
    """
    name = user.partition(":")[0]
    # A number was looked at before there was a container.
    if name.isdecimal():
        return
    numbers = {
        fields[2] for line in _users(container).splitlines() if (fields := line.split(":"))[0] == name and fields[2:]
    }
    # What the engine makes of a name that is there twice, or written oddly, is not worth knowing.
    if not numbers or not all(number.isdecimal() and int(number) > 0 for number in numbers):
        # Of the order and not of this machine: every other one would fail it too.
        raise RunFailed(ErrorCategory.INVALID_PARAMS, f"the image's user {name[:64]!r} is root or nobody that it knows")


def _users(container: Any) -> str:
    try:
        chunks, _ = container.get_archive(_USERS_FILE)
    except NotFound:
        return ""
    packed = io.BytesIO()
    for chunk in chunks:
        packed.write(chunk)
        if packed.tell() > _LONGEST:
            return ""
    packed.seek(0)
    with tarfile.open(fileobj=packed) as tar:
        entry = tar.next()
        # A link leads to what only the engine can follow.
        content = tar.extractfile(entry) if entry is not None and entry.isfile() else None
        return content.read().decode(errors="replace") if content is not None else ""

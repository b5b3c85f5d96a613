"""Where a server's admin token comes from."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from dc1.cli.errors import CommandError
from dc1.os_errors import reason_of
from dc1.secret_files import SecretFileError, is_sendable, read_secret
from dc1.settings.settings import Settings

_TOKEN_BYTES = 24


def with_admin_token(settings: Settings, file: Path | None) -> tuple[Settings, str | None]:
    """Return the settings with an admin token, and the token when it was made for this run alone and is to be shown.

    The setting wins; next comes what `file` holds. Else, in development, a token is made: it is written to `file` when
    that is given, and lasts as long as the process when not. In production, settings without a token are left so when
    no file is given.

    Raises:
        CommandError: the file cannot be read or written, or production names one that does not exist.
    """
    if settings.admin_token is not None:
        return settings, None
    shown = None
    makes_one = settings.environment == "development"
    token = _read(file, makes_one=makes_one) if file is not None else None
    if token is None and makes_one:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        if file is not None:
            _write(file, token)
        else:
            shown = token
    if token is None and file is not None:
        raise CommandError(f"{file} does not exist; in production the admin token in it is yours to choose.")
    secret = None if token is None else SecretStr(token)
    return settings.model_copy(update={"admin_token": secret}), shown


def _read(file: Path, *, makes_one: bool) -> str | None:
    if not file.exists():
        return None
    try:
        if not is_sendable(token := read_secret(file)):
            raise CommandError(f"{file} has characters in it that no header carries: only those of ASCII are.")
        return token
    except SecretFileError as error:
        # An empty one was most likely made and never written; its token would be one that anybody can guess.
        raise CommandError(f"{error} Without the file a token is made." if makes_one else str(error)) from None


def _write(file: Path, token: str) -> None:
    try:
        # Made with these rights, not given them afterwards: in between anybody could read it. O_EXCL leaves alone what
        # another process was first to write.
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(token + "\n")
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {reason_of(error)}.") from None

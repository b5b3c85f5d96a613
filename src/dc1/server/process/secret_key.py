"""Secrets of one installation: the key of what is encrypted in the database, and by what edges prove themselves."""

import os
import secrets
import tempfile
from pathlib import Path

from dc1.domain import errors
from dc1.os_errors import reason_of
from dc1.private_files import belongs_to_others, make_private_file
from dc1.secret_files import cleaned, is_sendable
from dc1.settings.settings import Settings, SettingsError

_KEY_FILE = "secret.key"
_EDGE_FILE = "edge.key"


def has_secret_key(settings: Settings) -> bool:
    """Tell whether there is a key, or one can be made."""
    return settings.secret_key is not None or settings.environment == "development"


def load_secret_key(settings: Settings) -> str:
    """Return the setting, or in development a key of this data directory, made when it is first asked for.

    Raises:
        webhooks_not_configured: Production is without the setting.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    if not has_secret_key(settings):
        raise errors.webhooks_not_configured()
    return _kept(settings.resolved_data_dir / _KEY_FILE)


def load_edge_secret(settings: Settings, *, may_make: bool = True) -> str:
    """Return the setting, or what this data directory keeps in its place, made when it is first asked for.

    Raises:
        SettingsError: There is none, and `may_make` is False: it would be known to no server.
    """
    if settings.edge_secret is not None:
        return settings.edge_secret.get_secret_value()
    path = settings.resolved_data_dir / _EDGE_FILE
    if not may_make and not path.exists():
        raise SettingsError(
            "DC1_EDGE_SECRET is not set: servers on TCP believe only an edge that brings theirs. It is the variable of the same name, "
            f"or what {_EDGE_FILE} in their DC1_DATA_DIR holds."
        )
    return _kept(path)


def keep_to_ourselves(settings: Settings) -> None:
    """Take others' rights to the keys that the data directory keeps: a copy from a backup has any rights.

    Raises:
        SettingsError: Somebody else put one there, or it cannot be changed.
    """
    for name in (_KEY_FILE, _EDGE_FILE):
        path = settings.resolved_data_dir / name
        if not path.exists():
            continue
        if belongs_to_others(path):
            raise SettingsError(f"{path} belongs to another user, who may know what it holds: remove it.")
        try:
            make_private_file(path)
        except OSError as error:
            raise SettingsError(f"{path} can be read by others on this machine: {reason_of(error)}.") from None


def _kept(path: Path) -> str:
    """Return what a file of the data directory holds, made when there is none.

    Raises:
        SettingsError: It cannot be used.
    """
    if not path.exists():
        _make(path)
    try:
        # Cleaned, as somebody may have brought it here from another machine by an editor.
        kept = cleaned(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} holds no secret that can be used: {reason_of(error)}.") from None
    if not is_sendable(kept) or not kept:
        raise SettingsError(f"{path} holds no secret that can be used.")
    return kept


def _make(path: Path) -> None:
    """Write a new key, readable by its owner only, whole or not at all; another process may be first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
        path.hardlink_to(name)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()

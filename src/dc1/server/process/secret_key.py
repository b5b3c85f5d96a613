"""The key that secrets in the database are encrypted with."""

import os
import secrets
import tempfile
from pathlib import Path

from dc1.domain import errors
from dc1.settings import Settings

_FILE_NAME = "secret.key"


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
    path = settings.resolved_data_dir / _FILE_NAME
    if not path.exists():
        _make(path)
    return path.read_text(encoding="ascii")


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

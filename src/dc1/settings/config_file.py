"""The file of settings that `DC1_CONFIG_FILE` names: TOML, each setting by its own name, below every variable."""

import difflib
import os
import tomllib
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, InitSettingsSource

from dc1.os_errors import reason_of
from dc1.secret_files import SecretFileError, read_secret

CONFIG_FILE = "DC1_CONFIG_FILE"
"""The variable that names it."""

_FILE = "_file"


class ConfigFileError(Exception):
    """The file cannot be read, or says what it may not; the text tells it in a sentence for a person."""


class ConfigFileSource(InitSettingsSource):
    """What the file says, nothing where the variable names none.

    Of the settings in `in_files` it names the file, as variables do: `secret_key_file = "/etc/dc1/secret-key"`.
    """

    def __init__(self, settings: type[BaseSettings], in_files: Collection[str]) -> None:
        path = os.environ.get(CONFIG_FILE)
        super().__init__(settings, _read(Path(path), settings.model_fields, in_files) if path else {})


def _read(path: Path, fields: dict[str, FieldInfo], in_files: Collection[str]) -> dict[str, Any]:
    """Return the settings in a file.

    Raises:
        ConfigFileError: see there.
    """
    try:
        # As binary fractions prices would be a little off.
        said = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, ValueError) as error:
        raise ConfigFileError(f"{CONFIG_FILE}: {path} cannot be read: {reason_of(error)}.") from None
    found: dict[str, Any] = {}
    # All at once, as of variables.
    faults = []
    for key, value in said.items():
        try:
            setting = _setting(key, value, fields, in_files)
        except (SecretFileError, ValueError) as fault:
            faults.append(f"{path}: {fault}")
            continue
        # Neither is silently the other's better, as of variables.
        faults += [f"{path}: `{name}` and `{name}_file` are both there." for name in setting.keys() & found.keys()]
        found |= setting
    if faults:
        raise ConfigFileError(" ".join(faults))
    return found


def _setting(key: str, value: object, fields: dict[str, FieldInfo], in_files: Collection[str]) -> dict[str, Any]:
    """Return one setting with its name.

    Raises:
        ValueError: there is no such setting, or it is a secret, which a file that others read is no place for.
    """
    secret = key.removesuffix(_FILE)
    if key != secret and secret in in_files:
        return {secret: read_secret(Path(str(value)))}
    if key not in fields:
        near = difflib.get_close_matches(key, fields, n=1)
        raise ValueError(f"{key!r} is no setting{f'; {near[0]!r} is' if near else ''}.")
    if _is_secret(fields[key]) or (key in in_files and _has_password(str(value))):
        other = f"`{key}_file` names its file" if key in in_files else f"DC1_{key.upper()}_FILE names its file"
        raise ValueError(f"{key!r} is a secret and does not belong here; {other}.")
    return {key: value}


def _has_password(url: str) -> bool:
    """Tell whether a database's address has a password in it; one that has none may be read by others."""
    parts = urlsplit(url)
    return bool(parts.password or parse_qs(parts.query).get("password"))


def _is_secret(field: FieldInfo) -> bool:
    # Also within an Annotated or an Optional.
    return SecretStr.__name__ in str(field.annotation)

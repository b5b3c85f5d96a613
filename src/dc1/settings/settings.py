"""Every setting, read from environment variables with the prefix `DC1_` and the file that one of them names.

This is a leaf that the command line, the server, the edge and the daemon may import; the layers below are given plain
values.
"""

from typing import Self

from pydantic import ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dc1.loopback import is_loopback
from dc1.secret_files import SecretFileError, cleaned, read_named
from dc1.settings.config_file import CONFIG_FILE, ConfigFileError, ConfigFileSource
from dc1.settings.fleet import FleetSettings
from dc1.settings.market import MarketSettings
from dc1.settings.serving import ServingSettings

_ADMIN_TOKEN_CHARACTERS = 32
"""What nobody guesses: 128 bits of randomness, even in hexadecimal digits."""

# How a production market is unless its operator says otherwise: gifts are real money to whoever may withdraw them, and
# a tag without a digest is whatever its registry says today.
_IN_PRODUCTION = {"starter_credit_halala": 0, "topup_enabled": False, "image_digests_required": True}

_IN_FILES = (
    "secret_key",
    "edge_secret",
    "metrics_token",
    "database_url",
    "database_direct_url",
    "database_read_url",
    "smtp_url",
)
"""Settings that may be read from a file; so may the admin token, by the command."""

FILE_VARIABLES = frozenset({CONFIG_FILE, *(f"DC1_{name.upper()}_FILE" for name in _IN_FILES)})
"""The variables that name these files, and the file of all other settings."""


class SettingsError(Exception):
    """The settings cannot be used; the text says which and why, in sentences for a person."""


# Backwards, as fields are listed from the last to the first of them: how it is served, the market, its fleet.
class Settings(FleetSettings, MarketSettings, ServingSettings, BaseSettings):
    """What one deployment chose. An empty variable counts as unset; lists are separated by commas."""

    # Other variables with the prefix belong to commands. Values stay out of error texts, as some are secrets.
    model_config = SettingsConfigDict(
        env_prefix="DC1_", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _production_is_careful(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("environment") == "production":
            return _IN_PRODUCTION | values
        return values

    @field_validator("admin_token", *_IN_FILES, mode="before")
    @classmethod
    def _cleaned(cls, value: object) -> object:
        return cleaned(value) or None if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the constructor's arguments, then variables, then the file: each wins over the next."""
        return init_settings, env_settings, ConfigFileSource(settings_cls, _IN_FILES)

    @classmethod
    def load(cls) -> Self:
        """Read the environment and the file that it names.

        Raises:
            SettingsError: a setting has a value that cannot be used; the text names each one.
        """
        try:
            return cls(**read_named(_IN_FILES))
        except (ConfigFileError, SecretFileError) as error:
            raise SettingsError(str(error)) from None
        except ValidationError as error:
            # All of them, so that nobody starts five times to learn of five mistakes.
            raise SettingsError(" ".join(_sentence(fault["loc"], fault["msg"]) for fault in error.errors())) from None

    def require_servable(self) -> None:
        """Refuse settings with which a server must not start.

        Raises:
            SettingsError: there is no admin token in production, or half of what TLS or mail needs, or the admin token
                can be guessed where others reach the server.
        """
        self.require_whole_tls()
        self.require_private_metrics()
        # At the start, and not when somebody wants to be told of something.
        if (self.smtp_url is None) != (self.smtp_from is None):
            raise SettingsError("DC1_SMTP_URL and DC1_SMTP_FROM belong together; only one of them is set.")
        # Nobody could approve a provider; in development a token is made instead.
        if self.environment == "production" and self.admin_token is None:
            raise SettingsError("DC1_ADMIN_TOKEN is not set, and a production server does not start without it.")
        length = _ADMIN_TOKEN_CHARACTERS if self.admin_token is None else len(self.admin_token.get_secret_value())
        if length < _ADMIN_TOKEN_CHARACTERS and self._is_exposed:
            raise SettingsError(
                f"DC1_ADMIN_TOKEN has {length} characters; in production, and on addresses that others reach, it needs at "
                f"least {_ADMIN_TOKEN_CHARACTERS}: `openssl rand -hex 32` makes one. In development on 127.0.0.1 any will do."
            )

    @property
    def _is_exposed(self) -> bool:
        """Whether anybody but this machine's own users may find the server."""
        hosts = [self.http_host, *([] if self.grpc_address is None else [self.grpc_address[0]])]
        return self.environment == "production" or not all(map(is_loopback, hosts))

    def require_whole_tls(self) -> None:
        """Refuse half of what TLS needs, with which an edge would speak without it.

        Raises:
            SettingsError: only one of certificate and key is set.
        """
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsError("DC1_TLS_CERTIFICATE and DC1_TLS_KEY belong together; only one of them is set.")

    def require_private_metrics(self) -> None:
        """Refuse to tell everybody how the market goes.

        Raises:
            SettingsError: others reach the address of metrics, and need no token there.
        """
        try:
            _ = self.resolved_metrics_address
        except ValueError as error:
            raise SettingsError(f"DC1_METRICS_ADDRESS and DC1_METRICS_TOKEN: {error}.") from None


def _sentence(place: tuple[int | str, ...], fault: str) -> str:
    name, *within = map(str, place)
    return f"{'.'.join([f'DC1_{name.upper()}', *within])}: {fault.removeprefix('Value error, ')}."

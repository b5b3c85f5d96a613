"""Every setting, read from environment variables with the prefix `DC1_`.

This is a leaf that the command line, the server, the edge and the daemon may import; the layers below are given plain
values.
"""

from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dc1 import defaults
from dc1.defaults import PricingClassName
from dc1.loopback import is_loopback
from dc1.mail_server import MailServer
from dc1.secret_files import SecretFileError, cleaned, is_sendable, read_named
from dc1.setting_types import (
    JsonTable,
    Limit,
    MailAddress,
    MailUrl,
    Multiplier,
    Networks,
    Port,
    Seconds,
    Texts,
    TokenPrice,
)

_ADMIN_TOKEN_CHARACTERS = 32
"""What nobody guesses: 128 bits of randomness, even in hexadecimal digits."""

# How a production market is unless its operator says otherwise: gifts are real money to whoever may withdraw them, and
# a tag without a digest is whatever its registry says today.
_IN_PRODUCTION = {"starter_credit_halala": 0, "topup_enabled": False, "image_digests_required": True}

_GRPC_HOST = "127.0.0.1"
_GRPC_PORT = 50051

# Where an edge that proves itself may be by default: on the server's own machine.
LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


_IN_FILES = ("secret_key", "edge_secret", "database_url", "database_direct_url", "smtp_url")
"""Settings that may be read from a file; so may the admin token, by the command."""

FILE_VARIABLES = frozenset(f"DC1_{name.upper()}_FILE" for name in _IN_FILES)
"""The variables that name these files."""


class SettingsError(Exception):
    """The settings cannot be used; the text says which and why, in sentences for a person."""


class Settings(BaseSettings):
    """What one deployment chose. An empty variable counts as unset; lists are separated by commas."""

    # Other variables with the prefix belong to commands. Values stay out of error texts, as some are secrets.
    model_config = SettingsConfigDict(
        env_prefix="DC1_", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    environment: Literal["development", "production"] = Field(
        default="development",
        description="`production` refuses to serve without a long admin token, gives no money away and runs only images with digests.",
    )
    data_dir: Path = Field(
        default=Path(".dc1"), description="Directory of what the embedded defaults keep: database, Envoy's files."
    )
    database_url: str | None = Field(
        default=None,
        description="`sqlite:///path` or `postgresql://user@host/name`; a SQLite file in `data_dir` when unset.",
    )
    database_direct_url: str | None = Field(default=None, description="PostgreSQL past a pooler by transaction.")
    database_connections: PositiveInt = Field(
        default=8, description="Most connections to PostgreSQL, or most readers of SQLite, up to four."
    )
    log_format: Literal["console", "json"] = Field(default="console", description="How log lines look.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least severe line.")
    clock_reset: bool = Field(default=False, description="Whether this start takes the machine's time anew.")

    http_host: str = Field(
        default="127.0.0.1", description="Address of the public listener; `0.0.0.0` opens it to the network."
    )
    http_port: Port = Field(default=8083, description="Port of the public listener: REST and gRPC.")
    tls_certificate: Path | None = Field(
        default=None, description="Certificate chain of the public listener, PEM; it then speaks TLS only."
    )
    tls_key: Path | None = Field(default=None, description="Private key of that certificate, PEM.")
    grpc_socket: Path | None = Field(
        default=None,
        description="Unix socket of the server behind Envoy, which its owner alone can open; in `run` of `data_dir` when unset.",
    )
    grpc_socket_group: str | None = Field(
        default=None, description="Group that may open the socket too, for an edge that runs as another user."
    )
    grpc_host: str | None = Field(
        default=None,
        description="Address of the server where edges on other machines reach it, by TCP and not by the socket; loopback when only the "
        "port is set.",
    )
    grpc_port: Port | None = Field(
        default=None, description="Its port: 50051 when only the address is set; 0 takes a free one."
    )
    upstreams: Texts = Field(
        default=(),
        description="Servers that `dc1 edge` spreads calls over, each `host:port` or `unix:/path`; the one above when empty.",
    )
    envoy_concurrency: PositiveInt = Field(default=2, description="Worker threads of Envoy.")
    edge_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Random text by which edges prove to servers on TCP that they are edges, the same for all of a marketplace. A server "
        "without it makes one in `data_dir`.",
    )
    trusted_edges: Networks = Field(
        default=LOOPBACK, description="Networks of the edges that may prove themselves by it."
    )
    trusted_proxies: int = Field(
        default=0,
        ge=0,
        le=10,
        description="How many proxies before the edge name their client in `X-Forwarded-For`; with none the peer is the client.",
    )
    cors_origins: Texts = Field(default=(), description="Origins that browsers may call from; `*` stands for all.")
    installer_base_url: str = Field(
        default=defaults.INSTALLER_BASE_URL,
        description="Public address of the deployment, where the daemon's installer is fetched.",
    )
    max_message_bytes: PositiveInt = Field(
        default=defaults.MAX_MESSAGE_BYTES, description="Largest gRPC message that is taken."
    )
    drain_seconds: PositiveFloat = Field(
        default=10.0, description="How long calls in flight may take to finish on a stop."
    )

    admin_token: SecretStr | None = Field(
        default=None,
        description="Token of the operators; without it admin calls are refused. At least 32 characters in production, or where others "
        "reach the server.",
    )
    admin_ip_allowlist: Networks = Field(default=(), description="Networks admin calls may come from; all when empty.")
    rate_limits_enabled: bool = Field(default=True, description="Whether calls are limited. Quotas hold in any case.")

    starter_credit_halala: int = Field(
        default=defaults.STARTER_CREDIT_HALALA,
        ge=0,
        le=2_000_000_000,
        description="Wallet of a new renter, in halala; 0 in production when unset.",
    )
    platform_fee_bps: int = Field(
        default=defaults.PLATFORM_FEE_BPS, ge=0, le=10_000, description="The platform's share of a charge, in 1/10000."
    )
    class_multipliers: JsonTable[PricingClassName, Multiplier] = Field(
        default=dict(defaults.CLASS_MULTIPLIERS),
        description="Price factor of each pricing class, as a JSON object. Rates by job type are kept in the database.",
    )
    ask_min: Annotated[Decimal, Field(gt=0, le=1, decimal_places=2)] = Field(
        default=defaults.ASK_MIN, description="Least that owners may ask of the usual price."
    )
    ask_max: Decimal = Field(
        default=defaults.ASK_MAX, ge=1, le=10, decimal_places=2, description="Most that they may ask of it."
    )
    token_price_halala: TokenPrice = Field(
        default=defaults.TOKEN_PRICE_HALALA, description="Price of a million tokens of a /v1 call, in halala."
    )
    token_prices: JsonTable[str, TokenPrice] = Field(
        default={}, description="The same by model, as a JSON object; models that are not in it have the price above."
    )
    # Not of the market: one renter's agents must not take what others came for.
    completion_requests_per_minute: Limit = Field(default=600, description="Calls of a renter in a minute; any when 0.")
    completion_tokens_per_minute: Limit = Field(default=2_000_000, description="Tokens of a renter, likewise.")
    completion_streams: Limit = Field(default=100, description="Streamed calls of a renter at a time, likewise.")
    # With the wait that follows less than 600 s, after which the edge ends calls that are silent.
    completion_timeout_seconds: int = Field(
        default=defaults.COMPLETION_TIMEOUT_SECONDS, ge=1, le=540, description="How long a /v1 call may run."
    )
    completion_queue_seconds: Seconds = Field(
        default=defaults.COMPLETION_QUEUE_SECONDS, le=60, description="How long a call waits for a free provider."
    )
    completion_max_bytes: Annotated[int, Field(ge=1024, le=defaults.COMPLETION_MAX_BYTES)] = Field(
        default=defaults.COMPLETION_MAX_BYTES, description="Largest body of a /v1 call."
    )
    quota_daily_jobs: PositiveInt = Field(default=defaults.QUOTA_DAILY_JOBS, description="Jobs of a renter a day.")
    quota_monthly_halala: PositiveInt = Field(
        default=defaults.QUOTA_MONTHLY_HALALA, description="Spend of one renter in a UTC month, in halala."
    )
    topup_enabled: bool = Field(
        default=defaults.TOPUP_ENABLED,
        description="Whether renters may top up without a payment; not in production when unset.",
    )
    image_digests_required: bool = Field(
        default=False,
        description="Whether jobs may name only images that were approved with their digests; so in production when unset.",
    )
    machines_per_owner: PositiveInt = Field(default=defaults.MACHINES_PER_OWNER, description="Machines of an owner.")
    withdraw_min_halala: PositiveInt = Field(
        default=defaults.WITHDRAW_MIN_HALALA, description="Smallest withdrawal, in halala."
    )
    sar_per_usd: Decimal = Field(default=Decimal("3.75"), gt=0, description="SAR for one US dollar.")
    idempotency_ttl_hours: PositiveInt = Field(
        default=defaults.IDEMPOTENCY_TTL_HOURS, description="How long the answer to an Idempotency-Key is kept."
    )
    audit_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        default=defaults.AUDIT_DAYS, description="How long what admins did is kept in the audit trail, in days."
    )
    job_documents_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        default=defaults.JOB_DOCUMENTS_DAYS, description="Days that an ended job's documents are kept; 0 is for ever."
    )
    webhook_allow_private: bool = Field(
        default=False, description="Whether webhooks may go to addresses that are not public."
    )

    # Beside the two, nothing: what else there is to a mail server stands in its address.
    smtp_url: MailUrl | None = Field(
        default=None,
        description="Mail server of notifications, `smtps://user:password@host:465` or `smtp+starttls://…`; without it none go by e-mail.",
    )
    smtp_from: MailAddress | None = Field(default=None, description="Address that these mails are from.")
    secret_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Random text that webhook secrets are encrypted with, the same for all servers. Without it development makes "
        "one in `data_dir`, and production has no webhooks.",
    )
    balance_low_halala: int = Field(
        default=defaults.BALANCE_LOW_HALALA,
        ge=0,
        description="A submission that takes a wallet below this sends the webhook `balance.low`.",
    )

    queue_deadline_seconds: PositiveFloat = Field(
        default=defaults.QUEUE_DEADLINE_SECONDS, description="How long a job may wait for a provider."
    )
    max_duration_seconds: Annotated[int, Field(ge=60, le=2_592_000)] = Field(
        default=defaults.MAX_DURATION_SECONDS, description="How long a job may run, and how much time it may prepay."
    )
    max_retries: int = Field(
        default=defaults.MAX_RETRIES, ge=0, le=10, description="How often a lost attempt is dispatched anew."
    )
    online_seconds: PositiveInt = Field(
        default=defaults.ONLINE_SECONDS, description="Age of the last POST heartbeat at which a provider degrades."
    )
    offline_seconds: PositiveInt = Field(
        default=defaults.OFFLINE_SECONDS,
        description="Age of the last POST heartbeat beyond which a provider is offline.",
    )
    stream_grace_seconds: PositiveInt = Field(
        default=defaults.STREAM_GRACE_SECONDS, description="How long a provider keeps its place without its stream."
    )
    offer_timeout_seconds: PositiveFloat = Field(
        default=defaults.OFFER_TIMEOUT_SECONDS, description="How long a daemon may take to accept an offer."
    )
    poll_lease_grace_seconds: PositiveFloat = Field(
        default=defaults.POLL_LEASE_GRACE_SECONDS,
        description="How long a daemon that polls may say nothing of a job it was handed; when it then asks for more, the "
        "job goes to another.",
    )
    key_rotation_grace_seconds: Seconds = Field(
        default=defaults.KEY_ROTATION_GRACE_SECONDS, description="How long a provider's old key stays good."
    )
    beat_interval_seconds: PositiveFloat = Field(
        default=defaults.BEAT_INTERVAL_SECONDS, description="Seconds between beats on the stream; three missed end it."
    )
    probe_interval_seconds: Seconds = Field(
        default=defaults.PROBE_INTERVAL_SECONDS, description="Mean time between probes of an idle machine; 0 is never."
    )
    daemon_latest_version: str = Field(default=defaults.DAEMON_LATEST_VERSION, description="Newest daemon version.")
    daemon_min_version: str | None = Field(default=None, description="Oldest good one; the newest when unset.")

    @model_validator(mode="before")
    @classmethod
    def _production_is_careful(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("environment") == "production":
            return _IN_PRODUCTION | values
        return values

    @field_validator("class_multipliers")
    @classmethod
    def _complete(cls, value: dict[PricingClassName, Decimal]) -> dict[PricingClassName, Decimal]:
        # Here, at the start: else the first job of a class without a factor would find out.
        missing = [name for name in get_args(PricingClassName) if name not in value]
        if missing:
            raise ValueError(f"must name every class; missing: {', '.join(missing)}")
        return value

    @field_validator("http_host", "grpc_host", mode="before")
    @classmethod
    def _without_brackets(cls, value: object) -> object:
        # As in URLs, where an IPv6 address needs them.
        return value.strip().strip("[]") if isinstance(value, str) else value

    @field_validator("admin_token", *_IN_FILES, mode="before")
    @classmethod
    def _cleaned(cls, value: object) -> object:
        return cleaned(value) or None if isinstance(value, str) else value

    @field_validator("admin_token", "edge_secret")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        # Both travel as headers.
        if value is not None and not is_sendable(value.get_secret_value()):
            raise ValueError("must be of letters, digits and punctuation of ASCII, as a header carries it")
        return value

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises:
            SettingsError: a variable has a value that cannot be used; the text names each one.
        """
        try:
            return cls(**read_named(_IN_FILES))
        except SecretFileError as error:
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

    @property
    def resolved_data_dir(self) -> Path:
        """The absolute path of `data_dir`, as seen from where the process runs now."""
        # Absolute, as Envoy and the server are processes of their own; `~` comes unexpanded from unit files.
        return self.data_dir.expanduser().resolve()

    @property
    def resolved_grpc_socket(self) -> Path:
        """The absolute path of the server's Unix socket."""
        if self.grpc_socket is not None:
            return self.grpc_socket.expanduser().absolute()
        return self.resolved_data_dir / "run" / "grpc.sock"

    @property
    def grpc_address(self) -> tuple[str, int] | None:
        """Host and port of the server where a TCP address was asked for, None where it has its Unix socket."""
        if self.grpc_host is None and self.grpc_port is None:
            return None
        return self.grpc_host or _GRPC_HOST, _GRPC_PORT if self.grpc_port is None else self.grpc_port

    @property
    def mail_server(self) -> MailServer | None:
        """Where notifications are mailed from, None where they are not."""
        if self.smtp_url is None or self.smtp_from is None:
            return None
        return MailServer.of(self.smtp_url.get_secret_value(), self.smtp_from)

    @property
    def resolved_database_url(self) -> str:
        """`database_url`, or that of the embedded database."""
        return self.database_url or f"sqlite:///{self.resolved_data_dir / 'dc1.sqlite3'}"

    @property
    def resolved_daemon_min_version(self) -> str:
        """`daemon_min_version`, or the newest version."""
        return self.daemon_min_version or self.daemon_latest_version


def _sentence(place: tuple[int | str, ...], fault: str) -> str:
    name, *within = map(str, place)
    return f"{'.'.join([f'DC1_{name.upper()}', *within])}: {fault.removeprefix('Value error, ')}."

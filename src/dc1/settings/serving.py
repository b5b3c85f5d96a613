"""How a deployment is served: by what processes, at which addresses, from which files."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, SecretStr, field_validator

from dc1 import defaults
from dc1.loopback import is_loopback
from dc1.metrics.address import MetricsAddress
from dc1.ports import joined
from dc1.secret_files import is_sendable
from dc1.settings.types import Networks, Port, Texts

_GRPC_HOST = "127.0.0.1"
_GRPC_PORT = 50051
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - it is where others listen

# Where an edge that proves itself may be by default: on the server's own machine.
LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


class ServingSettings(BaseModel):
    """Addresses, files, the database, logs and who may come in."""

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
    database_read_url: str | None = Field(
        default=None, description="A standby of PostgreSQL that answers lists and history as well as the primary would."
    )
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
    installer_base_url: str | None = Field(
        default=None,
        description="Public address of the deployment, where the daemon's installer is fetched; that of the public listener when unset.",
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
    secret_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Random text that webhook secrets are encrypted with, the same for all servers. Without it development makes "
        "one in `data_dir`, and production has no webhooks.",
    )
    idempotency_ttl_hours: PositiveInt = Field(
        default=defaults.IDEMPOTENCY_TTL_HOURS, description="How long the answer to an Idempotency-Key is kept."
    )
    audit_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        default=defaults.AUDIT_DAYS, description="How long what admins did is kept in the audit trail, in days."
    )
    job_documents_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        default=defaults.JOB_DOCUMENTS_DAYS, description="Days that an ended job's documents are kept; 0 is for ever."
    )
    metrics_address: str | None = Field(
        default=None,
        description="Where Prometheus reads: a port of this machine such as `9464`, `host:port`, or `unix:/path`; nowhere when unset.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="What it has to bring as a bearer token; needed on addresses that others reach.",
    )

    @field_validator("http_host", "grpc_host", mode="before")
    @classmethod
    def _without_brackets(cls, value: object) -> object:
        # As in URLs, where an IPv6 address needs them.
        return value.strip().strip("[]") if isinstance(value, str) else value

    @field_validator("admin_token", "edge_secret", "metrics_token")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        # They travel as headers.
        if value is not None and not is_sendable(value.get_secret_value()):
            raise ValueError("must be of letters, digits and punctuation of ASCII, as a header carries it")
        return value

    @field_validator("metrics_address")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        # Whether it needs a token is asked when all is known.
        if value is not None:
            MetricsAddress.of(value, token="")
        return value

    @property
    def resolved_data_dir(self) -> Path:
        """The absolute path of `data_dir`, as seen from where the process runs now."""
        # Absolute, as Envoy and the server are processes of their own; `~` comes unexpanded from unit files.
        return self.data_dir.expanduser().resolve()

    @property
    def resolved_installer_base_url(self) -> str:
        """The address of the deployment, as far as it is known here; what others call it they have to say."""
        if self.installer_base_url is not None:
            return self.installer_base_url
        host = "localhost" if is_loopback(self.http_host) or self.http_host in _EVERYWHERE else self.http_host
        return f"{'http' if self.tls_certificate is None else 'https'}://{joined(host, self.http_port)}"

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
    def resolved_metrics_address(self) -> MetricsAddress | None:
        """Where metrics are read, None for nowhere; a ValueError where others could read them without a token."""
        if self.metrics_address is None:
            return None
        token = None if self.metrics_token is None else self.metrics_token.get_secret_value()
        return MetricsAddress.of(self.metrics_address, token)

    @property
    def resolved_database_url(self) -> str:
        """`database_url`, or that of the embedded database."""
        return self.database_url or f"sqlite:///{self.resolved_data_dir / 'dc1.sqlite3'}"

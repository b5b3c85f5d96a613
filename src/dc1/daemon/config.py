"""What a daemon is told at its start."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from dc1 import defaults
from dc1.daemon.errors import DaemonError
from dc1.metrics.address import MetricsAddress
from dc1.proxies import http_proxy, speaks
from dc1.secret_files import is_sendable

DAEMON_VERSION = defaults.DAEMON_LATEST_VERSION
"""The version that this daemon reports; the server compares it with the oldest it still likes."""


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """The settings of one daemon. The key is left out of its printed form.

    Making one fails with a DaemonError for what could never work, as trying again and again would say less.
    """

    key: str = field(repr=False)
    """The provider's key."""

    server: str
    """`host:port` of the control plane's gRPC address."""

    tls: bool = False
    """Whether the connection is encrypted; without it the key travels in the clear."""

    ca_file: Path | None = None
    """Certificates to trust in place of the system's, PEM.

    Needs `tls`, so that nobody believes a plain connection encrypted.
    """

    engine_url: str | None = None
    """An OpenAI-compatible server that answers inference jobs; None uses the built-in engine if that is allowed."""

    engine_api_key: str | None = field(default=None, repr=False)
    """Sent to the engine as a Bearer token."""

    engine_concurrency: int | None = None
    """How many calls the engine takes at once; None asks it, and is four for the built-in one."""

    model: Path | None = None
    """A GGUF file that the built-in engine serves in place of its own small model."""

    cpu_engine: bool = True
    """Whether the built-in engine may answer inference jobs with its own model when nothing else is given."""

    containers: bool = True
    """Whether container jobs are taken when a container engine is found."""

    container_url: str | None = None
    """Address of the container engine, such as `unix:///run/podman/podman.sock`; None finds it."""

    container_network: bool = False
    """Whether a job that asks for a network gets one."""

    container_disk_gib: int = 100
    """How much disk the images that are pulled for jobs may take, in GiB."""

    beat_interval_seconds: float = defaults.BEAT_INTERVAL_SECONDS
    """Seconds between beats until the server names its own interval."""

    approval_poll_seconds: float = 3.0
    """Seconds between attempts while the provider waits for approval."""

    probe_interval_seconds: float = 60.0
    """Seconds between looks at what the runners can do."""

    take_over: bool = False
    """Whether to replace another daemon that is connected with the same key."""

    drain_grace_seconds: float = 60.0
    """Seconds that running work is given to end after SIGTERM."""

    metrics_address: str | None = None
    """Where Prometheus reads: a port of this machine, `host:port` or `unix:/path`; None for nowhere."""

    metrics_token: str | None = field(default=None, repr=False)
    """What it has to bring; needed on addresses that others reach."""

    def __post_init__(self) -> None:
        server = _address(f"//{self.server}")
        # The second look: a path or a query behind the port would be dropped in silence.
        if server is None or server.port is None or server.netloc != self.server:
            raise DaemonError(
                f"The server is given as host:port, for example market.example.sa:443, not as {self.server!r}."
            )
        # It travels as gRPC metadata, which carries printable ASCII only and says little about anything else.
        if not is_sendable(self.key) or " " in self.key:
            raise DaemonError("The provider key has characters in it that no key has; was it copied as a whole?")
        if self.engine_api_key is not None and not is_sendable(self.engine_api_key):
            raise DaemonError(
                "The engine's API key has characters in it that no header carries; was it copied as a whole?"
            )
        if self.ca_file is not None and not self.tls:
            raise DaemonError("A CA file is given, but the connection is not to be encrypted; --tls is missing.")
        try:
            _ = self.resolved_metrics_address
        except ValueError as error:
            raise DaemonError(f"The address of metrics cannot be {self.metrics_address!r}: {error}.") from None
        if self.engine_url is not None and self.model is not None:
            raise DaemonError("An engine and a model for the built-in one are given, of which a daemon serves one.")
        engine = self.engine_url and _address(self.engine_url)
        if self.engine_url is not None and not (engine and engine.scheme in {"http", "https"}):
            raise DaemonError(f"The engine is given as a URL like http://127.0.0.1:8000, not as {self.engine_url!r}.")
        proxy = http_proxy(engine.scheme, engine.hostname or "", engine.port) if engine else None
        if proxy and not speaks(proxy, "http", "https"):
            # Each look at the engine and each call would fail, with words about the engine. Without the address, which
            # may hold a password.
            raise DaemonError(
                "The proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names is none of http or https;"
                " NO_PROXY can name the engine's host, to be reached without it."
            )

    @property
    def resolved_metrics_address(self) -> MetricsAddress | None:
        """Where metrics are read, None for nowhere."""
        if self.metrics_address is None:
            return None
        return MetricsAddress.of(self.metrics_address, self.metrics_token)


def _address(text: str) -> SplitResult | None:
    """Return the parts of an address; None when it names no host, or a port that cannot be."""
    try:
        parts = urlsplit(text)
        # Asking for the port raises ValueError for what is no number from 0 to 65535, and 0 names no listener.
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None

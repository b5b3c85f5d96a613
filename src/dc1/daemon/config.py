"""What a daemon is told at its start."""

from dataclasses import dataclass, field
from pathlib import Path

DAEMON_VERSION = "3.3.0"
"""The version that this daemon reports; the server compares it with the oldest it still likes."""


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """The settings of one daemon. The key is left out of its printed form."""

    key: str = field(repr=False)
    """The provider's key."""

    server: str
    """`host:port` of the control plane's gRPC address."""

    tls: bool = False
    """Whether the connection is encrypted; without it the key travels in the clear."""

    ca_file: Path | None = None
    """Certificates to trust in place of the system's, PEM. Implies nothing unless `tls`."""

    engine_url: str | None = None
    """An OpenAI-compatible server that answers inference jobs; None uses the built-in CPU engine if that is allowed."""

    engine_api_key: str | None = field(default=None, repr=False)
    """Sent to the engine as a Bearer token."""

    cpu_engine: bool = True
    """Whether the built-in CPU engine may answer inference jobs when no `engine_url` is given."""

    containers: bool = True
    """Whether container jobs are taken when a container engine is found."""

    container_url: str | None = None
    """Address of the container engine, such as `unix:///run/podman/podman.sock`; None finds it."""

    container_network: bool = False
    """Whether a job that asks for a network gets one."""

    beat_interval_seconds: float = 10.0
    """Seconds between beats until the server names its own interval."""

    approval_poll_seconds: float = 3.0
    """Seconds between attempts while the provider waits for approval."""

    probe_interval_seconds: float = 60.0
    """Seconds between looks at what the runners can do."""

    drain_grace_seconds: float = 60.0
    """Seconds that running work is given to end after SIGTERM."""

"""When jobs and machines are given up, and what daemons are told."""

from typing import Annotated

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt

from dc1 import defaults
from dc1.settings.types import Seconds


class FleetSettings(BaseModel):
    """Times of jobs, machines and their streams."""

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
        default=defaults.BEAT_INTERVAL_SECONDS,
        description="Seconds between beats on the stream, up to three times as many, 60 at most, "
        "while the server is behind; three missed end it.",
    )
    probe_interval_seconds: Seconds = Field(
        default=defaults.PROBE_INTERVAL_SECONDS, description="Mean time between probes of an idle machine; 0 is never."
    )
    daemon_latest_version: str = Field(default=defaults.DAEMON_LATEST_VERSION, description="Newest daemon version.")
    daemon_min_version: str | None = Field(default=None, description="Oldest good one; the newest when unset.")

    @property
    def resolved_daemon_min_version(self) -> str:
        """`daemon_min_version`, or the newest version."""
        return self.daemon_min_version or self.daemon_latest_version

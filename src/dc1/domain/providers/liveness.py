"""Liveness tells whether a provider is there, and whether it may be given work."""

from dataclasses import dataclass
from enum import Flag, StrEnum, auto

from dc1 import defaults


class Approval(StrEnum):
    """An admin's decision about a provider."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class Liveness(StrEnum):
    """Whether a provider is there."""

    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"


class ProviderStatus(StrEnum):
    """The status that lists show; the first that applies, in this order."""

    SUSPENDED = "suspended"
    PAUSED = "paused"
    REGISTERED = "registered"
    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"


class Pause(Flag):
    """Who keeps new work from a machine while it finishes what it runs; each ends what it began, and nobody else's."""

    OWNER = auto()
    ADMIN = auto()


NO_PAUSE = Pause(0)
"""Of a machine that nobody keeps work from."""


class Channel(StrEnum):
    """How a daemon speaks to the server."""

    POST = "post"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Ages in seconds at which a provider's liveness changes."""

    online_seconds: int = defaults.ONLINE_SECONDS
    offline_seconds: int = defaults.OFFLINE_SECONDS
    stream_grace_seconds: int = defaults.STREAM_GRACE_SECONDS
    dashboard_seconds: int = 300


DEFAULT_THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True)
class Presence:
    """What is known of a daemon's last sign of life.

    `stream_lost_ms` is when the stream ended and `stream_open` false; `signed_off` is set when the daemon said that it
    leaves, until its next sign of life.
    """

    channel: Channel = Channel.POST
    last_heartbeat_ms: int | None = None
    stream_open: bool = False
    stream_lost_ms: int | None = None
    signed_off: bool = False

    def awaited(self, now_ms: int) -> bool:
        """Tell whether the stream ended with its server, and so counts as lost only from a time still ahead."""
        is_gone = self.channel is Channel.STREAM and not self.stream_open
        return is_gone and self.stream_lost_ms is not None and self.stream_lost_ms > now_ms

    def age_seconds(self, now_ms: int) -> int | None:
        """Return whole seconds since the last heartbeat, or None when there was none."""
        return None if self.last_heartbeat_ms is None else max(0, now_ms - self.last_heartbeat_ms) // 1000


def liveness(presence: Presence, now_ms: int, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> Liveness:
    """Return whether the daemon is there at `now_ms`."""
    # Its own word goes before any age.
    if presence.signed_off:
        return Liveness.OFFLINE
    if presence.channel is Channel.STREAM:
        return Liveness.ONLINE if _streaming(presence, now_ms, thresholds) else Liveness.OFFLINE
    if presence.last_heartbeat_ms is None:
        return Liveness.OFFLINE
    age_ms = now_ms - presence.last_heartbeat_ms
    if age_ms < thresholds.online_seconds * 1000:
        return Liveness.ONLINE
    return Liveness.DEGRADED if age_ms <= thresholds.offline_seconds * 1000 else Liveness.OFFLINE


def degraded_since_ms(presence: Presence, now_ms: int, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> int | None:
    """Return when the daemon became degraded, or None when it is not."""
    if presence.last_heartbeat_ms is None or liveness(presence, now_ms, thresholds) is not Liveness.DEGRADED:
        return None
    return presence.last_heartbeat_ms + thresholds.online_seconds * 1000


def _streaming(presence: Presence, now_ms: int, thresholds: Thresholds) -> bool:
    if presence.stream_open:
        return True
    lost_ms = presence.stream_lost_ms
    return lost_ms is not None and now_ms - lost_ms <= thresholds.stream_grace_seconds * 1000


def status(
    presence: Presence,
    now_ms: int,
    *,
    suspended: bool,
    paused: bool,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> ProviderStatus:
    """Return the status of a provider at `now_ms`."""
    if suspended:
        return ProviderStatus.SUSPENDED
    if paused:
        return ProviderStatus.PAUSED
    if presence.last_heartbeat_ms is None and not presence.stream_open:
        return ProviderStatus.REGISTERED
    return ProviderStatus(liveness(presence, now_ms, thresholds))


def bookable(approval: Approval, provider_status: ProviderStatus) -> bool:
    """Tell whether a provider may be given work."""
    return approval is Approval.APPROVED and provider_status in (ProviderStatus.ONLINE, ProviderStatus.DEGRADED)


def status_in_error(approval: Approval, provider_status: ProviderStatus) -> str:
    """Return the `provider_status` of an error: the approval of a provider that is not approved, else its status."""
    return provider_status if approval is Approval.APPROVED else approval

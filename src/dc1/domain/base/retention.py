"""How long what nobody needs any more is kept."""

from dc1.domain.base.clock import DAY_MS

ERASED_AFTER_MS = 30 * DAY_MS
"""How long after its deletion the personal data of an account is erased."""

DELIVERIES_KEPT_MS = 30 * DAY_MS
"""How long a renter can see what was sent to their webhook address."""

DAEMON_EVENTS_KEPT_MS = 30 * DAY_MS
"""How long an admin can see what daemons told of themselves."""

"""The documented values of a deployment that chose nothing.

A leaf beside `settings`, for readers that must not know each other: settings offer these to the operator, and the rules
below and the daemon, which are given plain values, start from them where nobody gives any. Amounts are integer halala.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, TypeAlias

# The names of the domain's pricing classes, for the edge reads settings and must not load the domain.
PricingClassName: TypeAlias = Literal["priority", "standard", "economy"]

PLATFORM_FEE_BPS = 2500
TOKEN_PRICE_HALALA = 19
CLASS_MULTIPLIERS: Mapping[PricingClassName, Decimal] = {
    "priority": Decimal("1.20"),
    "standard": Decimal("1.00"),
    "economy": Decimal("0.90"),
}
# Of the usual price of a machine, as owners may ask.
ASK_MIN = Decimal("0.50")
ASK_MAX = Decimal("2.00")
STARTER_CREDIT_HALALA = 1000
TOPUP_ENABLED = True
WITHDRAW_MIN_HALALA = 1000
MACHINES_PER_OWNER = 256

QUOTA_DAILY_JOBS = 100
QUOTA_MONTHLY_HALALA = 10_000
BALANCE_LOW_HALALA = 200

QUEUE_DEADLINE_SECONDS = 1800
MAX_DURATION_SECONDS = 7 * 24 * 3600
MAX_RETRIES = 2
# Below the 600 s after which the edge ends a call that is silent.
COMPLETION_TIMEOUT_SECONDS = 300
COMPLETION_QUEUE_SECONDS = 10
# Of a body under /v1, which may have pictures in it; the edge takes no larger ones.
COMPLETION_MAX_BYTES = 8 * 1024 * 1024
OFFER_TIMEOUT_SECONDS = 15
POLL_LEASE_GRACE_SECONDS = 120

# Daemons beat every 30 s by POST: four missed beats degrade a provider, twenty take it away.
ONLINE_SECONDS = 120
OFFLINE_SECONDS = 600
STREAM_GRACE_SECONDS = 10
BEAT_INTERVAL_SECONDS = 10
# Once a day: often enough that a card which was sold or broke is found out, and half a minute of a machine's month.
PROBE_INTERVAL_SECONDS = 86_400

KEY_ROTATION_GRACE_SECONDS = 600
IDEMPOTENCY_TTL_HOURS = 24
# Thirteen months: a yearly review finds all of its year.
AUDIT_DAYS = 400
JOB_DOCUMENTS_DAYS = 90

# What either side of a stream takes, so that whatever one sends the other can read. Bytes.
MAX_MESSAGE_BYTES = 12 * 1024 * 1024
# Messages that either side says as one.
MOST_OF_BUNDLE = 256

DAEMON_LATEST_VERSION = "3.3.0"
INSTALLER_BASE_URL = "http://localhost:8083"

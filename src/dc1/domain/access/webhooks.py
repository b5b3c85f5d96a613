"""Webhooks: the events that renters hear of, how they are signed, and which addresses they may go to."""

import base64
import hashlib
import hmac
import secrets
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

RETRY_SECONDS = (1, 2, 4)
"""How long to wait after each failed attempt; after the last of these waits comes the last attempt."""

_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# Not for everybody either, whatever the ipaddress of some version of Python says: protocol assignments, relays of 6to4,
# examples.
_RESERVED_V4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_EXAMPLES_V6 = IPv6Network("3fff::/20")


class WebhookEvent(StrEnum):
    """What a renter is told."""

    JOB_STARTED = "job.started"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    BALANCE_LOW = "balance.low"
    BUDGET_THRESHOLD = "budget.threshold"


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


def new_secret() -> str:
    """Return a secret to sign with, of 256 random bits."""
    return f"whsec_{secrets.token_hex(32)}"


def secret_purpose(renter_id: int) -> str:
    """Return what a renter's secret is sealed for, so that it opens for nobody else's webhooks."""
    return f"webhooks of renter {renter_id}"


def new_delivery_id() -> str:
    """Return an id for a delivery; receivers tell a repeated one by it."""
    return f"whd_{secrets.token_hex(16)}"


def signature(secret: str, body: bytes) -> str:
    """Return what goes into `X-DCP-Signature` for a raw body."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def standard_headers(secret: str, delivery_id: str, at_seconds: int, body: bytes) -> dict[str, str]:
    """Return the headers of the Standard Webhooks for a raw body that is sent at a time."""
    signed = f"{delivery_id}.{at_seconds}.".encode() + body
    digest = base64.b64encode(hmac.new(_standard_key(secret), signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": delivery_id, "webhook-timestamp": str(at_seconds), "webhook-signature": f"v1,{digest}"}


def _standard_key(secret: str) -> bytes:
    # Libraries for them take what follows the prefix for base64, which the digits of a secret of ours are, too.
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return secret.encode()


def is_public_address(address: str) -> bool:
    """Tell whether an IP address belongs to the public internet; what is no address does not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _is_public(parsed)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _RESERVED_V4)
    # An IPv4 address in the clothes of IPv6 goes where the IPv4 address goes.
    inner = address.ipv4_mapped or address.sixtofour or (address in _NAT64 and IPv4Address(int(address) & 0xFFFF_FFFF))
    if inner:
        return _is_public(inner)
    return address in _UNICAST and address not in _EXAMPLES_V6 and address.is_global

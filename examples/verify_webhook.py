"""Tell a webhook of the market's from a forgery."""

import base64
import hashlib
import hmac
import time

TOLERANCE_SECONDS = 300


def is_ours(secret: str, raw_body: bytes, x_dcp_signature: str) -> bool:
    """Tell whether the header `X-DCP-Signature` belongs to the body as it came, byte for byte."""
    expected = "sha256=" + hmac.new(secret.encode(), raw_body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, x_dcp_signature)


def is_standard(secret: str, raw_body: bytes, headers: dict[str, str]) -> bool:
    """Tell the same by the headers of Standard Webhooks, which no old request passes that somebody kept and repeats."""
    sent_at = headers["webhook-timestamp"]
    signed = f"{headers['webhook-id']}.{sent_at}.".encode() + raw_body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    is_fresh = abs(time.time() - int(sent_at)) <= TOLERANCE_SECONDS
    return is_fresh and any(hmac.compare_digest(expected, each) for each in headers["webhook-signature"].split())

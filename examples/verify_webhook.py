"""Tell a webhook of the market's from a forgery."""

import hashlib
import hmac


def is_ours(secret: str, raw_body: bytes, x_dcp_signature: str) -> bool:
    """Tell whether the header `X-DCP-Signature` belongs to the body as it came, byte for byte."""
    expected = "sha256=" + hmac.new(secret.encode(), raw_body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, x_dcp_signature)

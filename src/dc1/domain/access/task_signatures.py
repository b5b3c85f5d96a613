"""Codes by which a daemon can tell that a task came from the server and reached it unchanged.

A provider's secret is derived from its key, so that the daemon can derive it too and nothing more has to be stored:
`secret = HMAC-SHA256(key: SHA-256 of the API key, message: "dc1-task-spec")`. The code of a task is the HMAC-SHA256 of
its text with that secret, in hex.
"""

import hashlib
import hmac
from collections.abc import Iterable

from dc1.domain.base.json_types import JsonValue, compact

_PURPOSE = b"dc1-task-spec"


def task_text(task_spec: JsonValue) -> str | None:
    """Return the text that a task is handed out as, None without one."""
    return None if task_spec is None else compact(task_spec)


def task_signature(key_hash: str, text: str) -> str:
    """Return the code of a task for the holder of the key with this stored hash."""
    secret = hmac.digest(bytes.fromhex(key_hash), _PURPOSE, hashlib.sha256)
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def is_signature_of_any(code: str, key_hashes: Iterable[str], texts: Iterable[str]) -> bool:
    """Tell whether a code is that of one of the texts with one of the keys."""
    known = [task_signature(key_hash, text) for key_hash in key_hashes for text in texts]
    presented = code.strip().lower().encode()
    # Every one is compared, so that the time taken says nothing.
    return sum(hmac.compare_digest(presented, item.encode()) for item in known) > 0

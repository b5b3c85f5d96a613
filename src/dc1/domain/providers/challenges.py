"""Challenges are given to doubtful machines, and their solutions judged."""

import re
import secrets
from dataclasses import dataclass

from dc1.domain.providers.verification import Flag

MATRIX_SIZE = 4096
ITERATIONS = 5

# How long it may be solved, from which answers are slow, and by how much clocks may differ.
_LIFETIME_MS = 10 * 60 * 1000
_SLOW_MS = 2 * 60 * 1000
_CLOCK_TOLERANCE_MS = 1_000
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """Matrices to make from `nonce` and multiply. `fetched_at_ms` is when the daemon first saw it."""

    challenge_id: str
    nonce: str
    expires_at_ms: int
    fetched_at_ms: int | None = None


def new_challenge(now_ms: int) -> Challenge:
    """Return a challenge that nobody can have solved before."""
    return Challenge(f"chal-{secrets.token_hex(12)}", secrets.token_hex(16), now_ms + _LIFETIME_MS)


def judge(challenge: Challenge | None, result_hash: str, elapsed_ms: float | None, now_ms: int) -> tuple[Flag, ...]:
    """Return what does not fit about a solution; `elapsed_ms` is how long the daemon says that it took."""
    if challenge is None or challenge.fetched_at_ms is None:
        return (Flag.UNKNOWN_CHALLENGE,)
    if now_ms >= challenge.expires_at_ms:
        return (Flag.EXPIRED_CHALLENGE,)
    if not _SHA256.fullmatch(result_hash):
        return (Flag.MALFORMED_RESULT,)
    # By the server's clock, from the first look: what the daemon measured is only a claim.
    took_ms = now_ms - challenge.fetched_at_ms
    if elapsed_ms is not None and elapsed_ms > took_ms + _CLOCK_TOLERANCE_MS:
        return (Flag.IMPOSSIBLE_TIME,)
    return (Flag.TOO_SLOW,) if took_ms > _SLOW_MS else ()

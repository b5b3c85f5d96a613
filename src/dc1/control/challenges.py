"""Challenges that doubtful machines have to solve, one a provider, in memory."""

import re
import secrets
from dataclasses import dataclass

from dc1.domain.clock import Clock
from dc1.domain.verification import Flag

MATRIX_SIZE = 4096
ITERATIONS = 5

_LIFETIME_MS = 10 * 60 * 1000
_SLOW_MS = 2 * 60 * 1000
_CLOCK_TOLERANCE_MS = 1_000
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(slots=True)
class Challenge:
    """Matrices to make from `nonce` and multiply. `fetched_at_ms` is when the daemon first saw it."""

    id: str
    nonce: str
    expires_at_ms: int
    fetched_at_ms: int | None = None


class Challenges:
    """Who has what to solve."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending: dict[int, Challenge] = {}

    def give(self, provider_id: int) -> None:
        """Give a provider a challenge, unless it has one to solve."""
        if self._current(provider_id) is None:
            expires_at_ms = self._clock.now_ms() + _LIFETIME_MS
            self._pending[provider_id] = Challenge(
                f"chal-{secrets.token_hex(12)}", secrets.token_hex(16), expires_at_ms
            )

    def fetch(self, provider_id: int) -> Challenge | None:
        """Return what a provider has to solve; its time starts when it first asks."""
        challenge = self._current(provider_id)
        if challenge is not None and challenge.fetched_at_ms is None:
            challenge.fetched_at_ms = self._clock.now_ms()
        return challenge

    def solve(
        self, provider_id: int, challenge_id: str, result_hash: str, elapsed_ms: float | None
    ) -> tuple[Flag, ...]:
        """Take a solution, which ends the challenge, and return what does not fit about it."""
        challenge = self._pending.get(provider_id)
        if challenge is None or challenge.id != challenge_id or challenge.fetched_at_ms is None:
            return (Flag.UNKNOWN_CHALLENGE,)
        del self._pending[provider_id]
        now_ms = self._clock.now_ms()
        if now_ms >= challenge.expires_at_ms:
            return (Flag.EXPIRED_CHALLENGE,)
        if not _SHA256.fullmatch(result_hash):
            return (Flag.MALFORMED_RESULT,)
        took_ms = now_ms - challenge.fetched_at_ms
        if elapsed_ms is not None and elapsed_ms > took_ms + _CLOCK_TOLERANCE_MS:
            return (Flag.IMPOSSIBLE_TIME,)
        return (Flag.TOO_SLOW,) if took_ms > _SLOW_MS else ()

    def _current(self, provider_id: int) -> Challenge | None:
        challenge = self._pending.get(provider_id)
        return None if challenge is None or self._clock.now_ms() >= challenge.expires_at_ms else challenge

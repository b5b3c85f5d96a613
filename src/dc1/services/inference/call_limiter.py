"""How much of /v1 each renter and scoped key uses: calls and tokens a minute, and streams at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dc1.domain.access.call_limits import CallLimits
from dc1.domain.base.clock import Clock
from dc1.domain.errors import rate_limit_exceeded
from dc1.domain.inference.allowance import Allowance
from dc1.services.api.call import Call

_MOST_KEPT = 20_000
"""Callers of whom something is remembered; who has used nothing for a minute is like one who never came."""

_BUSY_SECONDS = 1
"""When to come again where a stream has to end first, which nobody knows."""


@dataclass(slots=True)
class _Use:
    """What a renter or a key has left, and how many streams it has open."""

    requests: Allowance
    tokens: Allowance
    streams: int = 0

    @property
    def is_idle(self) -> bool:
        return not self.streams and not self.requests.reset_ms and not self.tokens.reset_ms


@dataclass(slots=True)
class Admission:
    """A call that was let in, for `tokens` that it may come to; set to what they were once it is known."""

    tokens: float


class CallLimiter:
    """Counts the calls of one server in memory; every server of a market counts its own."""

    def __init__(self, clock: Clock, usual: CallLimits) -> None:
        """`usual` is what renters may use of whom nothing else is said."""
        self._clock = clock
        self._usual = usual
        self._uses: dict[str, _Use] = {}

    @contextmanager
    def admit(self, call: Call, tokens: int, *, streamed: bool) -> Iterator[Admission]:
        """Let a call in that may come to so many tokens, and say in its headers what is left.

        Yields:
            What the call is counted for, to be corrected once it is known.

        Raises:
            rate_limit_exceeded: The caller or its key has used up what it may; nothing is counted.
        """
        held = self._held(call)
        waits = [self._wait_seconds(use, limits, tokens, streamed=streamed) for use, limits in held]
        if any(waits):
            _tell(call, held)
            raise rate_limit_exceeded(max(waits))
        admission = Admission(tokens)
        for use, _ in held:
            use.requests.left -= 1
            use.tokens.left -= tokens
            use.streams += streamed
        _tell(call, held)
        try:
            yield admission
        finally:
            for use, _ in held:
                use.tokens.left += tokens - admission.tokens
                use.streams -= streamed

    def _held(self, call: Call) -> list[tuple[_Use, CallLimits]]:
        """Return the uses that a call counts in: of its renter, and of its scoped key."""
        principal = call.principal
        subjects = [(principal.account, principal.call_limits.over(self._usual))]
        if principal.scopes is not None:
            subjects.append((f"key:{principal.key_id}", principal.key_limits.calls))
        self._forget_idle()
        return [(self._use(name, limits), limits) for name, limits in subjects]

    def _use(self, name: str, limits: CallLimits) -> _Use:
        now_ms = self._clock.now_ms()
        requests, tokens = limits.requests_per_minute or 0, limits.tokens_per_minute or 0
        use = self._uses.get(name)
        if use is None:
            use = _Use(Allowance(requests, requests, now_ms), Allowance(tokens, tokens, now_ms))
            self._uses[name] = use
        use.requests.refill(requests, now_ms)
        use.tokens.refill(tokens, now_ms)
        return use

    def _wait_seconds(self, use: _Use, limits: CallLimits, tokens: int, *, streamed: bool) -> int:
        """Return in how many seconds a call can be let in, 0 for now."""
        waits_ms = [0]
        if limits.requests_per_minute is not None:
            waits_ms.append(use.requests.wait_ms(1))
        if limits.tokens_per_minute is not None:
            waits_ms.append(use.tokens.wait_ms(tokens))
        wait = -(-max(waits_ms) // 1000)
        if streamed and limits.streams is not None and use.streams >= limits.streams:
            wait = max(wait, _BUSY_SECONDS)
        return wait

    def _forget_idle(self) -> None:
        if len(self._uses) < _MOST_KEPT:
            return
        now_ms = self._clock.now_ms()
        for name, use in list(self._uses.items()):
            use.requests.refill(use.requests.limit, now_ms)
            use.tokens.refill(use.tokens.limit, now_ms)
            if use.is_idle:
                del self._uses[name]


def _tell(call: Call, held: list[tuple[_Use, CallLimits]]) -> None:
    """Say in a call's headers what is left, of renter and key of whichever has less, in the words of OpenAI's API."""
    of_requests = [use.requests for use, limits in held if limits.requests_per_minute is not None]
    of_tokens = [use.tokens for use, limits in held if limits.tokens_per_minute is not None]
    for what, allowances in (("requests", of_requests), ("tokens", of_tokens)):
        if not allowances:
            continue
        least = min(allowances, key=lambda allowance: allowance.left)
        call.headers |= {
            f"x-ratelimit-limit-{what}": str(least.limit),
            f"x-ratelimit-remaining-{what}": str(max(0, int(least.left))),
            f"x-ratelimit-reset-{what}": _duration(least.reset_ms),
        }


def _duration(ms: int) -> str:
    minutes, rest = divmod(ms, 60_000)
    seconds = f"{rest / 1000:g}s" if rest >= 1000 or minutes else f"{rest}ms"
    return f"{minutes}m{seconds}" if minutes else seconds

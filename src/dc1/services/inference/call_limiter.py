"""How much of /v1 each renter and scoped key uses: calls and tokens a minute, and streams at a time."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from dc1.control.scheduling.replicas import Replicas
from dc1.domain.access.allowance import Allowance
from dc1.domain.access.call_limits import NO_LIMITS, CallLimits
from dc1.domain.access.call_use import CallUse
from dc1.domain.base.clock import Clock
from dc1.domain.errors import rate_limit_exceeded
from dc1.services.api.call import Call

_MOST_KEPT = 20_000
"""Callers of whom something is remembered; who has used nothing for a minute is like one who never came."""

_LOOKED_AT = 8
"""So many of them are looked at with each call once they are too many, which is more than it adds to them."""

_BUSY_SECONDS = 1
"""When to come again where a stream has to end first, which nobody knows."""


@dataclass(slots=True)
class _Use:
    """What a renter or a key has left, and how many streams it has open."""

    requests: Allowance
    tokens: Allowance
    streams: int = 0
    elsewhere: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Streams at other servers, and when they were told."""

    def streams_since(self, told_ms: int, replicas: Collection[str]) -> int:
        """Return how many streams are open here and at others that live, as far as they said so since then."""
        known = (count for name, (count, at_ms) in self.elsewhere.items() if name in replicas and at_ms >= told_ms)
        return self.streams + sum(known)

    def is_idle_since(self, told_ms: int, replicas: Collection[str]) -> bool:
        """Tell whether nothing is used of it now."""
        is_full = not self.requests.reset_ms and not self.tokens.reset_ms
        return is_full and not self.streams_since(told_ms, replicas)


_Held: TypeAlias = list[tuple[_Use, CallLimits]]


@dataclass(slots=True)
class Admission:
    """A call that was let in, for `tokens` that it may come to; set to what they were once it is known."""

    tokens: float


class CallLimiter:
    """Counts calls in memory, those at other servers too as soon as they are told."""

    def __init__(self, clock: Clock, usual: CallLimits, replicas: Replicas, longest_call_ms: int) -> None:
        """`usual` is what renters may use of whom nothing else is said; no stream is open for longer than a call."""
        self._clock = clock
        self._usual = usual
        self._replicas = replicas
        self._longest_call_ms = longest_call_ms
        self._uses: dict[str, _Use] = {}
        replicas.hear_uses(self._heard)

    def __len__(self) -> int:
        return len(self._uses)

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
        self._count(call, held, requests=1, tokens=tokens, streams=int(streamed))
        _tell(call, held)
        try:
            yield admission
        finally:
            self._count(call, held, requests=0, tokens=admission.tokens - tokens, streams=-int(streamed))

    def _count(self, call: Call, held: _Held, *, requests: int, tokens: float, streams: int) -> None:
        for name, (use, limits) in zip(_subjects(call), held, strict=True):
            use.requests.left -= requests
            use.tokens.left -= tokens
            use.streams += streams
            if limits != NO_LIMITS:
                told = CallUse("", name, requests, int(tokens), use.streams, use.requests.limit, use.tokens.limit)
                self._replicas.share_use(told)

    def _heard(self, told: CallUse) -> None:
        self._forget_idle()
        use = self._use(told.subject, CallLimits(told.requests_limit, told.tokens_limit))
        use.requests.left -= told.requests
        use.tokens.left -= told.tokens
        use.elsewhere[told.replica] = (told.streams, self._clock.now_ms())

    def _held(self, call: Call) -> _Held:
        """Return the uses that a call counts in: of its renter, and of its scoped key."""
        principal = call.principal
        limits = (principal.call_limits.over(self._usual), principal.key_limits.calls)
        self._forget_idle()
        # Of a call with the master key the renter's alone.
        return [(self._use(name, its), its) for name, its in zip(_subjects(call), limits, strict=False)]

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
        if streamed and limits.streams is not None and self._open_streams(use) >= limits.streams:
            wait = max(wait, _BUSY_SECONDS)
        return wait

    def _open_streams(self, use: _Use) -> int:
        return use.streams_since(self._clock.now_ms() - self._longest_call_ms, self._replicas.others)

    def _forget_idle(self) -> None:
        if len(self._uses) < _MOST_KEPT:
            return
        now_ms = self._clock.now_ms()
        for name in list(islice(self._uses, _LOOKED_AT)):
            use = self._uses.pop(name)
            use.requests.refill(use.requests.limit, now_ms)
            use.tokens.refill(use.tokens.limit, now_ms)
            if not use.is_idle_since(now_ms - self._longest_call_ms, self._replicas.others):
                # Behind the others: those that come next are looked at next.
                self._uses[name] = use


def _subjects(call: Call) -> list[str]:
    """Return who is counted: the renter, and the scoped key that it called with."""
    principal = call.principal
    return [principal.account] + ([] if principal.scopes is None else [f"key:{principal.key_id}"])


def _tell(call: Call, held: _Held) -> None:
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

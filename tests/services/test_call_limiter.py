"""Who is remembered for the limits of /v1 is bounded, and nobody waits for a walk over all of them."""

import pytest

from dc1.control.scheduling.replicas import NoReplicas
from dc1.domain.access.call_limits import CallLimits
from dc1.domain.access.roles import Role
from dc1.domain.errors import ApiError
from dc1.services.api.call import Call, Principal
from dc1.services.inference.call_limiter import CallLimiter
from dc1.testing.clock import ManualClock

_MOST_KEPT = 20_000
_LIMITS = CallLimits(requests_per_minute=60, tokens_per_minute=1_000, streams=1)


def call_of(renter_id: int) -> Call:
    return Call("", Principal(Role.RENTER, renter_id), "", "", is_rest=True, metadata={})


def test_who_used_nothing_for_a_minute_is_forgotten_a_few_at_a_time() -> None:
    clock = ManualClock(0)
    limiter = CallLimiter(clock, _LIMITS, NoReplicas(), 300_000)
    for renter_id in range(_MOST_KEPT):
        with limiter.admit(call_of(renter_id), 10, streamed=True):
            pass
    clock.advance(61)
    with limiter.admit(call_of(0), 10, streamed=True):
        for renter_id in range(_MOST_KEPT, _MOST_KEPT + 4_000):
            before = len(limiter)
            with limiter.admit(call_of(renter_id), 10, streamed=False):
                assert before - len(limiter) < 10
        # All who are idle go, and whoever has a stream open does not.
        assert len(limiter) <= _MOST_KEPT
        with pytest.raises(ApiError), limiter.admit(call_of(0), 10, streamed=True):
            pass

"""Looking for work for those who were woken."""

import pytest

from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.job_queue import JobQueue
from dc1.control.scheduling.scheduler import Scheduler
from dc1.domain.providers.liveness import Thresholds
from dc1.testing.clock import ManualClock


def test_a_machine_is_not_looked_at_while_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each beat of each machine wakes it, and its view is most of what such a look costs."""
    clock = ManualClock(1_774_206_000_000)
    fleet = Fleet(clock, Thresholds())
    fleet.add(Provider(1, "P", "p@example.sa", "H100", "linux", 0))
    looked_at: list[int] = []
    monkeypatch.setattr(fleet, "view", lambda provider: looked_at.append(provider.id))
    scheduler = Scheduler(clock, fleet, JobQueue(), patience_ms=0)
    scheduler.wake(1)
    assert scheduler.take(10) == []
    assert looked_at == []

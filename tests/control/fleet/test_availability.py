"""The index of free providers against the plain rule that it speeds up."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.control.fleet.availability import FreeProviders
from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.kinds import Machines
from dc1.control.fleet.provider import Provider
from dc1.domain.gpus.card_record import CardRecord
from dc1.domain.jobs.placement import ProviderView, Requirement, Room, capability_obstacle, choose
from dc1.domain.providers.liveness import Approval, Channel, Presence, ProviderStatus, Thresholds
from dc1.domain.providers.reports import Facts
from dc1.testing.clock import ManualClock

MODELS = ("acme/chat-7b", "acme/chat-70b")

views = st.builds(
    ProviderView,
    id=st.integers(1, 8),
    approval=st.sampled_from([Approval.APPROVED, Approval.APPROVED, Approval.PENDING]),
    status=st.sampled_from(
        [ProviderStatus.ONLINE, ProviderStatus.DEGRADED, ProviderStatus.PAUSED, ProviderStatus.OFFLINE]
    ),
    slots=st.integers(1, 3),
    occupied=st.integers(0, 3),
    vram_mib=st.sampled_from([None, 8192, 24564]),
    gpu_type=st.sampled_from([None, "H100"]),
    models=st.frozensets(st.sampled_from(MODELS)),
    job_types=st.sampled_from([None, frozenset({"benchmark"}), frozenset({"llm_inference"})]),
    reputation=st.integers(0, 14),
    price_bps=st.sampled_from([4_000, 10_000, 55_000]),
)
requirements = st.builds(
    Requirement,
    named_provider_id=st.none() | st.integers(1, 8),
    excluded_provider_id=st.none() | st.integers(1, 8),
    model=st.sampled_from([None, *MODELS]),
    min_vram_gb=st.sampled_from([None, 8.0, 24.0]),
    gpu_type=st.sampled_from([None, "H100"]),
    gpu_count=st.integers(1, 2),
    job_type=st.sampled_from([None, "llm_inference"]),
    max_price_bps=st.sampled_from([None, 3_999, 10_000]),
    prefers_price=st.booleans(),
)


def follow(index: FreeProviders | Machines, changes: list[ProviderView], dropped: set[int]) -> dict[int, ProviderView]:
    """Tell an index what became of providers, and return those that there are in the end, by id."""
    latest = {}
    for view in changes:
        index.put(view)
        latest[view.id] = view
    for provider_id in dropped:
        index.drop(provider_id)
        latest.pop(provider_id, None)
    return latest


@given(
    changes=st.lists(views, max_size=30),
    dropped=st.sets(st.integers(1, 8), max_size=2),
    requirement=requirements,
    prewarm=st.booleans(),
    avoid=st.frozensets(st.integers(1, 8), max_size=3),
)
def test_the_best_provider_is_the_one_that_the_rule_chooses(
    changes: list[ProviderView],
    dropped: set[int],
    requirement: Requirement,
    prewarm: bool,
    avoid: frozenset[int],
) -> None:
    free = FreeProviders()
    latest = follow(free, changes, dropped)

    best = free.best(requirement, prewarm=prewarm, avoid=avoid)

    assert best == choose(latest.values(), requirement, prewarm=prewarm, avoid=avoid)


@given(changes=st.lists(views, max_size=30), dropped=st.sets(st.integers(1, 8), max_size=2), requirement=requirements)
def test_the_machines_that_fit_are_those_that_the_rule_lets_through(
    changes: list[ProviderView], dropped: set[int], requirement: Requirement
) -> None:
    machines = Machines()
    latest = follow(machines, changes, dropped)
    fitting = {view.id: view.price_bps for view in latest.values() if capability_obstacle(view, requirement) is None}
    found = {machine: price for price, members in machines.fitting(requirement) for machine in members}
    assert found == fitting
    assert machines.count(requirement) == len(fitting)
    dearest = machines.dearest(requirement)
    assert (dearest and dearest[0]) == max(fitting.values(), default=None)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"inference_slots": 4},
        {"draining": True},
        {"gpu_status": {"gpus_present": 0}},
        {"cards": CardRecord({"all_gpus": [{"index": 0, "xid_errors": [79]}]})},
        {"stream_replica": "another"},
        {"suspended": True},
    ],
)
def test_room_that_is_taken_is_seen_as_a_look_at_the_whole_machine_sees_it(change: dict[str, Any]) -> None:
    """Twice a job only the room is taken over, of what placement knows."""
    clock, thresholds = ManualClock(1_774_206_000_000), Thresholds()
    fleet = Fleet(clock, thresholds)
    presence = Presence(Channel.STREAM, stream_open=True, last_heartbeat_ms=clock.now_ms())
    provider = Provider(1, "P", "p@example.sa", "H100", "linux", 0, approval=Approval.APPROVED, presence=presence)
    for name, value in {"hardware_reported": True, "facts": Facts(gpu_name="H100", gpu_count=2), **change}.items():
        setattr(provider, name, value)
    fleet.add(provider)
    for move, room in [(fleet.occupy, Room(1)), (fleet.occupy, Room(0, 1)), (fleet.release, Room(1))]:
        move(provider.id, room)
        assert fleet.availability._views[provider.id] == fleet.view(provider)

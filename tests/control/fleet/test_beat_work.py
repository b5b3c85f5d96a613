"""What a beat costs, counted in calls of functions, which are as many on every machine."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.provider import Provider
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.placement import Requirement, Room
from dc1.domain.providers.liveness import Approval, Channel, Presence, Thresholds
from dc1.domain.providers.preferences import Preferences
from dc1.domain.providers.reports import Facts, read_report
from dc1.testing.clock import ManualClock

_MOST_CALLS = 200
_MOST_CALLS_OF_ROOM = 70


def _beat(
    fleet: Fleet, provider: Provider, temp_c: int, *, model: str = "b/model", failing: bool = False, **state: Any
) -> None:
    card: JsonObject = {
        "index": 0,
        "gpu_uuid": "GPU-5a1e",
        "gpu_name": "NVIDIA H100",
        "gpu_vram_mib": 81559,
        "temp_c": temp_c,
    }
    status: JsonObject = {
        **card,
        "free_vram_mib": 60321,
        "gpu_util_pct": 30 + temp_c % 7,
        "power_w": 412.5,
        "gpu_count": 1,
        "driver_version": "550.54.15",
        "daemon_version": "3.3.0",
        "all_gpus": [card | {"xid_errors": [79]} if failing else card],
    }
    report = read_report({"gpu_status": status, "cached_models": ["a/model", model]})
    said = {"draining": False, "job_types": frozenset({"llm_inference"}), **state}
    fleet.presence.stream_beat(provider, report, **said)


def _fleet_of_one() -> tuple[Fleet, Provider]:
    fleet = Fleet(ManualClock(1_774_206_000_000), Thresholds())
    presence = Presence(Channel.STREAM, stream_open=True)
    provider = Provider(1, "P", "p@example.sa", "H100", "linux", 0, approval=Approval.APPROVED, presence=presence)
    fleet.add(provider)
    return fleet, provider


def _calls_of(work: Callable[[], None]) -> int:
    called = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal called
        called += event == "call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return called


def test_a_beat_that_changes_nothing_but_measurements_is_cheap() -> None:
    fleet, provider = _fleet_of_one()
    for temp_c in (50, 51):
        _beat(fleet, provider, temp_c)
    called = _calls_of(lambda: _beat(fleet, provider, 52))
    assert provider.gpu_status is not None
    assert provider.gpu_status["temp_c"] == 52
    assert called <= _MOST_CALLS


def test_what_a_beat_changes_for_placement_is_seen_at_once() -> None:
    """Though of most beats nothing is looked at but what time and use change."""
    fleet, provider = _fleet_of_one()
    best = fleet.availability.local.best
    fleet.set_preferences(provider, Preferences(temp_limit_c=70))
    _beat(fleet, provider, 50)
    _beat(fleet, provider, 51)
    assert best(Requirement(model="b/model")) == provider.id
    _beat(fleet, provider, 52, model="c/model")
    assert (best(Requirement(model="b/model")), best(Requirement(model="c/model"))) == (None, provider.id)
    _beat(fleet, provider, 52, model="c/model", draining=True)
    assert best(Requirement()) is None
    _beat(fleet, provider, 71, model="c/model")
    assert best(Requirement()) is None
    _beat(fleet, provider, 70, model="c/model")
    assert best(Requirement()) == provider.id
    _beat(fleet, provider, 70, model="c/model", failing=True)
    assert best(Requirement()) is None
    _beat(fleet, provider, 70, model="c/model", job_types=frozenset({"benchmark"}))
    assert (best(Requirement(job_type="llm_inference")), best(Requirement(job_type="benchmark"))) == (None, provider.id)
    fleet.presence.stream_closed(provider)
    fleet.presence.stream_opened(provider)
    assert fleet.view(provider).streaming
    _beat(fleet, provider, 70, model="c/model", job_types=frozenset({"benchmark"}))
    assert best(Requirement(job_type="benchmark", at_once=True, model="c/model")) == provider.id


def test_the_first_report_that_a_server_hears_is_judged_though_it_says_what_was_stored() -> None:
    fleet, provider = _fleet_of_one()
    provider.hardware_reported, provider.cached_models = True, ("a/model", "b/model")
    provider.facts = Facts("NVIDIA H100", 24_564, 1, "550.54.15", daemon_version="3.3.0")
    report = read_report({"gpu_status": {"gpu_name": "NVIDIA H100", "gpu_vram_mib": 24_564}})
    fleet.presence.stream_beat(provider, report, frozenset(), draining=False)
    assert provider.mismatch is not None


def test_room_that_is_taken_and_given_back_is_cheap() -> None:
    """Twice a job, and nothing else changes: what placement sees of the machine was made anew."""
    fleet, provider = _fleet_of_one()
    _beat(fleet, provider, 50)
    assert _calls_of(lambda: fleet.occupy(provider.id, Room(1))) <= _MOST_CALLS_OF_ROOM
    assert fleet.availability.local.best(Requirement()) is None
    assert _calls_of(lambda: fleet.release(provider.id, Room(1))) <= _MOST_CALLS_OF_ROOM
    assert fleet.availability.local.best(Requirement()) == provider.id

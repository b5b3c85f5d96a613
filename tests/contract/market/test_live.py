"""What whoever watches many things at once is told (contract 6.1): the fleet, an owner's machines, jobs, the queue."""

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from dc1.services.api.values import message_json
from dc1.testing.market import LocalMarket
from dc1.testing.people import J3
from dc1.testing.poll_daemon import REPORT
from dc1.testing.rest import Json
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.sse import Events, events
from dcp.v1 import live_pb2 as pb
from dcp.v1 import monitoring_pb2
from tests.contract.expect import answered

ALERTS = "/admin/fleet/alerts/stream"
FLEET, MACHINES, JOBS, QUEUE = (
    "/admin/providers/stream",
    "/providers/me/machines/stream",
    "/jobs/stream",
    "/admin/queue/stream",
)
HOT = {**REPORT, "gpu_status": {**REPORT["gpu_status"], "temp_c": 93, "gpu_util_pct": 12}}


def snapshot(stream: Events, kind: str, name: str = "snapshot") -> list[Json]:
    """What comes before `ready`."""
    found: list[Json] = []
    for event in stream:
        if event.name == "ready":
            return found
        assert event.name == name
        found += event.data[kind]
    raise AssertionError("no ready")


def is_written_as(data: Json, message: Message) -> None:
    """Every field of the documented message, and nothing else."""
    assert message_json(ParseDict(data, message)).keys() == data.keys()


def change_of(stream: Events, kind: str, **wanted: Any) -> Json:
    """The first thing that is told to be like that."""
    for event in stream:
        for told in event.data[kind]:
            if wanted.items() <= told.items():
                return dict(told)
    raise AssertionError("ended")


def test_the_fleet_and_an_owners_machines_as_they_change(quiet_market: LocalMarket) -> None:
    mine, other = quiet_market.add_provider(), quiet_market.add_provider()
    with (
        events(quiet_market.rest, FLEET, key=ADMIN_TOKEN) as fleet,
        events(quiet_market.rest, MACHINES, key=mine.key) as own,
    ):
        told = snapshot(fleet, "machines")
        assert {machine["id"] for machine in told} >= {mine.id, other.id}
        assert [machine["id"] for machine in snapshot(own, "machines")] == [mine.id]
        is_written_as(told[0], pb.LiveMachine())

        other.heartbeat(HOT)
        mine.heartbeat(HOT)

        hot = {"temp_c": 93, "gpu_util_pct": 12, "status": "online"}
        assert change_of(fleet, "machines", id=other.id, **hot)["slots_used"] == 0
        # Its own alone, though the other was heard before.
        assert [machine["id"] for machine in own.next().data["machines"]] == [mine.id]

        answered(quiet_market.admin.post(f"/admin/providers/{mine.id}/suspend"))
        assert change_of(fleet, "machines", id=mine.id)["status"] == "suspended"
        assert change_of(own, "machines", id=mine.id)["status"] == "suspended"


def test_jobs_as_they_move_each_to_its_own_people(quiet_market: LocalMarket) -> None:
    provider, renter, stranger = quiet_market.add_provider(), quiet_market.add_renter(), quiet_market.add_renter()
    before = renter.submit(J3, provider_id=provider.id)
    with (
        events(quiet_market.rest, JOBS, key=renter.key) as mine,
        events(quiet_market.rest, JOBS, key=provider.key) as held,
        events(quiet_market.rest, JOBS, key=stranger.key) as theirs,
        events(quiet_market.rest, JOBS, key=ADMIN_TOKEN) as all_of_them,
    ):
        for stream in (mine, held):
            assert [job["id"] for job in snapshot(stream, "jobs")] == [before["id"]]
        assert snapshot(theirs, "jobs") == []
        assert before["id"] in [job["id"] for job in snapshot(all_of_them, "jobs")]

        assert quiet_market.next_job(provider)["id"] == before["id"]
        provider.progress(before["id"], "generating")
        for stream in (mine, held, all_of_them):
            running = change_of(stream, "jobs", id=before["id"], status="running", progress_phase="generating")
            is_written_as(running, pb.LiveJob())
        answered(provider.try_result(before["id"], error="it broke"))
        for stream in (mine, held, all_of_them):
            assert change_of(stream, "jobs", id=before["id"], status="failed")["error"]

        # The first that a stranger hears is its own.
        job = stranger.submit(J3)
        assert theirs.next().data["jobs"][0]["id"] == job["id"]


def test_the_queue_as_it_grows_and_shrinks(quiet_market: LocalMarket) -> None:
    provider, renter = quiet_market.add_provider(), quiet_market.add_renter()
    with events(quiet_market.rest, QUEUE, key=ADMIN_TOKEN) as stream:
        first = stream.next()
        assert (first.name, stream.next().name) == ("queue", "ready")
        is_written_as(first.data, pb.QueueEvent())
        waiting = first.data["queued"]

        nowhere = {"gpu_type": "H200", "vram_gb": 141}
        renter.submit(J3, gpu_requirements=nowhere)
        grown = next(event.data for event in stream if event.data["queued"] == waiting + 1)
        assert {"gpu_type": "H200", "depth": 1, "oldest_seconds": 0} in grown["by_gpu_type"]

        job = renter.submit(J3, provider_id=provider.id)
        assert quiet_market.next_job(provider)["id"] == job["id"]
        provider.result(job["id"])
        started, ended = 0, 0
        while (started, ended) != (1, 1):
            data = stream.next().data
            started, ended = started + data["started"], ended + data["ended"]


def test_what_is_wrong_in_the_fleet_and_who_waits_as_it_becomes_so(quiet_market: LocalMarket) -> None:
    provider = quiet_market.add_provider()
    with events(quiet_market.rest, ALERTS, key=ADMIN_TOKEN) as stream:
        first = stream.next()
        assert (first.name, stream.next().name) == ("snapshot", "ready")
        is_written_as(first.data, pb.AlertsEvent())
        broken = {"gpu_name": "RTX 4090", "gpu_vram_mib": 24564, "gpu_uuid": "GPU-1", "ecc_uncorrected_new": 2}
        provider.heartbeat({**REPORT, "gpu_status": broken})
        waits = quiet_market.register_provider()
        told = _until(stream, alerts=provider.id, awaiting_approval=waits.id)
        alert = told["alerts"][provider.id]
        (listed,) = (
            each
            for each in answered(quiet_market.admin.get("/admin/fleet/alerts"))["alerts"]
            if each["provider_id"] == provider.id
        )
        provider.heartbeat({**REPORT, "gpu_status": {**broken, "ecc_uncorrected_new": 0, "gpu_uuid": "GPU-2"}})
        quiet_market.admin.approve(waits.id)
        over = _until(stream, ended=provider.id, decided=waits.id)
    is_written_as(over["ended"][provider.id], pb.EndedAlert())
    assert listed == alert
    assert over["ended"][provider.id]["reason"] == alert["reason"]
    is_written_as(alert, monitoring_pb2.FleetAlert())
    assert alert["detail"] == "GPU GPU-1 is given no work: 2 new uncorrected ECC errors"
    assert alert["detail_ar"] == "لا تُعطى البطاقة GPU-1 عملًا: أخطاء ECC الجديدة غير المصححة 2"


def _until(stream: Events, **wanted: int) -> dict[str, dict[int, Any]]:
    """What is told, by kind and machine, until a machine of each of these kinds was told of."""
    told: dict[str, dict[int, Any]] = {kind: {} for kind in ("alerts", "awaiting_approval", "ended", "decided")}
    while any(machine not in told[kind] for kind, machine in wanted.items()):
        event = stream.next()
        assert event.name == "change"
        for kind, machines in told.items():
            machines.update(
                {each["provider_id"] if isinstance(each, dict) else each: each for each in event.data[kind]}
            )
    return told


def test_one_machine_alone_is_followed(quiet_market: LocalMarket) -> None:
    one, other = quiet_market.add_provider(), quiet_market.add_provider()
    with events(quiet_market.rest, FLEET, key=ADMIN_TOKEN, params={"provider_id": str(one.id)}) as stream:
        (told,) = snapshot(stream, "machines")
        is_written_as(told, pb.LiveMachine())
        assert told["id"] == one.id
        other.heartbeat(HOT)
        one.heartbeat(HOT)
        (told,) = stream.next().data["machines"]
        assert (told["id"], told["temp_c"]) == (one.id, 93)
    unknown = quiet_market.admin.get(FLEET, params={"provider_id": 10**6})
    assert (unknown.status_code, unknown.json()["error"]) == (404, "Provider not found")


@pytest.mark.parametrize("path", [FLEET, JOBS, QUEUE, ALERTS])
def test_once_ends_with_what_there_is(quiet_market: LocalMarket, path: str) -> None:
    with events(quiet_market.rest, path, key=ADMIN_TOKEN, params={"once": "true"}) as stream:
        told = list(stream)
    assert [event.id for event in told] == [str(number) for number in range(1, len(told) + 1)]
    assert told[-1].name == "ready"

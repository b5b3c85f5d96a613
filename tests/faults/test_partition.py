"""A daemon in a network of its own is cut off without a word: no FIN, no RST, its packets just go nowhere."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dc1.control.beat_pace import MOST_STRETCH
from dc1.domain.jobs.states import JobEvent
from dc1.storage.jobs import job_events, jobs
from dc1.storage.jobs.job_events import EventRow
from dc1.testing.people import Renter, answered
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.chaos.verdict import still_at_work, told
from tests.chaos.world import World

BEAT_SECONDS = 1.0
GRACE_SECONDS = 1
MISSED_BEATS = 3
REACTION_SECONDS = 2.0
"""What a busy machine may need on top."""


@dataclass(frozen=True, slots=True)
class Network:
    """A namespace that a pair of virtual cards joins to this one, which has the address `host` there."""

    name: str
    host: str
    far: str

    @property
    def command(self) -> tuple[str, ...]:
        """What to put before a command that shall run in it."""
        return (shutil.which("ip") or "ip", "netns", "exec", self.name)

    def cut(self) -> None:
        _ip("-n", self.name, "link", "set", self.far, "down")

    def join(self) -> None:
        _ip("-n", self.name, "link", "set", self.far, "up")


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True, text=True)


@pytest.fixture
def network() -> Iterator[Network]:
    """Two ends, numbered after this process so that test runs do not meet."""
    number = os.getpid() % 16_384
    subnet = f"198.18.{number // 64}.{number % 64 * 4}"
    prefix, _, last = subnet.rpartition(".")
    network = Network(f"dc1-{number}", f"{prefix}.{int(last) + 1}", f"dc1-{number}f")
    near = f"dc1-{number}n"
    if shutil.which("ip") is None:
        pytest.skip("There is no `ip` command here (Debian: apt install iproute2), so no network to cut can be made.")
    try:
        _ip("netns", "add", network.name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"This machine does not allow network namespaces: {error.stderr.strip()}")
    try:
        _ip("link", "add", near, "type", "veth", "peer", "name", network.far, "netns", network.name)
        _ip("addr", "add", f"{network.host}/30", "dev", near)
        _ip("link", "set", near, "up")
        _ip("-n", network.name, "addr", "add", f"{prefix}.{int(last) + 2}/30", "dev", network.far)
        network.join()
        yield network
    finally:
        _ip("netns", "delete", network.name)


@pytest.fixture
def world(tmp_path: Path, network: Network) -> Iterator[World]:
    """A server behind Envoy, which listens on the near end of the network."""
    world = World(
        tmp_path,
        f"sqlite:///{tmp_path / 'dc1.sqlite3'}",
        http_host=network.host,
        beat_interval_seconds=BEAT_SECONDS,
        stream_grace_seconds=GRACE_SECONDS,
    )
    try:
        world.start()
        yield world
    finally:
        world.close()


@pytest.mark.parametrize(
    ("comes_back", "seconds"),
    [("with a late result", [4, 12]), ("still working", [200, 12])],
    ids=str,
)
def test_a_daemon_cut_off_without_a_word_is_lost_and_can_settle_nothing_when_it_comes_back(
    world: World, network: Network, comes_back: str, seconds: list[float]
) -> None:
    renter = world.add_renter()
    first = world.add_daemon(*network.command)
    eventually(lambda: world.is_online(first), "the first daemon being there", 30)
    job = renter.submit(duration_minutes=5, params={"prompt": "x", "seconds": seconds})
    old, new = (job["job_id"], 1), (job["job_id"], 2)
    first.present.expect('"work begun"')
    second = world.add_daemon()
    eventually(lambda: world.is_online(second), "the second daemon being there", 30)

    network.cut()
    cut_at = world.now_ms()
    second.present.expect('"work begun"')
    assert set(told(second.present, "work begun")) == {new}
    retried = next(event for event in events(world, job) if event.event_type == JobEvent.RETRY_SCHEDULED)
    took_seconds = (retried.occurred_at_ms - cut_at) / 1000
    print(f"lost {took_seconds:.1f} s after the cut, at beats every {BEAT_SECONDS:.0f} s")
    # A server that is behind, as on a busy machine, is told less often and waits for as much longer.
    assert took_seconds < MISSED_BEATS * BEAT_SECONDS * MOST_STRETCH + REACTION_SECONDS
    if comes_back == "with a late result":
        first.present.expect('"work over"')
    else:
        assert still_at_work([first]) == {old}

    network.join()
    first.present.expect('"lease_ended"', seconds=40)
    eventually(lambda: not still_at_work([first]), "the old attempt's work being stopped")
    done = await_completed(renter, job)
    assert (done["attempt_number"], done["provider_id"]) == (2, second.id)
    runs = world.stored(lambda conn: jobs.attempts(conn, job["id"]))
    assert [(run.provider_id, run.outcome) for run in runs] == [
        (first.id, "provider_disconnect"),
        (second.id, "completed"),
    ]
    assert [event.event_type for event in events(world, job)].count(JobEvent.COMPLETED) == 1
    assert earned(world, first.key) == 0
    assert earned(world, second.key) == done["provider_earned_halala"]


def events(world: World, job: Json) -> list[EventRow]:
    return world.stored(lambda conn: job_events.page(conn, job["id"]).rows)


def await_completed(renter: Renter, job: Json) -> Json:
    eventually(lambda: renter.job(job["id"])["status"] == "completed", "the job being completed", 40)
    return renter.job(job["id"])


def earned(world: World, key: str) -> int:
    halala: int = answered(world.rest.get("/providers/earnings", key=key))["total_earned_halala"]
    return halala

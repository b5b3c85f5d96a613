"""What another replica stored of a provider is followed; what is known better here is kept."""

import pytest

from dc1.control.fleet.failover import FAILOVER_GRACE_SECONDS, RETURN_SECONDS
from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.provider import Provider
from dc1.domain.providers.gpu_sources import GpuSource
from dc1.domain.providers.liveness import Approval, Channel, Liveness, Presence
from dc1.storage.providers import standings
from dc1.testing.clock import ManualClock
from tests.control.fleet.test_fleet import account, clock, fleet, polling, streaming

__all__ = ["clock", "fleet"]


def follow(fleet: Fleet, stored: Provider, *, here: bool = False) -> bool:
    return fleet.follow(stored, here=here, decisions=fleet.decisions)


def test_a_heartbeat_that_is_not_stored_yet_is_kept(fleet: Fleet) -> None:
    provider = polling(fleet)
    assert follow(fleet, account(completed_jobs=3))
    assert fleet.presence.liveness(provider) is Liveness.ONLINE
    assert provider.completed_jobs == 3


def test_a_later_heartbeat_to_another_replica_is_followed(fleet: Fleet, clock: ManualClock) -> None:
    provider = polling(fleet)
    clock.advance(130)
    assert fleet.presence.liveness(provider) is Liveness.DEGRADED
    follow(fleet, account(presence=Presence(last_heartbeat_ms=clock.now_ms())))
    assert fleet.presence.liveness(provider) is Liveness.ONLINE
    assert fleet.lists.online() == 1


def test_a_farewell_that_is_not_stored_yet_is_kept(fleet: Fleet) -> None:
    provider = polling(fleet)
    fleet.presence.sign_off(provider)
    follow(fleet, account(presence=Presence(last_heartbeat_ms=provider.presence.last_heartbeat_ms)))
    assert fleet.presence.liveness(provider) is Liveness.OFFLINE


def test_a_stream_that_ended_here_keeps_its_grace_while_older_rows_are_read(fleet: Fleet, clock: ManualClock) -> None:
    provider = streaming(fleet)
    fleet.presence.stream_closed(provider)
    follow(fleet, account(presence=Presence(Channel.STREAM, clock.now_ms())))
    assert fleet.presence.liveness(provider) is Liveness.ONLINE
    clock.advance(10.5)
    assert fleet.presence.lost() == [provider]


def test_a_stream_on_another_replica_is_followed_and_ends_with_it(fleet: Fleet, clock: ManualClock) -> None:
    provider = polling(fleet)
    presence = Presence(Channel.STREAM, clock.now_ms(), stream_open=True)
    follow(fleet, account(presence=presence, stream_replica="b"))
    clock.advance(3600)
    assert fleet.presence.liveness(provider) is Liveness.ONLINE

    fleet.presence.replica_died({"b"})
    clock.advance(FAILOVER_GRACE_SECONDS + 9)
    assert fleet.presence.lost() == []
    clock.advance(2)
    assert fleet.presence.lost() == [provider]


def test_a_fleet_whose_streams_end_at_another_replica_is_waited_for_here_too(fleet: Fleet, clock: ManualClock) -> None:
    """The other one waited for it in vain: this one took its jobs after the grace of a single machine."""
    fleet.add_all(account(number) for number in range(1, 81))
    there = Presence(Channel.STREAM, clock.now_ms(), stream_open=True)
    for number in range(1, 81):
        follow(fleet, account(number, presence=there, stream_replica="b"))
    lost = Presence(Channel.STREAM, clock.now_ms(), stream_lost_ms=clock.now_ms())
    for number in range(1, 81):
        follow(fleet, account(number, presence=lost))
    for number in range(1, 31):
        clock.advance(1)
        follow(fleet, account(number, presence=there, stream_replica="b"))
        assert fleet.presence.lost() == []
    clock.advance(RETURN_SECONDS)
    assert {provider.id for provider in fleet.presence.lost()} == set(range(31, 81))


def test_a_stream_whose_replica_nobody_knows_has_the_failover_grace(fleet: Fleet, clock: ManualClock) -> None:
    provider = polling(fleet)
    clock.advance(1)
    follow(fleet, account(presence=Presence(Channel.STREAM, clock.now_ms())))
    clock.advance(FAILOVER_GRACE_SECONDS + 9)
    assert fleet.presence.liveness(provider) is Liveness.ONLINE


def test_a_stream_here_is_never_ended_by_a_row(fleet: Fleet, clock: ManualClock) -> None:
    provider = streaming(fleet)
    follow(fleet, account(presence=Presence(Channel.STREAM, stream_lost_ms=clock.now_ms() + 1)), here=True)
    assert provider.presence.stream_open


@pytest.mark.parametrize("when", ["before", "since"])
def test_a_decision_made_here_since_the_row_was_read_is_kept(fleet: Fleet, clock: ManualClock, when: str) -> None:
    provider = polling(fleet)
    decisions = fleet.decisions
    fleet.decide(provider, Approval.REJECTED, None, "no")
    read_at = decisions if when == "since" else fleet.decisions
    assert fleet.follow(account(), here=False, decisions=read_at) is (when == "before")
    assert provider.approval is (Approval.REJECTED if when == "since" else Approval.APPROVED)


def test_a_run_that_ended_here_since_the_row_was_read_stays_counted(fleet: Fleet) -> None:
    provider = polling(fleet)
    read_at = fleet.decisions
    fleet.count_run(provider.id, standings.completed(0))
    assert fleet.follow(account(), here=False, decisions=read_at)
    assert provider.completed_jobs == provider.record.runs == 1
    # Read later, or with all that is known: the database has the last word, also when it lost what it had.
    assert fleet.follow(account(completed_jobs=1, failed_jobs=2), here=False, decisions=read_at)
    assert (provider.completed_jobs, provider.failed_jobs) == (1, 2)
    assert follow(fleet, account())
    assert (provider.completed_jobs, provider.failed_jobs) == (0, 0)


def test_an_account_that_is_known_is_not_added_again(fleet: Fleet) -> None:
    provider = polling(fleet)
    fleet.add(account())
    assert fleet.get(1) is provider
    assert fleet.lists.by_gpu_model() == [(("RTX 4090", GpuSource.CLAIMED), 1)]

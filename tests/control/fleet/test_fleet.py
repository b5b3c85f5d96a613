"""How providers age, and what lists and the dashboard count."""

import pytest

from dc1.control.fleet.failover import FAILOVER_GRACE_SECONDS, RETURN_SECONDS
from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.provider import Provider
from dc1.domain.jobs.placement import Requirement
from dc1.domain.providers.gpu_sources import GpuSource
from dc1.domain.providers.liveness import Approval, Channel, Liveness, Presence, Thresholds
from dc1.domain.providers.reports import Report, read_report
from dc1.testing.clock import ManualClock

NOW = 1_774_206_010_000
ANY = Requirement()
CLAIMED, REPORTED = GpuSource.CLAIMED, GpuSource.REPORTED


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def fleet(clock: ManualClock) -> Fleet:
    return Fleet(clock, Thresholds())


def account(provider_id: int = 1, **facts: object) -> Provider:
    return Provider(
        id=provider_id,
        name=f"Provider {provider_id}",
        email=f"gpu{provider_id}@example.sa",
        registered_gpu_model="RTX 4090",
        os="linux",
        created_at_ms=NOW,
        approval=Approval.APPROVED,
        **facts,  # type: ignore[arg-type]
    )


def polling(fleet: Fleet, provider_id: int = 1) -> Provider:
    provider = account(provider_id)
    fleet.add(provider)
    fleet.presence.heartbeat(provider, Report())
    return provider


def streaming(fleet: Fleet, provider_id: int = 1) -> Provider:
    provider = account(provider_id)
    fleet.add(provider)
    fleet.presence.stream_opened(provider)
    fleet.presence.stream_beat(provider, Report(), frozenset({"benchmark"}), draining=False)
    return provider


@pytest.mark.parametrize(
    ("seconds", "liveness"),
    [
        (119, Liveness.ONLINE),
        (120, Liveness.DEGRADED),
        (600, Liveness.DEGRADED),
        (600.001, Liveness.OFFLINE),
        (601, Liveness.OFFLINE),
    ],
)
def test_a_silent_daemon_ages(fleet: Fleet, clock: ManualClock, seconds: float, liveness: Liveness) -> None:
    provider = polling(fleet)
    clock.advance(seconds)

    assert fleet.presence.liveness(provider) is liveness
    assert fleet.lists.online() == (liveness is Liveness.ONLINE)
    assert fleet.presence.lost() == ([provider] if liveness is Liveness.OFFLINE else [])
    assert fleet.availability.local.best(ANY) == (None if liveness is Liveness.OFFLINE else provider.id)


@pytest.mark.parametrize(("seconds", "counted"), [(299, 1), (299.999, 1), (300, 0), (301, 0)])
def test_the_dashboard_counts_five_minutes(fleet: Fleet, clock: ManualClock, seconds: float, counted: int) -> None:
    polling(fleet)
    clock.advance(seconds)
    assert fleet.lists.online_on_dashboard() == counted


def test_the_dashboard_counts_paused_suspended_and_unapproved_providers(fleet: Fleet) -> None:
    paused, suspended, undecided = (polling(fleet, number) for number in (1, 2, 3))
    fleet.set_paused(paused, True)
    suspended.suspended = True
    fleet.decide(undecided, Approval.PENDING, None, None)
    assert fleet.lists.online_on_dashboard() == 3


@pytest.mark.parametrize(
    ("seconds", "liveness"),
    [(9, Liveness.ONLINE), (10, Liveness.ONLINE), (10.001, Liveness.OFFLINE), (11, Liveness.OFFLINE)],
)
def test_a_cut_stream_has_a_grace(fleet: Fleet, clock: ManualClock, seconds: float, liveness: Liveness) -> None:
    provider = streaming(fleet)
    clock.advance(3600)
    assert fleet.presence.liveness(provider) is Liveness.ONLINE

    fleet.presence.stream_closed(provider)
    clock.advance(seconds)

    assert fleet.presence.liveness(provider) is liveness
    assert fleet.lists.online_on_dashboard() == (liveness is Liveness.ONLINE)
    assert fleet.presence.lost() == ([provider] if liveness is Liveness.OFFLINE else [])


def test_silence_on_the_stream_counts_towards_the_grace(fleet: Fleet, clock: ManualClock) -> None:
    """Also while streams that were cut after it have their grace still ahead."""
    silent, cut = streaming(fleet, 1), streaming(fleet, 2)
    fleet.presence.stream_closed(cut)
    fleet.presence.stream_closed(silent, silent_seconds=30)
    assert fleet.presence.lost() == [silent]
    assert fleet.lists.online() == 1
    clock.advance(11)
    assert set(map(id, fleet.presence.lost())) == {id(silent), id(cut)}


def test_a_lost_provider_stays_lost_until_it_is_abandoned_or_comes_back(fleet: Fleet, clock: ManualClock) -> None:
    first, second = streaming(fleet, 1), streaming(fleet, 2)
    fleet.presence.stream_closed(first)
    fleet.presence.stream_closed(second)
    clock.advance(11)
    assert len(fleet.presence.lost()) == 2
    assert len(fleet.presence.lost()) == 2

    fleet.presence.abandoned(first)
    fleet.presence.stream_opened(second)

    assert fleet.presence.lost() == []


def test_a_stream_that_comes_back_within_the_grace_was_never_lost(fleet: Fleet, clock: ManualClock) -> None:
    provider = streaming(fleet)
    fleet.presence.stream_closed(provider)
    clock.advance(9)
    fleet.presence.stream_opened(provider)
    clock.advance(60)
    assert fleet.presence.lost() == []
    assert fleet.lists.online() == 1


def test_a_daemon_that_drains_is_given_nothing_nor_after_it_left(fleet: Fleet) -> None:
    provider = streaming(fleet)
    assert fleet.availability.local.best(ANY) == provider.id

    fleet.presence.stream_beat(provider, Report(), frozenset(), draining=True)
    assert fleet.availability.local.best(ANY) is None
    fleet.presence.stream_closed(provider)
    assert fleet.availability.local.best(ANY) is None

    fleet.presence.heartbeat(provider, Report())
    assert fleet.availability.local.best(ANY) == provider.id


def test_a_daemon_that_streamed_has_the_failover_grace_after_a_restart(fleet: Fleet, clock: ManualClock) -> None:
    provider = account(presence=Presence(channel=Channel.STREAM, last_heartbeat_ms=NOW - 3_600_000))
    fleet.add(provider)

    clock.advance(FAILOVER_GRACE_SECONDS + 9)
    assert fleet.presence.liveness(provider) is Liveness.ONLINE
    clock.advance(2)
    assert fleet.presence.lost() == [provider]


def failed_over(fleet: Fleet, count: int) -> list[Provider]:
    """Daemons whose server went away."""
    providers = [account(number, presence=Presence(channel=Channel.STREAM)) for number in range(1, count + 1)]
    fleet.add_all(providers)
    return providers


def test_whom_a_server_has_no_time_for_yet_is_not_lost_while_others_come_back(fleet: Fleet, clock: ManualClock) -> None:
    *others, last = failed_over(fleet, 30)
    for provider in others:
        clock.advance(1)
        fleet.presence.stream_opened(provider)
        assert fleet.presence.lost() == []
        assert fleet.presence.liveness(last) is Liveness.ONLINE
    clock.advance(FAILOVER_GRACE_SECONDS + 11)
    assert fleet.presence.lost() == [last]


def test_a_fleet_whose_streams_end_at_once_is_waited_for_while_it_comes_back(fleet: Fleet, clock: ManualClock) -> None:
    """As after an edge that is started anew: the last of it was lost, with its runs, by no fault of its own."""
    providers = [account(number, presence=Presence(channel=Channel.STREAM)) for number in range(1, 41)]
    fleet.add_all(providers)
    for provider in providers:
        fleet.presence.stream_opened(provider)
    clock.advance(100)
    alone, *others, last = providers
    fleet.presence.stream_closed(alone)
    clock.advance(11)
    # One that goes by itself has the grace and no more.
    assert fleet.presence.lost() == [alone]
    fleet.presence.abandoned(alone)
    for provider in (*others, last):
        fleet.presence.stream_closed(provider)
    for provider in others[:30]:
        clock.advance(1)
        fleet.presence.stream_opened(provider)
        assert fleet.presence.lost() == []
    clock.advance(FAILOVER_GRACE_SECONDS + 11)
    assert fleet.presence.lost() == [*others[30:], last]


def test_a_fleet_that_fell_silent_is_waited_for_while_it_comes_back(fleet: Fleet, clock: ManualClock) -> None:
    """As behind an edge that is cut off without a word: daemons know it before each of their streams is missed here."""
    providers = [streaming(fleet, number) for number in range(1, 61)]
    came, missed = providers[:30], providers[30:]
    for provider in missed:
        # Their beats are spread over as long as one takes to come.
        clock.advance(0.3)
        fleet.presence.stream_closed(provider, silent_seconds=30)
    for provider in came:
        clock.advance(1)
        fleet.presence.stream_opened(provider)
        assert missed[-1] not in fleet.presence.lost()
    clock.advance(FAILOVER_GRACE_SECONDS + 11)
    assert missed[-1] in fleet.presence.lost()


def test_who_leaves_is_not_waited_for_because_others_go_beside_it(fleet: Fleet, clock: ManualClock) -> None:
    leaving, *others = [streaming(fleet, number) for number in range(1, 41)]
    fleet.presence.stream_beat(leaving, Report(), frozenset(), draining=True)
    for provider in (leaving, *others):
        fleet.presence.stream_closed(provider)
    lost: list[Provider] = []
    for provider in others[:20]:
        clock.advance(1)
        fleet.presence.stream_opened(provider)
        lost = fleet.presence.lost()
    assert lost == [leaving]


def test_a_machine_that_died_is_not_waited_for_as_long_as_fleets_come_and_go(fleet: Fleet, clock: ManualClock) -> None:
    """Of ten thousand there are always twenty whose streams end: its run was held as long as that went on."""
    dead, *others = [streaming(fleet, number) for number in range(1, 22)]
    fleet.presence.stream_closed(dead)
    waited = 0
    while not fleet.presence.lost() and waited < 1_000:
        for provider in others:
            fleet.presence.stream_closed(provider)
        clock.advance(1)
        for provider in others:
            fleet.presence.stream_opened(provider)
        waited += 1
    assert waited <= RETURN_SECONDS + FAILOVER_GRACE_SECONDS + 11


def test_one_that_comes_and_goes_is_no_fleet(fleet: Fleet, clock: ManualClock) -> None:
    dead, restless = streaming(fleet, 1), streaming(fleet, 2)
    fleet.presence.stream_closed(dead)
    for _ in range(30):
        fleet.presence.stream_closed(restless)
        fleet.presence.stream_opened(restless)
    clock.advance(9)
    for _ in range(30):
        fleet.presence.stream_closed(restless)
        fleet.presence.stream_opened(restless)
    clock.advance(1.5)
    assert fleet.presence.lost() == [dead]


def test_a_daemon_is_not_waited_for_longer_than_it_would_wait_itself(fleet: Fleet, clock: ManualClock) -> None:
    *others, last = failed_over(fleet, 100)
    waited = 0
    for provider in others:
        clock.advance(1)
        fleet.presence.stream_opened(provider)
        if fleet.presence.lost():
            break
        waited += 1
    assert RETURN_SECONDS <= waited <= RETURN_SECONDS + FAILOVER_GRACE_SECONDS + 11
    assert last in fleet.presence.lost()


def test_of_a_fleet_that_is_lost_at_once_some_are_told_at_a_time(fleet: Fleet, clock: ManualClock) -> None:
    providers = failed_over(fleet, 1_200)
    clock.advance(FAILOVER_GRACE_SECONDS + 11)
    told: list[int] = []
    for expected in (500, 500, 200, 0):
        lost = fleet.presence.lost()
        assert len(lost) == expected
        for provider in lost:
            fleet.presence.abandoned(provider)
        told += [provider.id for provider in lost]
    assert sorted(told) == [provider.id for provider in providers]


def test_who_cannot_be_abandoned_keeps_nobody_else_from_it(fleet: Fleet, clock: ManualClock) -> None:
    failed_over(fleet, 600)
    clock.advance(FAILOVER_GRACE_SECONDS + 11)
    seen = {provider.id for _ in range(3) for provider in fleet.presence.lost()}
    assert len(seen) == 600


def test_a_cut_is_noticed_while_others_have_the_failover_grace(fleet: Fleet, clock: ManualClock) -> None:
    fleet.add(account(1, presence=Presence(channel=Channel.STREAM, last_heartbeat_ms=NOW)))
    provider = streaming(fleet, 2)
    fleet.presence.stream_closed(provider)
    clock.advance(10.5)
    assert fleet.presence.lost() == [provider]


def test_a_beat_is_flushed_once_and_again_when_the_flush_failed(fleet: Fleet) -> None:
    provider = polling(fleet)
    unstored = fleet.reports.take_unstored()
    assert unstored == [provider]
    assert fleet.reports.take_unstored() == []
    fleet.reports.keep_unstored(unstored)
    assert fleet.reports.take_unstored() == [provider]


def test_beats_count_towards_uptime_once_each_thirty_seconds(fleet: Fleet, clock: ManualClock) -> None:
    provider = polling(fleet)
    for _ in range(6):
        clock.advance(10)
        fleet.presence.heartbeat(provider, Report())
    assert provider.beats_of_week == 3


def test_a_breakdown_follows_what_daemons_report(fleet: Fleet) -> None:
    providers = [polling(fleet, number) for number in (1, 2, 3)]
    fleet.presence.heartbeat(providers[0], read_report({"gpu_status": {"gpu_name": "NVIDIA H100"}}))
    assert fleet.lists.by_gpu_model() == [(("RTX 4090", CLAIMED), 2), (("H100", REPORTED), 1)]
    fleet.presence.heartbeat(providers[0], read_report({"gpu_status": {"gpu_name": ""}}))
    assert fleet.lists.by_gpu_model() == [(("RTX 4090", CLAIMED), 2), (("H100", REPORTED), 1)]


def test_a_model_that_is_spelled_in_two_ways_is_counted_once(fleet: Fleet) -> None:
    for number, name in enumerate(("NVIDIA GeForce RTX 4090", "nvidia-rtx4090"), start=1):
        fleet.presence.heartbeat(polling(fleet, number), read_report({"gpu_status": {"gpu_name": name}}))
    assert fleet.lists.by_gpu_model() == [(("RTX 4090", REPORTED), 2)]


def test_a_type_may_be_ordered_while_an_approved_machine_reports_it(fleet: Fleet) -> None:
    provider = polling(fleet)
    fleet.presence.heartbeat(provider, read_report({"gpu_status": {"gpu_name": "GeForce GTX 1660"}}))
    assert set(fleet.lists.gpu_types()) == {"GTX1660"}
    fleet.decide(provider, Approval.REJECTED, None, "No")
    assert not fleet.lists.gpu_types()


def test_the_newest_come_first(fleet: Fleet, clock: ManualClock) -> None:
    providers = {number: polling(fleet, number) for number in range(1, 13)}
    clock.advance(1)
    fleet.presence.heartbeat(providers[3], Report())
    assert [provider.id for provider in fleet.lists.newest()] == [12, 11, 10, 9, 8]
    assert [provider.id for provider in fleet.lists.newest_heartbeats()] == [3, 12, 11, 10, 9, 8, 7, 6, 5, 4]


def test_what_is_taken_of_a_machine_elsewhere_is_noted_without_a_look_at_the_machine(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every job of every other server came by here, and had what placement knows of its machine made anew."""
    provider = streaming(fleet)
    provider.stream_replica = "b"
    fleet.availability.update(provider)
    remote = fleet.availability.remote
    assert (remote.best(ANY), fleet.availability.local.best(ANY)) == (provider.id, None)
    monkeypatch.delattr(Provider, "view")
    fleet.occupy_elsewhere(provider.id, 1)
    assert (remote.best(ANY), provider.gpus_held) == (None, 1)
    fleet.occupy_elsewhere(provider.id, -1)
    assert (remote.best(ANY), provider.gpus_held) == (provider.id, 0)

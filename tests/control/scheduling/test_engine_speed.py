"""How fast engines answer is measured by what is relayed, and who prefers speed is placed by it (6.2)."""

import pytest

from dc1.control.feeds.run_counts import RunCounts
from dc1.control.scheduling import engine_speed
from dc1.control.scheduling.engine_speed import CALLS, STALE_MS, EngineSpeeds
from dc1.domain.inference.relayed_pace import RelayedPace
from dc1.domain.inference.usage import RelayedText
from dc1.domain.jobs.placement import Speed
from dc1.testing.clock import ManualClock

MODEL = "m"


def pace(ttft_ms: int, tokens_per_second: float) -> RelayedPace:
    seen = RelayedPace(1000)
    for step in range(11):
        seen.note(RelayedText(step + 1, step + 1), 1000 + ttft_ms + round(step * 1000 / tokens_per_second))
    return seen


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(0)


def speeds_of(clock: ManualClock, calls: dict[int, tuple[int, float]], times: int = 3) -> EngineSpeeds:
    speeds = EngineSpeeds(clock, RunCounts())
    for provider_id, (ttft_ms, rate) in calls.items():
        for _ in range(times):
            speeds.note(provider_id, MODEL.upper(), pace(ttft_ms, rate), is_here=True)
    return speeds


def test_the_fastest_and_those_hardly_slower(clock: ManualClock) -> None:
    speeds = speeds_of(clock, {1: (100, 10), 2: (105, 50), 3: (300, 48)})
    assert speeds.fastest(MODEL, [1, 2, 3, 4], Speed.LATENCY) == {1, 2}
    assert speeds.fastest(MODEL, [1, 2, 3, 4], Speed.THROUGHPUT) == {2, 3}
    assert speeds.fastest(MODEL, [1, 4], Speed.THROUGHPUT) == {1}
    assert speeds.fastest(MODEL, [4], Speed.LATENCY) == frozenset()
    assert speeds.fastest("other", [1], Speed.LATENCY) == frozenset()
    assert speeds.of_model(MODEL).ttft_ms == 105
    assert speeds.of_provider(2, ["other", MODEL])[MODEL].tokens_per_second == pytest.approx(50)


def test_an_engine_is_known_by_its_last_calls(clock: ManualClock) -> None:
    speeds = speeds_of(clock, {1: (900, 10)}, times=2)
    assert speeds.of(1, MODEL).ttft_ms is None
    for _ in range(CALLS):
        speeds.note(1, MODEL, pace(100, 20), is_here=True)
    assert (speeds.of(1, MODEL).ttft_ms, speeds.of(1, MODEL).calls) == (100, CALLS)
    clock.advance(STALE_MS / 1000 + 1)
    assert speeds.of(1, MODEL).calls == 0


def test_the_server_of_a_machine_tells_the_others_how_fast_it_is(clock: ManualClock) -> None:
    its_own, another = speeds_of(clock, {1: (100, 10), 2: (300, 50)}, times=5), speeds_of(clock, {1: (900, 10)})
    for told in its_own.take_untold():
        another.hear(told)
    assert its_own.take_untold() == (), "until they change"
    assert [another.of(each, MODEL) for each in (1, 2)] == [its_own.of(each, MODEL) for each in (1, 2)]
    another.note(1, MODEL, pace(900, 10), is_here=False)
    assert another.of(1, MODEL) == its_own.of(1, MODEL), "which has seen more of its calls"
    many = dict.fromkeys(range(200), (100, 10.0))
    told_at_once = speeds_of(clock, many, times=1).take_untold()
    assert 20 < len(told_at_once) < len(many), "as many as fit a notification"


def test_what_nobody_is_told_is_not_kept_for_ever(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_speed, "_MOST_REMEMBERED", 3)
    speeds = speeds_of(clock, dict.fromkeys(range(10), (100, 10.0)), times=1)
    assert [told.provider_id for told in speeds.take_untold()] == [7, 8, 9]


def test_what_came_in_one_piece_tells_nothing() -> None:
    whole = RelayedPace(0)
    whole.note(RelayedText(4000, 1000), 5000)
    assert (whole.ttft_ms, whole.tokens_per_second) == (None, None)
    bundled = RelayedPace(0)
    bundled.note(RelayedText(4, 1), 10)
    bundled.note(RelayedText(4000, 1000), 12)
    assert (bundled.ttft_ms, bundled.tokens_per_second) == (10, None)

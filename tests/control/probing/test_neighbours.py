"""Machines that report from one address: who is measured with whom, and how often."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from dc1.control.probing import machine_probe, prober
from dc1.control.probing.channels import Challenge
from dc1.control.scheduling.probe_messages import Begin, End, Prepare, ProbeMessage, Ready, Unable
from dc1.domain.probe import rounds
from dc1.domain.probe.rounds import Kind
from dc1.domain.providers.liveness import NO_PAUSE, Pause
from dc1.domain.providers.measurements import Device
from dc1.domain.providers.preferences import RunMode
from tests.control.probing.test_prober import Pretender, ProbedDaemon, over, pretender
from tests.control.small_market import Daemon, SmallMarket

ADDRESS = "10.0.0.1"


@pytest.fixture
async def farm(market: SmallMarket) -> AsyncIterator[Sequence[Pretender]]:
    """Three machines behind one address that were looked at when they came, and cannot compute."""
    machines = [await pretender(market, ADDRESS) for _ in range(3)]
    for machine in machines:
        machine.says = lambda _, said: Unable("no numpy here")
    await market.control.prober.look()
    await over(market)
    yield machines
    await over(market)


def asked(machines: Sequence[ProbedDaemon]) -> list[int]:
    """How often each was asked to prepare."""
    return [sum(isinstance(message, Prepare) for message in machine.heard) for machine in machines]


def often(market: SmallMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on chance has every machine measured with every look."""
    monkeypatch.setattr(prober, "_SECRETLY", _Always())


class _Always:
    """Chance that never spares anybody, and takes the first."""

    def random(self) -> float:
        return 0.0

    def sample(self, population: Sequence[object], k: int) -> list[object]:
        return list(population[:k])


async def test_machines_that_come_are_measured_together(farm: Sequence[Pretender]) -> None:
    assert asked(farm) == [1, 1, 1]


async def test_one_joint_probe_a_day_for_all_of_them(
    market: SmallMarket, farm: Sequence[Pretender], monkeypatch: pytest.MonkeyPatch
) -> None:
    often(market, monkeypatch)
    for _ in range(5):
        await market.control.prober.look()
        await over(market)
    assert asked(farm) == [2, 2, 2]
    market.clock.advance(86_401)
    for machine in farm:
        machine.daemon.beat()
    await market.control.prober.look()
    await over(market)
    assert asked(farm) == [3, 3, 3]


async def test_who_comes_late_is_measured_at_once_and_without_those_that_were(
    market: SmallMarket, farm: Sequence[Pretender]
) -> None:
    late = [await pretender(market, ADDRESS) for _ in range(2)]
    await market.control.prober.look()
    await over(market)
    assert asked([*farm, *late]) == [1, 1, 1, 1, 1]


async def test_who_works_is_paused_or_kept_by_its_owner_is_left_alone(
    market: SmallMarket, farm: Sequence[Pretender], renter: int
) -> None:
    fleet = market.control.fleet
    one, paused, kept = farm
    fleet.set_paused(paused.daemon.provider, True)
    never = replace(
        kept.daemon.provider.preferences, run_mode=RunMode.SCHEDULED, scheduled_start="00:00", scheduled_end="00:01"
    )
    fleet.set_preferences(kept.daemon.provider, never)
    market.control.prober.ask(one.daemon.provider)
    await over(market)
    assert asked(farm) == [2, 1, 1]


async def test_of_a_large_farm_some_are_measured(market: SmallMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "_TOGETHER", 2)
    machines = [await pretender(market, ADDRESS) for _ in range(3)]
    for machine in machines:
        machine.says = lambda _, said: Unable("no numpy here")
    market.control.prober.ask(machines[0].daemon.provider)
    await over(market)
    assert asked(machines)[0] == 1
    assert sum(asked(machines)) == 2


async def test_a_machine_that_polls_is_measured_with_its_neighbour_on_the_stream(market: SmallMarket) -> None:
    """Neither is sized before both are prepared."""
    streaming = await pretender(market, ADDRESS)
    polling = await market.provider(gpus=0)
    market.heartbeat(polling, {"gpu_status": {"gpus_present": 0}})
    control = market.control.prober
    streaming.daemon.provider.pauses = polling.pauses = Pause.OWNER
    assert await control.challenge(polling, ADDRESS) is None
    streaming.daemon.provider.pauses = polling.pauses = NO_PAUSE
    control.ask(streaming.daemon.provider)
    given = await control.challenge(polling, ADDRESS)
    assert given is not None
    assert isinstance(given.message, Prepare)
    assert not any(isinstance(message, Begin) for message in streaming.heard)
    following = await control.answer(polling.id, ADDRESS, given.probe_id, Ready(Device.CPU))
    assert isinstance(following, Challenge)
    assert isinstance(following.message, Begin)
    assert await control.answer(polling.id, ADDRESS, "another", Unable("")) is None
    last = await control.answer(polling.id, ADDRESS, given.probe_id, Unable("no time"))
    assert last is not None
    await over(market)
    assert polling.probe_outcome == "not measured: no time"


class _Time:
    """The server's clock, which moves by what cards are busy with."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class _Card:
    """One card, which takes half a second for each step, of whomever it is asked for, and one round at a time."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def done_at(self, now: float, steps: int) -> float:
        self._free_at = max(self._free_at, now) + 0.5 * steps
        return self._free_at


class _OnCard(ProbedDaemon):
    """A machine that has a card compute for it, and says that it has an H100."""

    def __init__(self, market: SmallMarket, daemon: Daemon, time: _Time, card: _Card) -> None:
        super().__init__(market, daemon, ADDRESS)
        self.device = Device.GPU
        # That this one is no H100 is another finding.
        daemon.provider.accepted_hardware = "H100/81559/score"
        self._time, self._card = time, card

    async def _follow(self, message: ProbeMessage) -> None:
        done_at = self._time.now
        if isinstance(message, Begin):
            done_at = self._card.done_at(done_at, message.of.steps)
        said = await asyncio.to_thread(self._compute, message)
        assert said is not None or isinstance(message, End)
        if said is not None:
            # Heard when the card was done, which may be before another one that was heard already.
            latest, self._time.now = max(self._time.now, done_at), done_at
            self.say(message.probe_id, said)
            self._time.now = latest


Cards = Callable[..., Awaitable[list[_OnCard]]]


@pytest.fixture
def on_cards(market: SmallMarket, monkeypatch: pytest.MonkeyPatch) -> Cards:
    """Machines behind one address, by the card that each has, measured when they came."""
    for kind, rows in ((Kind.PRODUCTS, 256), (Kind.MEMORY, 1024)):
        monkeypatch.setitem(rounds._ROWS, (Device.GPU, kind), rows)
        monkeypatch.setitem(rounds._FIRST_STEPS, (Device.GPU, kind), 1)
    time = _Time()
    monkeypatch.setattr(machine_probe, "time", time)

    async def measured(*cards: _Card, name: str = "NVIDIA H100 80GB HBM3") -> list[_OnCard]:
        status = {"gpu_name": name, "gpu_vram_mib": 81559, "gpus_present": 1}
        machines = [_OnCard(market, await market.daemon(gpu_status=status), time, card) for card in cards]
        await market.control.prober.look()
        await over(market)
        assert all(machine.measurement is not None for machine in machines), [each.outcome for each in machines]
        return machines

    return measured


async def test_two_claims_for_one_card_are_a_mismatch(market: SmallMarket, on_cards: Cards) -> None:
    """Contract 4.8: what they do together is what one does alone, once more and again."""
    one, other = await on_cards(card := _Card(), card)
    for machine in (one, other):
        assert "both together did what one H100 does" in (machine.daemon.provider.mismatch or "")
    # An admin decides once, and whoever was found is not looked for again.
    market.control.fleet.accept_hardware(one.daemon.provider, one.daemon.provider.doubted_hardware)
    market.control.prober.ask(one.daemon.provider)
    await over(market)
    assert one.daemon.provider.mismatch is None
    assert asked([one, other]) == [6, 6], "two joint probes, two alone and two of the pair"


async def test_a_card_that_is_claimed_once_more_later_is_found_with_the_next_joint_probe(
    market: SmallMarket, on_cards: Cards
) -> None:
    (one,) = await on_cards(card := _Card())
    (other,) = await on_cards(card)
    assert (one.daemon.provider.mismatch, other.daemon.provider.mismatch) == (None, None)
    market.control.prober.ask(one.daemon.provider)
    await over(market)
    assert one.daemon.provider.mismatch is not None
    assert other.daemon.provider.mismatch is not None


async def test_cards_of_their_own_behind_one_address_are_none_of_each_others(
    market: SmallMarket, on_cards: Cards
) -> None:
    machines = await on_cards(_Card(), _Card(), _Card())
    assert [machine.daemon.provider.mismatch for machine in machines] == [None, None, None]
    assert asked(machines) == [2, 2, 2], "together and alone, and not again"


async def test_parts_of_one_card_may_answer_for_it_by_their_own_names(market: SmallMarket, on_cards: Cards) -> None:
    machines = await on_cards(card := _Card(), card, name="NVIDIA A100-SXM4-80GB MIG 3g.40gb")
    assert [machine.daemon.provider.mismatch for machine in machines] == [None, None]
    assert asked(machines) == [1, 1]


async def test_processors_of_one_host_are_no_mismatch(market: SmallMarket) -> None:
    machines = [ProbedDaemon(market, await market.daemon(gpus=0), ADDRESS) for _ in range(2)]
    await market.control.prober.look()
    await over(market)
    assert [machine.daemon.provider.mismatch for machine in machines] == [None, None]
    assert asked(machines) == [1, 1]

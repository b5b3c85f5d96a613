"""Machines that report from one address: who is measured with whom, and how often."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from dc1.control.probing import machine_probe, prober
from dc1.control.probing.channels import Challenge
from dc1.control.scheduling.probe_messages import Begin, Prepare, ProbeMessage, Ready, Unable
from dc1.domain.probe import rounds
from dc1.domain.probe.rounds import Kind
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


def asked(machines: Sequence[Pretender]) -> list[int]:
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
    streaming.daemon.provider.paused = polling.paused = True
    assert await control.challenge(polling, ADDRESS) is None
    streaming.daemon.provider.paused = polling.paused = False
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


class _Card:
    """One card, which takes a second for each round, of whomever it is asked for, and one round at a time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._at_work = asyncio.Lock()

    def monotonic(self) -> float:
        return self.now

    async def take(self) -> None:
        async with self._at_work:
            self.now += 1.0


class _OnCard(ProbedDaemon):
    """A machine that has the card compute for it."""

    def __init__(self, market: SmallMarket, daemon: Daemon, card: _Card) -> None:
        super().__init__(market, daemon, ADDRESS)
        self._card = card

    async def _follow(self, message: ProbeMessage) -> None:
        if isinstance(message, Begin):
            await self._card.take()
        await super()._follow(message)


async def test_of_one_card_behind_two_claims_each_has_half(
    market: SmallMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract 4.8: they are measured at the same time, so what one of them has the other has not."""
    for kind, rows in ((Kind.PRODUCTS, 256), (Kind.MEMORY, 2048)):
        monkeypatch.setitem(rounds._ROWS, (Device.CPU, kind), rows)
    card = _Card()
    monkeypatch.setattr(machine_probe, "time", card)
    alone = _OnCard(market, await market.daemon(gpus=0), card)
    market.control.prober.ask(alone.daemon.provider)
    await over(market)
    beside = _OnCard(market, await market.daemon(gpus=0), card)
    whole = alone.measurement
    assert whole is not None, alone.outcome
    market.control.prober.ask(beside.daemon.provider)
    await over(market)
    assert alone.measurement is not None, alone.outcome
    assert beside.measurement is not None, beside.outcome
    # By the clock of who waits for both: a second for the one that was first, two for the other.
    assert min(alone.measurement.tops_int8, beside.measurement.tops_int8) < 0.51 * whole.tops_int8
    assert min(alone.measurement.memory_gbps, beside.measurement.memory_gbps) < 0.51 * whole.memory_gbps

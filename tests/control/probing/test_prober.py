"""When machines are measured, and what a daemon may answer: the truth, too late, something else, or nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dc1.control.probing import machine_probe
from dc1.control.probing import prober as prober_module
from dc1.control.probing.prober import Prober
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.probe_messages import (
    Begin,
    Leaves,
    Open,
    Prepare,
    ProbeMessage,
    Ready,
    Roots,
    Said,
    Unable,
)
from dc1.daemon.probe.array_library import ArrayLibrary
from dc1.domain.errors import ApiError
from dc1.domain.probe.answering import Answer
from dc1.domain.probe.commitment import OpenedLeaf
from dc1.domain.probe.rounds import LEAF_BYTES, Kind, first_round
from dc1.domain.providers.measurements import Device, Measurement
from tests.control.small_market import Daemon, SmallMarket

DEADLINE_SECONDS = 60.0


class ProbedDaemon:
    """A daemon that computes what it is asked for, unless a test has it say something else."""

    def __init__(self, market: SmallMarket, daemon: Daemon, address: str = "") -> None:
        self.daemon = daemon
        self.heard: list[ProbeMessage] = []
        self.says: Callable[[ProbeMessage, Said], Said | None] = lambda _, said: said
        self.probe_id: str | None = None
        self.device = Device.CPU
        self._market = market
        self._library = ArrayLibrary(np, np.asarray)
        self._answer: Answer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        daemon.answer = self._hear
        daemon.address = address
        daemon.provider.probes = True

    @property
    def outcome(self) -> str | None:
        return self.daemon.provider.probe_outcome

    @property
    def measurement(self) -> Measurement | None:
        return self.daemon.provider.measurement

    def say(self, probe_id: str, said: Said) -> None:
        self._market.control.prober.heard(self.daemon.provider_id, self.probe_id or probe_id, said)

    def _hear(self, message: ProbeMessage) -> None:
        self.heard.append(message)
        task = asyncio.create_task(self._follow(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, message: ProbeMessage) -> None:
        said = await asyncio.to_thread(self._compute, message)
        if said is not None and (said := self.says(message, said)) is not None:
            self.say(message.probe_id, said)

    def _compute(self, message: ProbeMessage) -> Said | None:
        match message:
            case Prepare(_, table_seed):
                self._library.load_table(table_seed, first_round(self.device, Kind.MEMORY).rows)
                return Ready(self.device)
            case Begin(_, number, of, seed):
                self._answer = Answer(self._library, of, seed)
                return Roots(number, tuple(self._answer.roots))
            case Open(_, number, refs):
                assert self._answer is not None
                opened = [OpenedLeaf(ref, leaf, tuple(path)) for ref, leaf, path in self._answer.leaves(refs)]
                return Leaves(number, tuple(opened))
        return None


class Pretender(ProbedDaemon):
    """One that computes nothing and answers at once."""

    def _compute(self, message: ProbeMessage) -> Said | None:
        match message:
            case Prepare():
                return Ready(Device.CPU)
            case Begin(_, number, of, _):
                return Roots(number, (bytes(32),) * of.steps)
            case Open(_, number, refs):
                return Leaves(number, tuple(OpenedLeaf(ref, bytes(LEAF_BYTES), (bytes(32),)) for ref in refs))
        return None


async def pretender(market: SmallMarket, address: str = "") -> Pretender:
    return Pretender(market, await market.daemon(gpus=0), address)


async def over(market: SmallMarket) -> None:
    """Wait until every probe has ended."""
    await asyncio.wait_for(market.control.prober.quiet(), DEADLINE_SECONDS)


async def test_a_machine_that_computes_is_measured(market: SmallMarket) -> None:
    probed = ProbedDaemon(market, await market.daemon(gpus=0))
    await market.control.prober.look()
    await over(market)
    measured = probed.measurement
    assert measured is not None, probed.outcome
    assert measured.device is Device.CPU
    assert measured.probed_at_ms == market.clock.now_ms()
    assert 0.0005 < measured.tops_int8 < 20
    assert 0.1 < measured.memory_gbps < 2000
    assert "TOPS" in (probed.outcome or "")


async def test_one_that_commits_to_nothing_loses_its_measurement(market: SmallMarket) -> None:
    cheat = await pretender(market)
    market.control.fleet.set_measurement(cheat.daemon.provider, Measurement(100, 100, Device.CPU, 1), "")
    market.control.prober.ask(cheat.daemon.provider)
    await over(market)
    assert cheat.measurement is None
    assert cheat.outcome is not None
    assert cheat.outcome.startswith("failed: ")


async def test_an_answer_that_comes_late_is_a_failure(market: SmallMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_probe, "_ROUND_SECONDS", 0.2)
    late = await pretender(market)
    late.says = lambda message, said: None if isinstance(message, Begin) else said
    market.control.prober.ask(late.daemon.provider)
    await over(market)
    assert late.outcome == "failed: the answer took longer than 0 s"
    # What comes after that finds nobody.
    begun = next(message for message in late.heard if isinstance(message, Begin))
    late.say(begun.probe_id, Roots(1, (bytes(32),) * begun.of.steps))
    assert late.measurement is None


@pytest.mark.parametrize("replayed", ["another probe", "another round"])
async def test_what_was_said_in_another_round_or_probe_is_no_answer(
    market: SmallMarket, monkeypatch: pytest.MonkeyPatch, replayed: str
) -> None:
    """Told by the names of both, before anything is looked at."""
    monkeypatch.setattr(machine_probe, "_ROUND_SECONDS", 0.2)
    cheat = await pretender(market)

    def older(message: ProbeMessage, said: Said) -> Said:
        if isinstance(said, Roots):
            if replayed == "another round":
                return replace(said, number=said.number + 1)
            cheat.probe_id = "an-older-one"
        return said

    cheat.says = older
    market.control.prober.ask(cheat.daemon.provider)
    await over(market)
    assert cheat.outcome == "failed: the answer took longer than 0 s"


async def test_a_daemon_that_cannot_says_why_and_keeps_what_it_has(market: SmallMarket) -> None:
    unable = await pretender(market)
    known = Measurement(1, 1, Device.CPU, 1)
    market.control.fleet.set_measurement(unable.daemon.provider, known, "")
    unable.says = lambda _, said: Unable("no numpy here")
    market.control.prober.ask(unable.daemon.provider)
    await over(market)
    assert (unable.measurement, unable.outcome) == (known, "not measured: no numpy here")


async def test_who_was_told_what_is_looked_at_has_no_excuse(market: SmallMarket) -> None:
    """Else a cheat that left much out could try until only what it has is looked at."""
    cheat = await pretender(market)
    market.control.fleet.set_measurement(cheat.daemon.provider, Measurement(1, 1, Device.CPU, 1), "")
    cheat.says = lambda message, said: Unable("got work") if isinstance(message, Open) else said
    for tries in (1, 2, 3):
        market.control.prober.ask(cheat.daemon.provider)
        await over(market)
        assert (cheat.measurement, cheat.daemon.provider.late_probes) == (None, tries)
    assert cheat.outcome == "failed: it did not open what it had committed to"


async def test_a_stream_that_is_lost_ends_a_probe_and_is_held_against_nobody(market: SmallMarket) -> None:
    cut = await pretender(market)
    working = asyncio.Event()
    cut.says = lambda message, said: working.set() if isinstance(message, Begin) else said
    market.control.prober.ask(cut.daemon.provider)
    await asyncio.wait_for(working.wait(), DEADLINE_SECONDS)
    cut.daemon.cut()
    await over(market)
    assert (cut.outcome, cut.daemon.provider.late_probes) == ("not measured: its stream was lost", 0)


async def test_a_gpu_that_is_reported_is_measured_or_nothing_is(market: SmallMarket) -> None:
    provider = await market.provider(gpu_info={"gpu_name": "NVIDIA H100"})
    daemon = Daemon(market.control, provider)
    daemon.connect()
    probed = Pretender(market, daemon)
    await market.control.prober.look()
    await over(market)
    assert probed.outcome == "not measured: it reports a GPU and would be measured without it"


async def test_a_job_ends_a_probe_which_comes_again(market: SmallMarket, renter: int) -> None:
    busy = await pretender(market)
    working = asyncio.Event()
    busy.says = lambda message, said: working.set() if isinstance(message, Begin) else said
    await market.control.prober.look()
    await asyncio.wait_for(working.wait(), DEADLINE_SECONDS)
    await market.submit(renter)
    assert busy.daemon.offers, "the job is offered while the probe runs"
    await over(market)
    assert busy.outcome == "not measured: the machine got work"
    await market.control.prober.look()
    assert not market.control.prober.is_probing(busy.daemon.provider_id), "not while it is at work"
    await busy.daemon.finish(await busy.daemon.accept())
    busy.says = lambda _, said: said
    await market.control.prober.look()
    assert market.control.prober.is_probing(busy.daemon.provider_id)
    await over(market)


async def test_machines_of_one_address_are_measured_at_the_same_time(market: SmallMarket) -> None:
    """One card must not answer for several: each has to be sized before any is measured."""
    one, two = await pretender(market, "10.0.0.1"), await pretender(market, "10.0.0.1")
    other = await pretender(market, "10.0.0.2")
    held: list[Said] = []
    sized = {daemon: asyncio.Event() for daemon in (one, two)}

    def hold(message: ProbeMessage, said: Said) -> Said | None:
        if not _is_first_round(message):
            return said
        held.append(said)
        sized[two].set()
        return None

    def pass_on(message: ProbeMessage, said: Said) -> Said:
        if _is_first_round(message):
            sized[one].set()
        return said

    one.says, two.says = pass_on, hold
    market.control.prober.ask(one.daemon.provider)
    for event in sized.values():
        await asyncio.wait_for(event.wait(), DEADLINE_SECONDS)
    assert not other.heard
    begun = [message for message in one.heard if isinstance(message, Begin)]
    assert len(begun) == 1, "it is not measured before the other is sized"
    two.say(next(message.probe_id for message in two.heard), held[0])
    await over(market)
    assert len([message for message in one.heard if isinstance(message, Begin)]) == 2


async def test_a_machine_is_due_when_it_is_new_and_when_its_hardware_changes(market: SmallMarket) -> None:
    probed = await pretender(market)
    provider = probed.daemon.provider
    provider.probes = False
    await market.control.prober.look()
    assert not probed.heard, "its daemon answers no probes"
    provider.probes = True
    await market.control.prober.look()
    await over(market)
    await market.control.prober.look()
    assert not market.control.prober.is_probing(provider.id)
    provider.facts = replace(provider.facts, gpu_count=2)
    await market.control.prober.look()
    assert market.control.prober.is_probing(provider.id)
    await over(market)


async def test_who_asks_for_challenges_more_often_is_not_drawn_more_often(
    market: SmallMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prober_module._SECRETLY, "random", lambda: 0.0)
    provider = await market.provider(gpu_info={"gpu_name": "NVIDIA H100"})
    market.control.fleet.set_measurement(provider, Measurement(1, 1, Device.GPU, 1), "")
    for _ in range(3):
        assert await market.control.prober.challenge(provider, "203.0.113.1") is None
    await market.control.prober.look()
    assert market.control.prober.is_probing(provider.id), "the draw is a look's"


async def test_without_an_interval_only_admins_ask(market: SmallMarket) -> None:
    control = market.control
    config = replace(control.config, probe_interval_seconds=0)
    feeds = control.job_feed, control.job_watch, control.run_counts
    core = Core(market.db, market.clock, config, control.fleet, control.leases, control.sessions, *feeds)
    prober = Prober(core)
    probed = await pretender(market)
    await prober.look()
    assert not probed.heard
    probed.daemon.provider.probes = False
    with pytest.raises(ApiError, match="cannot be probed now"):
        prober.ask(probed.daemon.provider)


def _is_first_round(message: ProbeMessage) -> bool:
    return isinstance(message, Begin) and message.number == 1


async def test_a_large_fleet_is_looked_at_in_several_looks(
    market: SmallMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is there is found all the same, and so is who came meanwhile, in the next round."""
    monkeypatch.setattr(prober_module, "_EACH_LOOK", 1)
    monkeypatch.setattr(prober_module, "_MOST_LOOKS", 2)
    cheats = [await pretender(market, f"198.51.100.{number}") for number in range(3)]

    async def looked() -> list[bool]:
        await market.control.prober.look()
        await over(market)
        return [cheat.outcome is not None for cheat in cheats]

    assert sum(await looked()) == 2
    cheats.append(await pretender(market, "198.51.100.9"))
    assert await looked() == [True, True, True, False]
    await looked()
    assert await looked() == [True] * 4

"""Which machine is measured when: once it may work, when its hardware changes, and now and then while it is idle."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import structlog

from dc1.containment import contained
from dc1.control.failures import level_of
from dc1.control.fleet.provider import Provider
from dc1.control.periodic import every, in_turns
from dc1.control.probing.channels import Challenge, PolledChannel, ProbeChannel
from dc1.control.probing.machine_probe import MachineProbe, ProbeFailedError, ProbeLateError, ProbeStoppedError
from dc1.control.probing.shared_cards import SharedCards
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.probe_messages import Said
from dc1.domain import errors
from dc1.domain.base.clock import DAY_MS
from dc1.domain.probe.rounds import Kind
from dc1.domain.providers.liveness import Approval

log = structlog.get_logger(__name__)

BEING_MEASURED = "being measured"
"""The outcome of a probe that runs."""

_LOOK_SECONDS = 1.0
_EACH_LOOK = 500
_MOST_LOOKS = 10
"""Looks in which everybody is looked at once: a walk over ten thousand each second would cost a tenth of a core."""

_AT_ONCE = 8
"""Groups that are measured at the same time: each takes a few milliseconds of this server a second."""

_TOGETHER = 16
"""Machines of one address that are measured at the same time at most; of a larger farm chance chooses them."""

_MOST_LATE = 3
"""Late answers in a row that are no stall any more."""

_WAIT_SECONDS = 5.0
"""How long a poller's call waits for what it is asked next."""

_SECRETLY = random.SystemRandom()


class Prober:
    """Begins probes, and follows what came of them. What is probed here has its stream here, or polls here."""

    def __init__(self, core: Core) -> None:
        self._clock = core.clock
        self._fleet = core.fleet
        self._sessions = core.sessions
        self._interval_seconds = core.config.probe_interval_seconds
        self._running: dict[int, MachineProbe] = {}
        self._groups: set[asyncio.Task[None]] = set()
        # What was reported when a machine was last looked at: whatever came of it, the same machine is not asked again
        # at once.
        self._looked_at: dict[int, object] = {}
        self._polled: dict[int, PolledChannel] = {}
        # Who is here and was not looked at in this round.
        self._unseen: list[int] = []
        self._share = 0
        self._chance = 0.0
        # When the machines of an address were last measured together.
        self._joint_ms: dict[str, int] = {}
        self._shared_cards = SharedCards(self._check, self._one_card)

    async def run(self) -> None:
        """Look for machines that are due, until cancelled."""
        try:
            await every(_LOOK_SECONDS, self.look)
        finally:
            for group in self._groups:
                group.cancel()
            await self.quiet()

    async def quiet(self) -> None:
        """Wait until no probe runs."""
        while self._groups:
            await asyncio.wait(self._groups)

    def is_probing(self, provider_id: int) -> bool:
        """Tell whether a machine is being measured now."""
        return provider_id in self._running

    # Asked for

    def ask(self, provider: Provider) -> None:
        """Begin a probe of one machine, and of those beside it, by an admin's wish.

        Raises:
            probe_impossible: It is not connected here, at work, or its daemon answers no probes.
        """
        channel = self._channel(provider)
        if channel is None or not self._is_free(provider) or len(self._groups) >= _AT_ONCE:
            raise errors.probe_impossible()
        self._begin_together(channel)

    def heard(self, provider_id: int, probe_id: str, said: Said) -> bool:
        """Take what a daemon says of a probe, and tell whether it was waited for; of one that is over nothing is."""
        probe = self._running.get(provider_id)
        return probe is not None and probe.id == probe_id and probe.heard(said)

    # Polled

    async def challenge(self, provider: Provider, address: str, probe_id: str | None = None) -> Challenge | None:
        """Return what a daemon that polls is asked, None when it is not probed; unless it is at one, one may begin."""
        channel = self._polled.setdefault(provider.id, PolledChannel(provider.id, address))
        channel.heard(address)
        # The others are for `look`: who asks more often must not be drawn more often.
        if self._interval_seconds and not probe_id and self._is_new(provider):
            self._look_at(provider.id)
        probe = self._running.get(provider.id)
        if probe is None or (probe_id and probe.id != probe_id):
            return None
        return Challenge(probe.id, await channel.message(_WAIT_SECONDS))

    async def answer(self, provider_id: int, address: str, probe_id: str, said: Said) -> Challenge | None:
        """Take what a daemon that polls says, and return how it goes on, None when it has no such probe here."""
        probe, channel = self._running.get(provider_id), self._polled.get(provider_id)
        is_running = probe is not None and probe.id == probe_id
        if channel is None or not (is_running or channel.tells_of(probe_id)):
            return None
        channel.heard(address)
        # An answer that is sent again, as what followed on it was lost, takes the next question from nobody.
        if self.heard(provider_id, probe_id, said):
            channel.answered()
        return Challenge(probe_id, await channel.message(_WAIT_SECONDS))

    # Due

    async def look(self) -> None:
        """Begin the probes that are due now."""
        self._polled = {id_: channel for id_, channel in self._polled.items() if channel.is_here}
        if not self._interval_seconds:
            return
        if not self._unseen:
            self._begin_round()
        now, self._unseen = self._unseen[: self._share], self._unseen[self._share :]
        async for provider_id in in_turns(now):
            self._look_at(provider_id)

    def _begin_round(self) -> None:
        """Have everybody who is here looked at, a large fleet in ten looks and not once a second."""
        self._unseen = [channel.provider_id for channel in self._channels()]
        looks = min(_MOST_LOOKS, math.ceil(len(self._unseen) / _EACH_LOOK)) or 1
        self._share = math.ceil(len(self._unseen) / looks)
        self._chance = looks * _LOOK_SECONDS / self._interval_seconds
        here = set(self._unseen)
        # A machine that comes back may be another one.
        self._looked_at = {id_: hardware for id_, hardware in self._looked_at.items() if id_ in here}
        yesterday = self._clock.now_ms() - DAY_MS
        self._joint_ms = {address: at_ms for address, at_ms in self._joint_ms.items() if at_ms > yesterday}

    def _look_at(self, provider_id: int) -> None:
        provider = self._fleet.get(provider_id)
        channel = None if provider is None else self._channel(provider)
        if provider is None or channel is None or len(self._groups) >= _AT_ONCE or not self._may_be_measured(provider):
            return
        if self._is_new(provider):
            # Without those that are known already, or each machine that comes would have a whole farm measured.
            self._begin(self._beside(channel, self._is_new))
        # Without a timetable: a machine that is fast only when it expects to be measured would need one.
        elif channel.address not in self._joint_ms and _SECRETLY.random() < self._chance:
            self._begin_together(channel)

    def _channels(self) -> Iterator[ProbeChannel]:
        yield from self._sessions
        yield from (channel for channel in self._polled.values() if self._sessions.get(channel.provider_id) is None)

    def _channel(self, provider: Provider) -> ProbeChannel | None:
        if provider.presence.stream_open:
            return self._sessions.get(provider.id) if provider.probes else None
        return self._polled.get(provider.id)

    def _is_free(self, provider: Provider) -> bool:
        is_here = self._channel(provider) is not None and provider.stream_replica is None
        may_work = provider.approval is Approval.APPROVED and not (provider.suspended or provider.deleted)
        is_idle = provider.is_idle and not provider.draining and provider.id not in self._running
        return is_here and may_work and is_idle

    def _may_be_measured(self, provider: Provider) -> bool:
        # What an owner keeps for itself now is not used for this either.
        return self._is_free(provider) and not provider.pauses and provider.reluctance(self._clock.now_ms()) is None

    def _is_new(self, provider: Provider) -> bool:
        hardware = provider.facts.hardware
        if provider.measurement is not None:
            # Measured before this server knew it, and by all it knows still the same.
            self._looked_at.setdefault(provider.id, hardware)
        return self._looked_at.get(provider.id) != hardware

    def _beside(
        self, channel: ProbeChannel, is_meant: Callable[[Provider], bool] = lambda _: True
    ) -> list[ProbeChannel]:
        """Return the idle machines that report from one address, whose one card may stand behind all of them.

        Whoever says that they are of several owners: an account costs an e-mail address, a card thousands.
        """
        beside = [
            other
            for other in self._channels()
            if channel.address
            and other is not channel
            and other.address == channel.address
            and (provider := self._fleet.get(other.provider_id)) is not None
            and self._may_be_measured(provider)
            and is_meant(provider)
        ]
        return [channel, *_SECRETLY.sample(beside, min(len(beside), _TOGETHER - 1))]

    # Running

    def _begin_together(self, channel: ProbeChannel) -> None:
        channels = self._beside(channel)
        if len(channels) > 1:
            # Once a day: of many machines one is drawn every few minutes, and all would be measured each time.
            self._joint_ms[channel.address] = self._clock.now_ms()
        self._begin(channels)

    def _begin(self, channels: Iterable[ProbeChannel]) -> None:
        probes = self._prepared(channels)
        group = asyncio.create_task(self._probe_together(probes), name=f"probe-{probes[0].provider.id}")
        self._groups.add(group)
        group.add_done_callback(self._groups.discard)

    def _prepared(self, channels: Iterable[ProbeChannel]) -> list[MachineProbe]:
        probes = [MachineProbe(self._fleet.known(channel.provider_id), channel) for channel in channels]
        for probe in probes:
            if (polled := self._polled.get(probe.provider.id)) is not None:
                # How the last one ended is nothing that this one is asked.
                polled.answered()
            self._running[probe.provider.id] = probe
            self._looked_at[probe.provider.id] = probe.provider.facts.hardware
            self._fleet.set_measurement(probe.provider, probe.provider.measurement, BEING_MEASURED)
        return probes

    async def _probe_together(self, probes: Sequence[MachineProbe]) -> None:
        left = await self._followed(probes, self._measured)
        await self._shared_cards.look(left)

    async def _check(self, channels: Sequence[ProbeChannel]) -> list[MachineProbe]:
        """Probe machines only to compare what they do: that they were measured together stays what counts."""
        providers = [self._fleet.get(channel.provider_id) for channel in channels]
        if not all(provider is not None and self._may_be_measured(provider) for provider in providers):
            return []
        outcomes = {provider.id: provider.probe_outcome for provider in providers if provider is not None}
        return await self._followed(
            self._prepared(channels), lambda probe: self._checked(probe, outcomes[probe.provider.id])
        )

    async def _followed(
        self, probes: Sequence[MachineProbe], end: Callable[[MachineProbe], None]
    ) -> list[MachineProbe]:
        """Take probes through all of their rounds, and `end` those that come through, which are returned."""
        try:
            left = await self._each(probes, MachineProbe.prepare)
            for kind in Kind:
                left = await self._each(left, partial(MachineProbe.size, kind=kind))
                # Only when all are sized: who sized slowly could wait until another is done, and have the card alone.
                left = await self._each(left, partial(MachineProbe.measure, kind=kind))
            for probe in left:
                end(probe)
            return left
        finally:
            for probe in probes:
                if self._running.get(probe.provider.id) is probe:
                    del self._running[probe.provider.id]

    async def _each(
        self, probes: Sequence[MachineProbe], step: Callable[[MachineProbe], Awaitable[None]]
    ) -> list[MachineProbe]:
        """Take a step of all probes at the same time, and return those that go on."""
        go_on = await asyncio.gather(*(self._goes_on(probe, step(probe)) for probe in probes))
        return [probe for probe, goes_on in zip(probes, go_on, strict=True) if goes_on]

    async def _goes_on(self, probe: MachineProbe, step: Awaitable[None]) -> bool:
        provider = probe.provider
        try:
            with contained():
                await step
        except ProbeStoppedError as stop:
            log.info("probe_stopped", provider_id=provider.id, reason=str(stop))
            if stop.again:
                self._looked_at.pop(provider.id, None)
            self._over(probe, str(stop))
        except ProbeFailedError as fault:
            log.warning("probe_failed", provider_id=provider.id, reason=str(fault))
            provider.late_probes += isinstance(fault, ProbeLateError)
            caught = not isinstance(fault, ProbeLateError) or provider.late_probes >= _MOST_LATE
            self._fleet.set_measurement(provider, None, f"failed: {fault}", caught=caught)
            probe.end(f"failed: {fault}")
        except Exception as failure:
            # A mistake of ours in one probe is no reason to stop those beside it.
            level_of(failure, log)("probe_not_followed", provider_id=provider.id)
            self._over(probe, "the server could not go on")
        else:
            return True
        return False

    def _over(self, probe: MachineProbe, reason: str) -> None:
        provider = probe.provider
        self._fleet.set_measurement(provider, provider.measurement, f"not measured: {reason}")
        probe.end(f"not measured: {reason}")

    def _measured(self, probe: MachineProbe) -> None:
        provider, now_ms = probe.provider, self._clock.now_ms()
        slowed_by = provider.cards.slowed_by(provider.gpu_status, now_ms) if provider.has_gpu else None
        measured = replace(probe.measurement(now_ms), slowed_by=slowed_by)
        words = f"{measured.tops_int8:g} TOPS, {measured.memory_gbps:g} GB/s on the {measured.device}"
        log.info("probe_passed", provider_id=probe.provider.id, outcome=words, seconds=probe.seconds)
        probe.provider.late_probes = 0
        self._fleet.set_measurement(probe.provider, measured, words)
        probe.end(words)

    def _checked(self, probe: MachineProbe, outcome: str | None) -> None:
        self._fleet.set_measurement(probe.provider, probe.provider.measurement, outcome or "")
        probe.end("compared with its neighbours")

    def _one_card(self, *probes: MachineProbe) -> None:
        log.warning("shared_card", provider_ids=[probe.provider.id for probe in probes])
        for probe in probes:
            self._fleet.set_shared_card(probe.provider)

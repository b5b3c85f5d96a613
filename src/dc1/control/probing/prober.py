"""Which machine is measured when: once it may work, when its hardware changes, and now and then while it is idle."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

import structlog

from dc1.containment import contained
from dc1.control.failures import level_of
from dc1.control.fleet.provider import Provider
from dc1.control.periodic import every
from dc1.control.probing.machine_probe import MachineProbe, ProbeFailedError, ProbeLateError, ProbeStoppedError
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.probe_messages import Said
from dc1.control.scheduling.sessions import Session
from dc1.domain import errors
from dc1.domain.probe.rounds import Kind
from dc1.domain.providers.liveness import Approval

log = structlog.get_logger(__name__)

BEING_MEASURED = "being measured"
"""The outcome of a probe that runs."""

_LOOK_SECONDS = 1.0
_AT_ONCE = 8
"""Groups that are measured at the same time: each takes a few milliseconds of this server a second."""

_MOST_LATE = 3
"""Late answers in a row that are no stall any more."""

_SECRETLY = random.SystemRandom()


class Prober:
    """Begins probes, and follows what came of them. What is probed here has its stream here."""

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
        session = self._sessions.get(provider.id)
        if session is None or not self._is_free(provider) or len(self._groups) >= _AT_ONCE:
            raise errors.probe_impossible()
        self._begin(self._beside(session))

    def heard(self, provider_id: int, probe_id: str, said: Said) -> None:
        """Take what a daemon says of a probe; of one that is over or is another's nothing is wanted."""
        probe = self._running.get(provider_id)
        if probe is not None and probe.id == probe_id:
            probe.heard(said)

    # Due

    async def look(self) -> None:
        """Begin the probes that are due now."""
        if not self._interval_seconds:
            return
        for provider_id in self._looked_at.keys() - {session.provider_id for session in self._sessions}:
            # A machine that comes back may be another one.
            del self._looked_at[provider_id]
        for session in self._sessions:
            if len(self._groups) >= _AT_ONCE:
                return
            provider = self._fleet.get(session.provider_id)
            if provider is not None and self._is_free(provider) and self._is_due(provider):
                self._begin(self._beside(session))

    def _is_free(self, provider: Provider) -> bool:
        is_here = provider.presence.stream_open and provider.stream_replica is None and provider.probes
        may_work = provider.approval is Approval.APPROVED and not (provider.suspended or provider.deleted)
        is_idle = provider.is_idle and not provider.draining and provider.id not in self._running
        return is_here and may_work and is_idle

    def _is_due(self, provider: Provider) -> bool:
        # What an owner keeps for itself now is not used for this either.
        if provider.paused or provider.reluctance(self._clock.now_ms()) is not None:
            return False
        hardware = provider.facts.hardware
        if provider.measurement is not None:
            # Measured before this server knew it, and by all it knows still the same.
            self._looked_at.setdefault(provider.id, hardware)
        if self._looked_at.get(provider.id) != hardware:
            return True
        # Without a timetable: a machine that is fast only when it expects to be measured would need one.
        return _SECRETLY.random() < _LOOK_SECONDS / self._interval_seconds

    def _beside(self, session: Session) -> list[Session]:
        """Return the free machines that report from one address, whose one card may stand behind all of them.

        Whoever says that they are of several owners: an account costs an e-mail address, a card thousands.
        """
        if not session.address:
            return [session]
        return [
            other
            for other in self._sessions
            if other.address == session.address
            and (provider := self._fleet.get(other.provider_id)) is not None
            and self._is_free(provider)
        ]

    # Running

    def _begin(self, sessions: Iterable[Session]) -> None:
        probes = [MachineProbe(self._fleet.known(session.provider_id), session) for session in sessions]
        for probe in probes:
            self._running[probe.provider.id] = probe
            self._looked_at[probe.provider.id] = probe.provider.facts.hardware
            self._fleet.set_measurement(probe.provider, probe.provider.measurement, BEING_MEASURED)
        group = asyncio.create_task(self._probe_together(probes), name=f"probe-{probes[0].provider.id}")
        self._groups.add(group)
        group.add_done_callback(self._groups.discard)

    async def _probe_together(self, probes: Sequence[MachineProbe]) -> None:
        try:
            left = await self._each(probes, MachineProbe.prepare)
            for kind in Kind:
                left = await self._each(left, partial(MachineProbe.size, kind=kind))
                # Only when all are sized: who sized slowly could wait until another is done, and have the card alone.
                left = await self._each(left, partial(MachineProbe.measure, kind=kind))
            for probe in left:
                self._measured(probe)
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
        measured = probe.measurement(self._clock.now_ms())
        words = f"{measured.tops_int8:g} TOPS, {measured.memory_gbps:g} GB/s on the {measured.device}"
        log.info("probe_passed", provider_id=probe.provider.id, outcome=words, seconds=probe.seconds)
        probe.provider.late_probes = 0
        self._fleet.set_measurement(probe.provider, measured, words)
        probe.end(words)

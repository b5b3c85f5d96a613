"""Stores what daemons reported, for all of them at once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dc1.control.background.run_watch import RunWatch
from dc1.control.fleet.provider import Provider
from dc1.control.periodic import WholeStep, every, in_turns
from dc1.control.scheduling.core import Core
from dc1.domain.base.clock import day_start_ms
from dc1.domain.base.json_types import JsonObject
from dc1.domain.providers.liveness import Approval, Channel
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.providers import beats, hardware_doubts, offered_models, providers
from dc1.storage.providers.beats import StoredBeat
from dc1.storage.providers.hardware_doubts import HardwareDoubt

_FLUSH_SECONDS = 1.0
_MOST_AT_ONCE = 500
"""Machines of one transaction: of a whole fleet it would hold up everybody else's for as long as a second."""

_WHOLE_MS = 60_000
"""How long a row that others write too, as an owner's claims are, may keep what a daemon's report does not say."""


@dataclass(frozen=True, slots=True)
class _Flushed:
    """What was stored last of a provider, and when the whole of it was; `report` is without what each beat changes."""

    report: providers.StoredReport
    gpu_status: JsonObject | None
    whole_ms: int


class _Batch:
    """What one transaction stores: whole reports of whom something changed, of all others what each beat changes."""

    def __init__(self, flushed: Mapping[int, _Flushed], now_ms: int) -> None:
        self._before = flushed
        self._now_ms = now_ms
        self.reports: list[providers.StoredReport] = []
        self.beats: list[StoredBeat] = []
        self.heard: dict[int, int] = {}
        self.flushed: dict[int, _Flushed] = {}

    def take(self, provider: Provider) -> None:
        """Take a provider as it is now."""
        report, status, heartbeats = _report(provider), provider.gpu_status, provider.beats_to_flush
        at_ms, before = provider.presence.last_heartbeat_ms, self._before.get(provider.id)
        self.heard[provider.id] = heartbeats
        if before is None or before.report != report or self._now_ms - before.whole_ms >= _WHOLE_MS:
            self.reports.append(replace(report, last_heartbeat_ms=at_ms, heartbeats=heartbeats, gpu_status=status))
            self.flushed[provider.id] = _Flushed(report, status, self._now_ms)
        else:
            told = None if status == before.gpu_status else status
            self.beats.append(StoredBeat(provider.id, at_ms, heartbeats, told))
            self.flushed[provider.id] = replace(before, gpu_status=status)


class ReportFlusher:
    """Writes behind: what a crash loses is a second of reports, which the next beats say again."""

    def __init__(self, core: Core) -> None:
        self._db = core.db
        self._clock = core.clock
        self._fleet = core.fleet
        self._run_watch = RunWatch(core.fleet, core.leases)
        self._day_ms = day_start_ms(core.clock.now_ms())
        # Of those whose streams are open here: what another server may have stored meanwhile is not known.
        self._flushed: dict[int, _Flushed] = {}
        self.flush = WholeStep(self._flush)
        """Store what daemons reported since the last flush, for all of them at once."""

    async def run(self) -> None:
        """Flush again and again until cancelled, then once more."""
        try:
            await every(_FLUSH_SECONDS, self.flush)
        finally:
            # A server that stops in order loses nothing: what was heard last is stored too.
            await self.flush()

    async def _flush(self) -> None:
        now_ms = self._clock.now_ms()
        await self._flush_reports(now_ms)
        await self._flush_conditions(now_ms)
        await self._flush_offered_models()
        await self._begin_day(now_ms)

    async def _flush_reports(self, now_ms: int) -> None:
        unstored = self._fleet.reports.take_unstored()
        self._run_watch.note(unstored)
        for first in range(0, len(unstored), _MOST_AT_ONCE):
            try:
                await self._store(unstored[first : first + _MOST_AT_ONCE], now_ms)
            except BaseException:
                self._fleet.reports.keep_unstored(unstored[first:])
                raise

    async def _store(self, unstored: list[Provider], now_ms: int) -> None:
        # Copied here: the transaction runs on another thread, while beats go on changing the providers. In turns, and
        # then each as it is at its turn.
        batch = _Batch(self._flushed, now_ms)
        async for provider in in_turns(unstored):
            batch.take(provider)
        fetched = [provider for provider in unstored if provider.preload_done]
        found = [provider for provider in unstored if provider.mismatch_to_store]
        doubts = [_doubt(provider) for provider in found]
        failing = [(provider, provider.cards.to_tell) for provider in unstored if provider.cards.to_tell is not None]
        failures = [
            HardwareDoubt(provider.id, now_ms, words)
            for provider, words in failing
            if provider.approval is Approval.APPROVED
        ]

        def work(conn: Connection) -> None:
            providers.flush_reports(conn, batch.reports, now_ms)
            beats.store(conn, batch.beats, now_ms)
            for provider in fetched:
                providers.set_preload(conn, provider.id, None, now_ms)
            for doubt in doubts:
                hardware_doubts.record(conn, doubt)
            for failure in failures:
                hardware_doubts.tell(conn, failure)

        await self._db.write(work)
        for provider in unstored:
            # Beats that came during the write are counted with the next flush.
            provider.beats_to_flush -= batch.heard[provider.id]
            if provider.presence.stream_open and provider.stream_replica is None:
                self._flushed[provider.id] = batch.flushed[provider.id]
            else:
                self._flushed.pop(provider.id, None)
        for provider in fetched:
            provider.preload_done = False
        for provider in found:
            provider.mismatch_to_store = False
        for provider, words in failing:
            if provider.cards.to_tell == words:
                provider.cards.to_tell = None

    async def _flush_conditions(self, now_ms: int) -> None:
        # Apart from the reports: a job is locked before any provider.
        if conditions := self._run_watch.due(now_ms):
            await self._db.write(lambda conn: jobs.store_conditions(conn, conditions))
        self._run_watch.stored(now_ms)

    async def _flush_offered_models(self) -> None:
        unsaved = self._fleet.offered.take_unsaved()
        if not unsaved:
            return
        try:
            await self._db.write(lambda conn: offered_models.record(conn, unsaved))
        except BaseException:
            self._fleet.offered.keep_unsaved(unsaved)
            raise

    async def _begin_day(self, now_ms: int) -> None:
        """Read the week's counts anew at midnight: memory only adds to them, and a day has left the week."""
        if day_start_ms(now_ms) != self._day_ms:
            self._day_ms = day_start_ms(now_ms)
            self._fleet.set_week_beats(await self._db.read(lambda conn: providers.load_recent_heartbeats(conn, now_ms)))


def _doubt(provider: Provider) -> HardwareDoubt:
    assert provider.mismatch is not None
    assert provider.mismatch_at_ms is not None
    return HardwareDoubt(provider.id, provider.mismatch_at_ms, provider.mismatch)


def _report(provider: Provider) -> providers.StoredReport:
    """Return what is to be stored of a provider but for its last beat: most beats change nothing of it."""
    facts, presence, measured = provider.facts, provider.presence, provider.measurement
    heard = presence.last_heartbeat_ms is not None or presence.channel is Channel.STREAM
    return providers.StoredReport(
        provider_id=provider.id,
        channel=presence.channel.value if heard and not presence.signed_off else providers.NO_CHANNEL,
        last_heartbeat_ms=None,
        stream_lost_ms=presence.stream_lost_ms,
        hardware_reported=provider.hardware_reported,
        tops_int8=None if measured is None else measured.tops_int8,
        memory_gbps=None if measured is None else measured.memory_gbps,
        probed_device=None if measured is None else measured.device.value,
        integer_products=None if measured is None else measured.integer_products,
        probed_at_ms=None if measured is None else measured.probed_at_ms,
        probe_slowed_by=None if measured is None else measured.slowed_by,
        load_clocks=provider.cards.clocks.samples or None,
        gpu_name=facts.gpu_name,
        vram_mib=facts.vram_mib,
        gpu_count=facts.gpu_count,
        driver_version=facts.driver_version,
        cuda_version=facts.cuda_version,
        compute_capability=facts.compute_capability,
        daemon_version=facts.daemon_version,
        provider_ip=provider.provider_ip,
        provider_hostname=provider.provider_hostname,
        container_restart_count=provider.container_restart_count,
        cached_models=list(provider.cached_models),
        vllm_models=list(provider.vllm_models),
        job_types=None if provider.job_types is None else sorted(provider.job_types),
        inference_slots=provider.inference_slots,
        carries_bodies=provider.carries_bodies,
        model_abilities=provider.abilities.as_json,
        model_cache=provider.model_cache,
        resource_spec=provider.resource_spec,
    )

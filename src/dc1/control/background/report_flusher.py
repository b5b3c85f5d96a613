"""Stores what daemons reported, for all of them at once."""

from dc1.control.background.run_watch import RunWatch
from dc1.control.fleet.provider import Provider
from dc1.control.periodic import WholeStep, every, in_turns
from dc1.control.scheduling.core import Core
from dc1.domain.base.clock import day_start_ms
from dc1.domain.providers.liveness import Approval, Channel
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.providers import hardware_doubts, offered_models, providers
from dc1.storage.providers.hardware_doubts import HardwareDoubt

_FLUSH_SECONDS = 1.0
_MOST_AT_ONCE = 500
"""Machines of one transaction: of a whole fleet it would hold up everybody else's for as long as a second."""


class ReportFlusher:
    """Writes behind: what a crash loses is a second of reports, which the next beats say again."""

    def __init__(self, core: Core) -> None:
        self._db = core.db
        self._clock = core.clock
        self._fleet = core.fleet
        self._run_watch = RunWatch(core.fleet, core.leases)
        self._day_ms = day_start_ms(core.clock.now_ms())
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
        reports = [_stored_report(provider) async for provider in in_turns(unstored)]
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
            providers.flush_reports(conn, reports, now_ms)
            for provider in fetched:
                providers.set_preload(conn, provider.id, None, now_ms)
            for doubt in doubts:
                hardware_doubts.record(conn, doubt)
            for failure in failures:
                hardware_doubts.tell(conn, failure)

        await self._db.write(work)
        for provider, report in zip(unstored, reports, strict=True):
            # Beats that came during the write are counted with the next flush.
            provider.beats_to_flush -= report.heartbeats
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


def _stored_report(provider: Provider) -> providers.StoredReport:
    facts, presence, measured = provider.facts, provider.presence, provider.measurement
    heard = presence.last_heartbeat_ms is not None or presence.channel is Channel.STREAM
    return providers.StoredReport(
        provider_id=provider.id,
        channel=presence.channel.value if heard and not presence.signed_off else providers.NO_CHANNEL,
        last_heartbeat_ms=presence.last_heartbeat_ms,
        stream_lost_ms=presence.stream_lost_ms,
        heartbeats=provider.beats_to_flush,
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
        gpu_status=provider.gpu_status,
        model_cache=provider.model_cache,
        resource_spec=provider.resource_spec,
    )

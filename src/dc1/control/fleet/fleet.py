"""All providers in memory: what a heartbeat changes, what placement and lists read.

A heartbeat costs no SQL statement: it is folded in here, and what changed is flushed for all providers at once.
Everything is kept so that no call walks the whole fleet but the ones that list it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from heapq import nlargest

from dc1.control.fleet.offered_models import OfferedModels
from dc1.control.fleet.openings import Openings
from dc1.control.fleet.presence_queues import PresenceQueues
from dc1.control.fleet.provider import Provider
from dc1.control.fleet.telemetry import Telemetry
from dc1.domain.base.clock import Clock
from dc1.domain.errors import provider_not_found
from dc1.domain.jobs.placement import ProviderView
from dc1.domain.providers.liveness import Approval, Channel, Liveness, Presence, Thresholds
from dc1.domain.providers.preferences import Preferences
from dc1.domain.providers.reports import Facts, Report

FAILOVER_GRACE_SECONDS = 10
"""How much longer than usual a daemon may take to come back when it was the server that went away."""

POST_RETURN_SECONDS = 90
"""How long a daemon that posts heartbeats and held a job when the server went away may take to be heard again."""

_NEWEST_SIGNUPS = 5
_NEWEST_HEARTBEATS = 10


class Fleet:
    """Every provider account, alive or not."""

    def __init__(self, clock: Clock, thresholds: Thresholds) -> None:
        self._clock = clock
        self.thresholds = thresholds
        self.openings = Openings()
        self.telemetry = Telemetry()
        self.offered = OfferedModels()
        self._all: dict[int, Provider] = {}
        self._newest: list[int] = []
        self._by_gpu: Counter[str] = Counter()
        self._queues = PresenceQueues(clock, thresholds)
        self._dirty: set[int] = set()
        self._lost: set[int] = set()
        self.decisions = 0
        """How many decisions about accounts were made on this server."""

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._all.values())

    def get(self, provider_id: int) -> Provider | None:
        """Return a provider, or None."""
        return self._all.get(provider_id)

    def known(self, provider_id: int) -> Provider:
        """Return a provider; raises `Provider not found`, also for an account that is closed."""
        provider = self._all.get(provider_id)
        if provider is None or provider.deleted:
            raise provider_not_found()
        return provider

    def view(self, provider: Provider) -> ProviderView:
        """Return what placement needs to know of a provider now."""
        return provider.view(self._clock.now_ms(), self.thresholds)

    # Changes

    def add(self, provider: Provider) -> None:
        """Take in an account, new or loaded; a loaded daemon that streamed has the failover grace to come back.

        An account that is known already is left as it is.
        """
        if provider.id in self._all:
            return
        self._all[provider.id] = provider
        self._newest = nlargest(_NEWEST_SIGNUPS, (*self._newest, provider.id))
        self._by_gpu[provider.gpu_model] += 1
        provider.presence = self._with_grace(provider.presence)
        self._place(provider)
        self._index(provider)
        self._note_models(provider)

    def add_all(self, providers: Iterable[Provider]) -> None:
        """Take in loaded accounts."""
        for provider in sorted(providers, key=lambda item: item.presence.last_heartbeat_ms or 0):
            self.add(provider)

    def not_lost(self, provider: Provider) -> None:
        """Wait for a provider again that another replica has heard of lately."""
        provider.presence = replace(
            provider.presence, last_heartbeat_ms=self._clock.now_ms(), stream_lost_ms=self._clock.now_ms()
        )
        self._place(provider)
        self._index(provider)

    def await_return(self, provider_id: int) -> None:
        """Give a daemon that held a job when the server stopped the failover grace to come back, however long that was."""
        provider = self._all[provider_id]
        now_ms = self._clock.now_ms()
        presence = provider.presence
        if presence.stream_open:
            return
        if presence.channel is Channel.STREAM:
            provider.presence = replace(presence, stream_lost_ms=now_ms + FAILOVER_GRACE_SECONDS * 1000)
            self._queues.place(provider)
        elif presence.signed_off:
            self._lost.add(provider.id)
        else:
            heard_ms = now_ms - (self.thresholds.offline_seconds - POST_RETURN_SECONDS) * 1000
            if (presence.last_heartbeat_ms or 0) < heard_ms:
                provider.presence = replace(presence, last_heartbeat_ms=heard_ms)
                self._place(provider)
        self._index(provider)

    def heartbeat(self, provider: Provider, report: Report) -> int:
        """Fold in a heartbeat that came by POST and return its time."""
        now_ms = self._clock.now_ms()
        streaming = provider.presence.stream_open
        channel = Channel.STREAM if streaming else Channel.POST
        provider.presence = replace(provider.presence, channel=channel, last_heartbeat_ms=now_ms, signed_off=False)
        if not streaming:
            provider.draining = False
            self._queues.place(provider)
        self._reported(provider, report, now_ms)
        return now_ms

    def stream_opened(self, provider: Provider) -> None:
        """Note that the daemon's stream is open."""
        provider.stream_replica = None
        self.openings.elsewhere.drop(provider.id)
        provider.presence = replace(
            provider.presence, channel=Channel.STREAM, stream_open=True, stream_lost_ms=None, signed_off=False
        )
        self._queues.place(provider)

    def stream_beat(self, provider: Provider, report: Report, job_types: frozenset[str], *, draining: bool) -> None:
        """Fold in the state that came on the stream."""
        now_ms = self._clock.now_ms()
        provider.presence = replace(provider.presence, last_heartbeat_ms=now_ms, signed_off=False)
        provider.job_types = job_types
        provider.draining = draining
        self._reported(provider, report, now_ms)

    def stream_closed(self, provider: Provider, *, silent_seconds: float = 0) -> None:
        """Note that the daemon's stream ended; it keeps its place for the grace, less the time it was silent.

        One that was draining has left: its jobs have the grace, and it is given no other.
        """
        lost_ms = self._clock.now_ms() - round(silent_seconds * 1000)
        provider.presence = replace(provider.presence, stream_open=False, stream_lost_ms=lost_ms)
        self._queues.place(provider)
        self._dirty.add(provider.id)
        self._index(provider)

    def sign_off(self, provider: Provider) -> None:
        """Note that the daemon said it leaves: it is offline until its next sign of life."""
        provider.presence = replace(provider.presence, signed_off=True)
        self._queues.signed_off(provider)
        self._dirty.add(provider.id)
        self._index(provider)

    def close(self, provider: Provider) -> None:
        """Note that the account was closed; it is shown as suspended where it is still shown."""
        provider.deleted = provider.suspended = True
        self._decided(provider)
        self.sign_off(provider)

    def follow(self, stored: Provider, *, here: bool, decisions: int) -> bool:
        """Take over what another replica stored of a provider; its presence too, unless its stream is `here`.

        `decisions` is the count at the time of reading: False, and nothing done, when the provider was decided about
        since, so that what was read may be older than what is known.
        """
        known = self._all.get(stored.id)
        if known is None:
            self.add(stored)
            return True
        if known.decided_at > decisions:
            return False
        known.take_account(stored)
        if not here and _is_later(stored.presence, known.presence):
            before = known.gpu_model
            known.take_stored_report(stored)
            self._note_models(known)
            self._recount(known, before)
            known.presence = self._with_grace(stored.presence)
            known.stream_replica = stored.stream_replica
            self._place(known)
        self._index(known)
        return True

    def replica_died(self, replica_ids: Collection[str], at_ms: int) -> None:
        """Count the streams of dead replicas as lost; their daemons have the failover grace to come back."""
        for provider in self._queues.streaming():
            if provider.stream_replica in replica_ids:
                provider.stream_replica = None
                lost_ms = at_ms + FAILOVER_GRACE_SECONDS * 1000
                provider.presence = replace(provider.presence, stream_open=False, stream_lost_ms=lost_ms)
                self._queues.place(provider)
                self._index(provider)

    def decide(self, provider: Provider, approval: Approval, at_ms: int | None, reason: str | None) -> None:
        """Note an admin's decision."""
        provider.approval, provider.approved_at_ms, provider.rejected_reason = approval, at_ms, reason
        self._decided(provider)

    def set_paused(self, provider: Provider, paused: bool) -> None:
        """Stop new work for a provider, or let it have some again."""
        provider.paused = paused
        self._decided(provider)

    def set_suspended(self, provider: Provider, suspended: bool) -> None:
        """Give a provider no work by an admin's wish, or let it have some again."""
        provider.suspended = suspended
        self._decided(provider)

    def set_preferences(self, provider: Provider, preferences: Preferences) -> None:
        """Note when and how far the owner lets the machine be used from now on."""
        provider.preferences = preferences
        self._decided(provider)

    def set_gpu_profile(self, provider: Provider, gpu_model: str, facts: Facts, compute_types: frozenset[str]) -> None:
        """Note what the owner says of the GPU."""
        before = provider.gpu_model
        provider.registered_gpu_model, provider.facts, provider.compute_types = gpu_model, facts, compute_types
        self._recount(provider, before)
        # A flush that was under way may have stored what was known before.
        self._dirty.add(provider.id)
        self._decided(provider)

    def occupy(self, provider_id: int, gpu_count: int) -> None:
        """Note that a job took slots of a provider."""
        provider = self._all[provider_id]
        provider.occupied += gpu_count
        self._index(provider)

    def release(self, provider_id: int, gpu_count: int) -> None:
        """Note that a job gave its slots back."""
        provider = self._all.get(provider_id)
        if provider is not None:
            provider.occupied = max(0, provider.occupied - gpu_count)
            self._index(provider)

    def count_ended(self, provider_id: int, *, completed: bool) -> None:
        """Count a run towards the provider's reputation."""
        provider = self._all.get(provider_id)
        if provider is not None:
            provider.completed_jobs += completed
            provider.failed_jobs += not completed
            self._index(provider)

    def set_week_beats(self, beats: dict[int, int]) -> None:
        """Start the week's heartbeat counts anew, from what is stored."""
        for provider in self._all.values():
            provider.beats_of_week = beats.get(provider.id, 0)

    def take_dirty(self) -> list[Provider]:
        """Return the providers whose reports are to be flushed, and count them as flushed."""
        dirty = [self._all[provider_id] for provider_id in self._dirty]
        self._dirty.clear()
        return dirty

    def keep_dirty(self, providers: Iterable[Provider]) -> None:
        """Put providers back whose flush failed."""
        self._dirty.update(provider.id for provider in providers)

    def age(self) -> None:
        """Let time pass: re-rank the providers that became degraded or offline, or whose schedule opened or closed."""
        for provider in self.openings.take_scheduled(self._clock.now_ms()) + self._queues.take_degraded():
            self._index(provider)
        for provider in self._queues.take_offline():
            self._index(provider)
            self._lost.add(provider.id)

    def lost(self) -> list[Provider]:
        """Return the providers that went offline and were not abandoned yet."""
        self.age()
        for provider in [self._all[provider_id] for provider_id in self._lost]:
            if self.liveness(provider) is not Liveness.OFFLINE:
                self.abandoned(provider)
        return [self._all[provider_id] for provider_id in self._lost]

    def abandoned(self, provider: Provider) -> None:
        """Note that a lost provider has no jobs any more."""
        self._lost.discard(provider.id)

    def take_reluctant(self) -> list[Provider]:
        """Return the providers whose preferences began to keep new work away since the last call."""
        self.age()
        return self.openings.take_reluctant()

    def liveness(self, provider: Provider) -> Liveness:
        """Return whether a provider's daemon is there now."""
        return provider.liveness(self._clock.now_ms(), self.thresholds)

    # What lists and the dashboard read

    def available(self) -> list[Provider]:
        """Return the providers that may be given work, busy ones included: most VRAM first, then by id."""
        now_ms = self._clock.now_ms()
        bookable = [item for item in self._all.values() if item.view(now_ms, self.thresholds).bookable]
        return sorted(bookable, key=lambda item: (-(item.facts.vram_mib or 0), item.id))

    def online(self) -> int:
        """Return how many providers are online by the table of liveness."""
        self.age()
        return self._queues.online()

    def online_on_dashboard(self) -> int:
        """Return how many providers the dashboard calls online."""
        self.age()
        return self._queues.online_on_dashboard()

    def by_gpu_model(self) -> list[tuple[str, int]]:
        """Return how many providers have each GPU model, most first."""
        return [(model, count) for model, count in self._by_gpu.most_common() if count > 0]

    def newest(self) -> list[Provider]:
        """Return the providers that registered last, newest first."""
        return [self._all[provider_id] for provider_id in self._newest]

    def newest_heartbeats(self) -> list[Provider]:
        """Return the providers that were heard last, newest first."""
        return self._queues.newest(_NEWEST_HEARTBEATS)

    # Upkeep

    def _decided(self, provider: Provider) -> None:
        self.decisions += 1
        provider.decided_at = self.decisions
        self._index(provider)

    def _with_grace(self, presence: Presence) -> Presence:
        """Give a daemon the failover grace whose stream ended with its server, so that nobody noted when."""
        if presence.channel is not Channel.STREAM or presence.stream_open or presence.stream_lost_ms is not None:
            return presence
        return replace(presence, stream_lost_ms=self._clock.now_ms() + FAILOVER_GRACE_SECONDS * 1000)

    def _place(self, provider: Provider) -> None:
        """Let a provider age from what is known of it now."""
        self._queues.place(provider)
        if provider.presence.last_heartbeat_ms is not None:
            self._queues.heard(provider)

    def _recount(self, provider: Provider, gpu_model_before: str) -> None:
        if provider.gpu_model != gpu_model_before:
            self._by_gpu[gpu_model_before] -= 1
            self._by_gpu[provider.gpu_model] += 1

    def _reported(self, provider: Provider, report: Report, now_ms: int) -> None:
        before = provider.gpu_model
        provider.take_report(report)
        provider.count_beat(now_ms)
        if report.cached_models is not None or report.vllm_models is not None:
            self._note_models(provider)
        if report.gpu_status is not None:
            self.telemetry.fold(provider.id, report.gpu_status, now_ms)
        self._recount(provider, before)
        self._queues.heard(provider)
        self._dirty.add(provider.id)
        self._index(provider)

    def _note_models(self, provider: Provider) -> None:
        if provider.approval is Approval.APPROVED:
            self.offered.note(provider.id, provider.models, self._clock.now_ms())

    def _index(self, provider: Provider) -> None:
        self.openings.put(provider, self.view(provider))


def _is_later(presence: Presence, known: Presence) -> bool:
    """Whether a presence tells at least as much as the known one; what has not been stored yet is known here only."""
    if presence.stream_open or known.stream_open:
        return True
    return _last_sign(presence) >= _last_sign(known)


def _last_sign(presence: Presence) -> tuple[int, bool, bool]:
    """When the daemon was last heard, and whether that was its farewell or the end of its stream."""
    lost_ms = presence.stream_lost_ms
    return max(presence.last_heartbeat_ms or 0, lost_ms or 0), presence.signed_off, lost_ms is not None

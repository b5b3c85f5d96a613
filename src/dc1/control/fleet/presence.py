"""Whether daemons are there: what beats and streams say of it, and what their silence does."""

from collections.abc import Collection
from dataclasses import replace
from itertools import islice

from dc1.control.fleet.availability import Availability
from dc1.control.fleet.failover import FAILOVER_GRACE_SECONDS, Failover
from dc1.control.fleet.presence_queues import PresenceQueues
from dc1.control.fleet.provider import Provider
from dc1.control.fleet.reports import Reports
from dc1.domain.base.clock import Clock
from dc1.domain.providers.liveness import Channel, Liveness, Presence, Thresholds
from dc1.domain.providers.model_abilities import NOTHING_TOLD, KnownAbilities
from dc1.domain.providers.reports import Report
from dc1.metrics.timing import BeatMetrics

MOST_CALLS = 4_096
"""No engine answers more at once; what a daemon says beyond it is not believed."""

POST_RETURN_SECONDS = 90
"""How long a daemon that posts heartbeats and held a job when the server went away may take to be heard again."""

_MOST_AT_ONCE = 500
"""How many change their rank, or are told to be lost, in one go: a whole fleet would hold up everybody else."""


class PresenceTracker:
    """Follows the signs of life of every provider, and knows who ran out of them."""

    def __init__(self, clock: Clock, thresholds: Thresholds, availability: Availability, reports: Reports) -> None:
        self._clock = clock
        self._thresholds = thresholds
        self._availability = availability
        self._reports = reports
        self._queues = PresenceQueues(clock, thresholds)
        self._failover = Failover(clock)
        self._lost: dict[int, Provider] = {}
        self.metrics = BeatMetrics()

    def liveness(self, provider: Provider) -> Liveness:
        """Return whether a provider's daemon is there now."""
        return provider.liveness(self._clock.now_ms(), self._thresholds)

    # Signs of life

    def heartbeat(self, provider: Provider, report: Report) -> int:
        """Fold in a heartbeat that came by POST and return its time."""
        now_ms = self._clock.now_ms()
        streaming = provider.presence.stream_open
        channel = Channel.STREAM if streaming else Channel.POST
        self.metrics.heard(channel.value, provider.presence.last_heartbeat_ms, now_ms)
        if not streaming:
            # Another daemon than the one that was on the stream, and what that had runners for says nothing of it.
            was_streaming = provider.presence.channel is Channel.STREAM
            provider.job_types = report.job_types or (None if was_streaming else provider.job_types)
        provider.presence = replace(provider.presence, channel=channel, last_heartbeat_ms=now_ms, signed_off=False)
        if not streaming:
            provider.draining = False
            self._queues.place(provider)
        self._reports.take(provider, report, now_ms)
        self._queues.heard(provider)
        self._availability.update(provider)
        return now_ms

    def stream_opened(self, provider: Provider) -> None:
        """Note that the daemon's stream is open."""
        provider.stream_replica = None
        self._failover.came(provider, unmissed=provider.presence.stream_open)
        self._availability.remote.drop(provider.id)
        provider.presence = replace(
            provider.presence, channel=Channel.STREAM, stream_open=True, stream_lost_ms=None, signed_off=False
        )
        # Not indexed as free yet: its first beat, which follows at once, says what it has runners for and whether it
        # drains.
        self._queues.place(provider)

    def stream_beat(
        self,
        provider: Provider,
        report: Report,
        job_types: frozenset[str],
        *,
        draining: bool,
        calls: int = 0,
        carries_bodies: bool = False,
        abilities: KnownAbilities = NOTHING_TOLD,
    ) -> None:
        """Fold in the state that came on the stream."""
        now_ms = self._clock.now_ms()
        self.metrics.heard(Channel.STREAM.value, provider.presence.last_heartbeat_ms, now_ms)
        # A stream's place does not hang on when it was last heard, so the queue stays as it is on the most frequent
        # call.
        known = provider.presence
        provider.presence = Presence(known.channel, now_ms, known.stream_open, known.stream_lost_ms)
        provider.draining = draining
        calls = min(calls, MOST_CALLS)
        before = provider.job_types, provider.inference_slots, provider.carries_bodies, provider.abilities
        said = job_types, calls, carries_bodies, abilities
        provider.job_types, provider.inference_slots, provider.carries_bodies, provider.abilities = said
        is_news = self._reports.take(provider, report, now_ms, streamed=True) or said != before
        self._queues.heard(provider)
        # Most beats say what the one before them said but for measurements, and the rest of what placement sees of a
        # machine is most of what following one took.
        if is_news:
            self._availability.update(provider)
        else:
            self._availability.measured(provider)

    def stream_closed(self, provider: Provider, *, silent_seconds: float = 0) -> None:
        """Note that the daemon's stream ended; it keeps its place for the grace, less the time it was silent.

        One that was draining has left: its jobs have the grace, and it is given no other.
        """
        lost_ms = self._clock.now_ms() - round(silent_seconds * 1000)
        provider.presence = replace(provider.presence, stream_open=False, stream_lost_ms=lost_ms)
        self._failover.went(provider, by_silence=silent_seconds > 0)
        self._reports.note_unstored(provider)
        self._queues.place(provider)
        self._availability.update(provider)

    def sign_off(self, provider: Provider) -> None:
        """Note that the daemon said it leaves: it is offline until its next sign of life."""
        provider.presence = replace(provider.presence, signed_off=True)
        self._queues.signed_off(provider)
        self._reports.note_unstored(provider)
        self._availability.update(provider)

    # What a server that starts, and the other replicas, know

    def adopt(self, provider: Provider, presence: Presence) -> None:
        """Take over a presence as it was stored; a daemon whose stream ended with its server has the failover grace."""
        # Nobody was left to note when that stream was lost, so its time starts now.
        ended_with_server = presence.channel is Channel.STREAM and not presence.stream_open
        if ended_with_server and presence.stream_lost_ms is None:
            presence = replace(presence, stream_lost_ms=self._failover_ms())
            self._failover.expect(provider)
        elif presence.stream_open:
            self._failover.came(provider)
        went_elsewhere = provider.presence.stream_open and not presence.stream_open
        self._become(provider, presence)
        if went_elsewhere:
            # Whichever server says first that a machine is lost takes its jobs, so that all have to wait alike.
            self._failover.went(provider)

    def not_lost(self, provider: Provider) -> None:
        """Wait for a provider again that another replica has heard of lately."""
        now_ms = self._clock.now_ms()
        self._become(provider, replace(provider.presence, last_heartbeat_ms=now_ms, stream_lost_ms=now_ms))

    def await_return(self, provider: Provider) -> None:
        """Give a daemon that held a job when the server stopped, however long ago, the failover grace to come back."""
        now_ms = self._clock.now_ms()
        presence = provider.presence
        if presence.stream_open:
            return
        if presence.channel is Channel.STREAM:
            self._failover.expect(provider)
            self._wait_on(provider)
        elif presence.signed_off:
            # It said that it leaves, so nothing is to be waited for: the next round takes its job back.
            self._lost[provider.id] = provider
        else:
            heard_ms = now_ms - (self._thresholds.offline_seconds - POST_RETURN_SECONDS) * 1000
            if (presence.last_heartbeat_ms or 0) < heard_ms:
                self._become(provider, replace(presence, last_heartbeat_ms=heard_ms))

    def replica_died(self, replica_ids: Collection[str]) -> None:
        """Count the streams of dead replicas as lost; their daemons have the failover grace to come back."""
        for provider in self._queues.streaming():
            if provider.stream_replica in replica_ids:
                provider.stream_replica = None
                self._failover.expect(provider)
                self._wait_on(provider)

    def streams_at(self, replica_ids: Collection[str]) -> Collection[int]:
        """Return how many streams each of these replicas holds, as far as it is known here."""
        counts = dict.fromkeys(replica_ids, 0)
        for provider in self._queues.streaming():
            if provider.stream_replica in counts:
                counts[provider.stream_replica] += 1
        return counts.values()

    def _failover_ms(self) -> int:
        return self._clock.now_ms() + FAILOVER_GRACE_SECONDS * 1000

    def _wait_on(self, provider: Provider) -> None:
        """Give a daemon whose stream ended the failover grace; it keeps its place among those that were heard."""
        provider.presence = replace(provider.presence, stream_open=False, stream_lost_ms=self._failover_ms())
        self._queues.place(provider)
        self._availability.update(provider)

    def _become(self, provider: Provider, presence: Presence) -> None:
        """Let a provider age from what is said of it now."""
        provider.presence = presence
        self._queues.place(provider)
        if presence.last_heartbeat_ms is not None:
            self._queues.heard(provider)
        self._availability.update(provider)

    # Silence

    def age(self) -> None:
        """Let time pass: re-rank the providers that became degraded or offline, or whose schedule opened or closed.

        Of a fleet that went at once, the first of them; the next call takes more.
        """
        # The queues hand each provider out once, in the order in which their time runs out: a round costs what changed.
        for provider in self._availability.take_rescheduled() + self._queues.take_degraded(_MOST_AT_ONCE):
            self._availability.update(provider)
        for provider in self._queues.take_offline(_MOST_AT_ONCE):
            if self._failover.goes_on(provider):
                self._wait_on(provider)
            else:
                self._availability.update(provider)
                self._lost[provider.id] = provider

    def lost(self) -> list[Provider]:
        """Return providers that went offline and were not abandoned yet; of many some, and the next call others."""
        self.age()
        found = []
        for provider in list(islice(self._lost.values(), _MOST_AT_ONCE)):
            del self._lost[provider.id]
            # One that came back meanwhile is not lost any more.
            if self.liveness(provider) is Liveness.OFFLINE:
                # Behind the others: one that cannot be abandoned keeps nobody from it.
                self._lost[provider.id] = provider
                found.append(provider)
        return found

    def abandoned(self, provider: Provider) -> None:
        """Note that a lost provider has no jobs any more."""
        self._lost.pop(provider.id, None)

    def take_refusing(self) -> list[Provider]:
        """Return who holds offers or runs and began, by preference, to refuse new work since the last call."""
        self.age()
        return self._availability.take_refusing()

    # Counts

    def online(self) -> int:
        """Return how many providers are online by the table of liveness."""
        self.age()
        return self._queues.online()

    def online_on_dashboard(self) -> int:
        """Return how many providers the dashboard calls online."""
        self.age()
        return self._queues.online_on_dashboard()

    def heard_last(self, count: int) -> list[Provider]:
        """Return the providers that were heard last, newest first."""
        return self._queues.newest(count)

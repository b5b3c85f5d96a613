"""Providers in the order in which they will be called degraded or offline, so that ageing looks at the heads only."""

from collections import OrderedDict
from heapq import heappop, heappush
from itertools import islice

from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import Clock
from dc1.domain.providers.liveness import Channel, Thresholds


class PresenceQueues:
    """Who was heard when. A provider's place follows its presence, which is changed before any call here."""

    def __init__(self, clock: Clock, thresholds: Thresholds) -> None:
        self._clock = clock
        self._thresholds = thresholds
        # By last sign of life, oldest first.
        self._heard: OrderedDict[int, Provider] = OrderedDict()
        self._fresh: OrderedDict[int, Provider] = OrderedDict()
        self._degraded: OrderedDict[int, Provider] = OrderedDict()
        self._recent: OrderedDict[int, Provider] = OrderedDict()
        self._streaming: dict[int, Provider] = {}
        # When each stream that may still come back was lost. Not in the order in which it is noticed: silence counts,
        # and a failover grace lies ahead. So a heap has them by time, together with some that did come back.
        self._lost_streams: dict[int, Provider] = {}
        self._losses: list[tuple[int, int]] = []

    def place(self, provider: Provider) -> None:
        """Put a provider where its presence says that it ages, whatever it was said to be before."""
        self.leave(provider)
        presence = provider.presence
        if presence.stream_open:
            self._streaming[provider.id] = provider
        elif presence.channel is Channel.STREAM:
            lost_ms = presence.stream_lost_ms or 0
            self._lost_streams[provider.id] = provider
            heappush(self._losses, (lost_ms, provider.id))
        elif presence.last_heartbeat_ms is not None:
            if not presence.signed_off:
                self._fresh[provider.id] = provider
            self._recent[provider.id] = provider

    def leave(self, provider: Provider) -> None:
        """Let a provider age no more."""
        for queue in (self._fresh, self._degraded, self._recent, self._lost_streams, self._streaming):
            queue.pop(provider.id, None)

    def heard(self, provider: Provider) -> None:
        """Note that no other provider was heard later."""
        self._heard[provider.id] = provider
        self._heard.move_to_end(provider.id)

    def signed_off(self, provider: Provider) -> None:
        """Note that a provider is offline before its time."""
        self._fresh.pop(provider.id, None)
        self._degraded.pop(provider.id, None)

    def take_degraded(self, most: int) -> list[Provider]:
        """Return the providers that became degraded since the last call, the first of them if there are more."""
        degraded = self._older(self._fresh, self._thresholds.online_seconds * 1000 - 1, most)
        self._degraded.update((provider.id, provider) for provider in degraded)
        return degraded

    def take_offline(self, most: int) -> list[Provider]:
        """Return the providers that went offline since the last call, silent or without their stream.

        If there are more than `most` of a kind, the first of them.
        """
        silent = self._older(self._degraded, self._thresholds.offline_seconds * 1000, most)
        return silent + self._streams_past_grace(most)

    def streaming(self) -> list[Provider]:
        """Return the providers whose stream is open."""
        return list(self._streaming.values())

    def online(self) -> int:
        """Return how many are online by the table of liveness; `take_degraded` and `take_offline` come first."""
        return len(self._fresh) + len(self._streaming) + len(self._lost_streams)

    def online_on_dashboard(self) -> int:
        """Return how many the dashboard calls online; `take_offline` comes first."""
        self._older(self._recent, self._thresholds.dashboard_seconds * 1000 - 1)
        return len(self._recent) + len(self._streaming) + len(self._lost_streams)

    def newest(self, count: int) -> list[Provider]:
        """Return the providers that were heard last, newest first."""
        return list(islice(reversed(self._heard.values()), count))

    def _older(self, queue: OrderedDict[int, Provider], max_age_ms: int, most: int | None = None) -> list[Provider]:
        """Take the providers out of a queue that were last heard longer than `max_age_ms` ago."""
        now_ms = self._clock.now_ms()
        taken: list[Provider] = []
        while queue and len(taken) != most:
            provider = next(iter(queue.values()))
            if now_ms - (provider.presence.last_heartbeat_ms or 0) <= max_age_ms:
                break
            queue.popitem(last=False)
            taken.append(provider)
        return taken

    def _streams_past_grace(self, most: int) -> list[Provider]:
        due_ms = self._clock.now_ms() - self._thresholds.stream_grace_seconds * 1000
        taken: list[Provider] = []
        while self._losses and self._losses[0][0] < due_ms and len(taken) < most:
            lost_ms, provider_id = heappop(self._losses)
            provider = self._lost_streams.get(provider_id)
            if provider is not None and (provider.presence.stream_lost_ms or 0) == lost_ms:
                del self._lost_streams[provider_id]
                taken.append(provider)
        return taken

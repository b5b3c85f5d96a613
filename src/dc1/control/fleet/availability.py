"""Who has a free slot, by what they are equipped with, kept up as providers change and as time passes.

Real fleets have few kinds of machines, so a job is matched against each kind once instead of against each provider.
"""

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

from dc1.control.feeds.change_log import ChangeLog
from dc1.control.fleet.kinds import ByKind, Kind, Machines
from dc1.control.fleet.price_book import PriceBook
from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import Clock
from dc1.domain.jobs.placement import ProviderView, Requirement, availability_obstacle, best_of, equals_of, fits
from dc1.domain.providers.liveness import Approval, ProviderStatus, Thresholds
from dc1.domain.providers.preferences import RunMode

_MINUTE_MS = 60_000
_MOST_EQUALS = 500

_Rank: TypeAlias = tuple[bool, int, int]


def _rank(view: ProviderView) -> _Rank:
    # Within a kind, cached models and occupied slots are equal: what is left of the placement order is this.
    return (view.status is not ProviderStatus.ONLINE, -view.reputation, view.id)


class FreeSlots:
    """Providers that can take work now, sorted within their kind and price."""

    def __init__(self) -> None:
        self._members: ByKind[list[_Rank]] = ByKind(list)
        self._places: dict[int, tuple[Kind, int, _Rank]] = {}
        self._views: dict[int, ProviderView] = {}

    def __len__(self) -> int:
        return len(self._views)

    def put(self, view: ProviderView) -> None:
        """Index a provider as it stands now, or drop it when it can take no work."""
        # Every beat comes by here, and hardly any changes what placement looks at.
        if self._views.get(view.id) == view:
            return
        self.drop(view.id)
        if availability_obstacle(view) is not None:
            return
        kind, rank = Kind.of(view), _rank(view)
        insort(self._members.at(kind, view.price_bps), rank)
        self._places[view.id] = (kind, view.price_bps, rank)
        self._views[view.id] = view

    def drop(self, provider_id: int) -> None:
        """Forget a provider."""
        place = self._places.pop(provider_id, None)
        if place is None:
            return
        del self._views[provider_id]
        kind, price_bps, rank = place
        members = self._members.at(kind, price_bps)
        del members[bisect_left(members, rank)]
        self._members.tidy(kind, price_bps)

    def best(self, requirement: Requirement, *, prewarm: bool = False, avoid: Collection[int] = ()) -> int | None:
        """Return the provider that should run a job, or None when none can now.

        Providers in `avoid` are taken only when no other fits.
        """
        return best_of([*self._candidates(requirement, avoid)], requirement, prewarm=prewarm, avoid=avoid)

    def _candidates(self, requirement: Requirement, avoid: Collection[int]) -> Iterator[ProviderView]:
        """Yield enough providers that fit for the best of all to be among them.

        Two of a kind and price are looked at instead of thousands.
        """
        # Within a kind and price all fit alike and rank is what remains, so the first stands for all who are as welcome
        # as itself. Whoever must not have the job is passed over; whoever should rather not is a second class of
        # welcome, and needs a first of its own, or a kind whose first is to be avoided would look as if it had nobody
        # better.
        for members in self._fitting(requirement):
            yield from self._first(members, requirement)
            if avoid:
                yield from self._first(members, requirement, avoid)

    def fitting(self, requirement: Requirement) -> Iterator[int]:
        """Yield the providers that could start a job now."""
        for members in self._fitting(requirement):
            yield from (rank[-1] for rank in members if not requirement.passes_over(self._views[rank[-1]]))

    def equals(self, requirement: Requirement) -> list[int]:
        """Return all that could start a job now and are as good as the best; nobody where they are too many."""
        fitting = [*islice(self.fitting(requirement), _MOST_EQUALS + 1)]
        if len(fitting) > _MOST_EQUALS:
            return []
        return [view.id for view in equals_of([self._views[each] for each in fitting], requirement)]

    def _fitting(self, requirement: Requirement) -> Iterator[list[_Rank]]:
        """Yield those that are alike and fit, together, whoever is excluded among them, or each of those asked for."""
        asked = requirement.candidates
        if asked is None:
            yield from (members for _, members in self._members.fitting(requirement, self._fit))
            return
        places = (place for each in asked if (place := self._places.get(each)) is not None)
        yield from ([place[-1]] for place in places if self._fit([place[-1]], requirement))

    def _fit(self, members: Sequence[_Rank], requirement: Requirement) -> bool:
        return fits(self._views[members[0][-1]], requirement)

    def _first(
        self, members: list[_Rank], requirement: Requirement, avoid: Collection[int] = ()
    ) -> Iterable[ProviderView]:
        for _, _, provider_id in members:
            view = self._views[provider_id]
            if provider_id not in avoid and not requirement.passes_over(view):
                return (view,)
        return ()


class FreeProviders:
    """The providers that can take work now, by slots and by the calls that their engines take."""

    def __init__(self) -> None:
        self._slots = FreeSlots()
        self._calls = FreeSlots()

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, view: ProviderView) -> None:
        """Index a provider as it stands now, or drop it when it can take no work."""
        self._slots.put(view)
        if view.streaming and view.models:
            self._calls.put(view.for_calls)
        else:
            self._calls.drop(view.id)

    def drop(self, provider_id: int) -> None:
        """Forget a provider."""
        self._slots.drop(provider_id)
        self._calls.drop(provider_id)

    def best(self, requirement: Requirement, *, prewarm: bool = False, avoid: Collection[int] = ()) -> int | None:
        """Return the provider that should run a job, or None when none can now.

        Providers in `avoid` are taken only when no other fits.
        """
        return self._of(requirement).best(requirement, prewarm=prewarm, avoid=avoid)

    def fitting(self, requirement: Requirement) -> Iterator[int]:
        """Yield the providers that could start a job now."""
        return self._of(requirement).fitting(requirement)

    def equals(self, requirement: Requirement) -> list[int]:
        """Return all that could start a job now and are as good as the best; nobody where they are too many."""
        return self._of(requirement).equals(requirement)

    def _of(self, requirement: Requirement) -> FreeSlots:
        return self._calls if requirement.at_once else self._slots


class Availability:
    """Whom work can be given to, by this server and by others, and whose answer changes though nobody says anything."""

    def __init__(self, clock: Clock, thresholds: Thresholds, prices: PriceBook) -> None:
        self._clock = clock
        self._thresholds = thresholds
        self._prices = prices
        self.local = FreeProviders()
        """Whom this server gives work to: their daemon's stream ends here, or they poll."""
        self.remote = FreeProviders()
        """Whom only another server can give work to, because it holds the daemon's stream."""
        self.bookable = Machines()
        """Whom work can be given to, busy ones included, wherever their streams end."""
        self.approved = Machines()
        """Whom work could be given to if they were there."""
        self.changes: ChangeLog[int] = ChangeLog()
        """Which providers changed, by id: whatever becomes of one passes here."""
        self._views: dict[int, ProviderView] = {}
        self._scheduled: dict[int, Provider] = {}
        self._minute = 0
        self._refusing: dict[int, Provider] = {}

    def update(self, provider: Provider) -> None:
        """Take over what became of a provider."""
        self.changes.note(provider.id)
        view = provider.view(self._clock.now_ms(), self._thresholds, self._prices)
        if provider.run_mode is RunMode.SCHEDULED:
            self._scheduled[provider.id] = provider
        else:
            self._scheduled.pop(provider.id, None)
        if provider.stream_replica is None:
            self.remote.drop(provider.id)
        else:
            # The view shows it as full, which is right for this server only.
            self.remote.put(replace(view, occupied=provider.occupied, calls=provider.calls))
        self._moved(provider, view)

    def measured(self, provider: Provider) -> None:
        """Take over a beat on the stream that says nothing new of the machine: what use and time change of its view."""
        view = self._views.get(provider.id)
        if view is None or view.scripted or provider.stream_replica is not None:
            self.update(provider)
            return
        self.changes.note(provider.id)
        now_ms = self._clock.now_ms()
        status, slots, reputation = (
            provider.status(now_ms, self._thresholds),
            provider.slots,
            provider.reputation(now_ms),
        )
        occupied, calls = provider.taken
        streaming = provider.presence.stream_open and not provider.draining
        reluctance = provider.reluctance(now_ms)
        seen = status, slots, occupied, calls, reputation, streaming, reluctance
        if seen != (
            view.status,
            view.slots,
            view.occupied,
            view.calls,
            view.reputation,
            view.streaming,
            view.reluctance,
        ):
            view = replace(
                view,
                status=status,
                slots=slots,
                occupied=occupied,
                calls=calls,
                reputation=reputation,
                streaming=streaming,
                reluctance=reluctance,
            )
        self._moved(provider, view)

    def _moved(self, provider: Provider, view: ProviderView) -> None:
        if view.reluctance is not None and not provider.is_idle:
            self._refusing[provider.id] = provider
        # Every beat comes by here, and hardly any changes what placement looks at.
        known = self._views.get(provider.id)
        if view is not known and view != known:
            self._views[provider.id] = view
            self._place(view)

    def taken(self, provider: Provider) -> None:
        """Take over how much of a machine is taken, as far as nothing else about it moved.

        Twice a job; what time alone changes comes with the next beat or timer.
        """
        view = self._views.get(provider.id)
        if view is None or provider.stream_replica is not None:
            self.update(provider)
            return
        self.changes.note(provider.id)
        occupied, calls = provider.taken
        self._moved(provider, replace(view, occupied=occupied, calls=calls))

    def taken_elsewhere(self, provider: Provider) -> None:
        """Take over how much is taken of a machine that another server serves, as far as nothing else about it moved.

        Each job of each machine of all servers comes by here, and for this one such a machine is full in any case.
        """
        view = self._views.get(provider.id)
        if view is None or provider.stream_replica is None:
            self.update(provider)
            return
        self.changes.note(provider.id)
        self.remote.put(replace(view, occupied=provider.occupied, calls=provider.calls))

    def _place(self, view: ProviderView) -> None:
        _keep(self.bookable, view, is_in=view.bookable)
        is_there = view.approval is Approval.APPROVED and view.status is not ProviderStatus.SUSPENDED
        _keep(self.approved, view, is_in=is_there)
        self.local.put(view)

    def take_rescheduled(self) -> list[Provider]:
        """Return whose schedule may have opened or closed since the last call: all that have one, once a minute."""
        # Schedules are told in minutes, and a walk over their owners is too dear for every round of the dispatcher.
        minute = self._clock.now_ms() // _MINUTE_MS
        if minute == self._minute:
            return []
        self._minute = minute
        return list(self._scheduled.values())

    def take_refusing(self) -> list[Provider]:
        """Return who holds offers or runs and began, by preference, to refuse new work since the last call."""
        refusing, self._refusing = self._refusing, {}
        return list(refusing.values())


def _keep(machines: Machines, view: ProviderView, *, is_in: bool) -> None:
    if is_in:
        machines.put(view)
    else:
        machines.drop(view.id)

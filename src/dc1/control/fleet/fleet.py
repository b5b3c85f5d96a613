"""All providers in memory: who there is, what was decided about each, and what placement reads.

Everything is kept so that no call walks the whole fleet but the ones that list it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from dc1.control.fleet.availability import Availability
from dc1.control.fleet.lists import FleetLists
from dc1.control.fleet.presence import PresenceTracker
from dc1.control.fleet.price_book import PriceBook
from dc1.control.fleet.provider import Provider
from dc1.control.fleet.reports import Reports
from dc1.domain.base.clock import Clock
from dc1.domain.errors import provider_not_found
from dc1.domain.jobs.placement import ProviderView, Room
from dc1.domain.money.machine_prices import DEFAULT_BOUNDS, AskBounds
from dc1.domain.money.machine_terms import MachineTerms, PriceBasis
from dc1.domain.providers.liveness import Approval, Pause, Presence, Thresholds
from dc1.domain.providers.measurements import Measurement
from dc1.domain.providers.preferences import Preferences
from dc1.domain.providers.reports import Facts
from dc1.storage.providers.standings import NO_CHANGE, Standing


class Fleet:
    """Every provider account, alive or not.

    The event loop owns it: nothing here waits, so a caller sees no half of a change. Whoever changes a provider has it
    indexed anew before control goes back to the loop, or placement would act on what was.
    """

    def __init__(self, clock: Clock, thresholds: Thresholds, bounds: AskBounds = DEFAULT_BOUNDS) -> None:
        self._clock = clock
        self.thresholds = thresholds
        self.prices = PriceBook(bounds)
        self.availability = Availability(clock, thresholds, self.prices)
        self.reports = Reports(clock)
        self.presence = PresenceTracker(clock, thresholds, self.availability, self.reports)
        self.offered = self.reports.offered
        self.telemetry = self.reports.telemetry
        self._all: dict[int, Provider] = {}
        self._machines: dict[int, list[int]] = {}
        self.lists = FleetLists(clock, thresholds, self._all, self.presence, self.reports.gpu_counts)
        self.decisions = 0
        """How many decisions about accounts were made on this server, and runs counted."""
        self.on_decided: Callable[[int], None] = lambda provider_id: None
        """Told of each machine about which an owner or an admin decided something here, once memory follows it."""

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

    def account_of(self, provider_id: int) -> int | None:
        """Return whose account a machine is in, or None."""
        provider = self._all.get(provider_id)
        return None if provider is None else provider.account_id

    def machines(self, account_id: int) -> list[Provider]:
        """Return the machines of an owner's account that were not removed, by id."""
        found = (self._all[machine_id] for machine_id in sorted(self._machines.get(account_id, ())))
        return [provider for provider in found if not provider.deleted]

    def view(self, provider: Provider) -> ProviderView:
        """Return what placement needs to know of a provider now."""
        return provider.view(self._clock.now_ms(), self.thresholds, self.prices)

    def terms(self, provider: Provider) -> MachineTerms:
        """Return at what a machine is reserved, for storage to hold against what it knows."""
        measured = provider.measurement
        basis = PriceBasis(
            provider.preferences.ask_pct,
            None if provider.mismatch_to_store else provider.mismatch is not None,
            None if measured is None else measured.probed_at_ms,
            self.prices.factors.get(provider.named_gpu or ""),
        )
        return MachineTerms(provider.price_bps(self.prices), provider.named_gpu, basis)

    # Accounts that come in

    def add(self, provider: Provider) -> None:
        """Take in an account, new or loaded; a loaded daemon that streamed has the failover grace to come back.

        An account that is known already is left as it is.
        """
        if provider.id in self._all:
            return
        self._all[provider.id] = provider
        self._machines.setdefault(provider.account_id, []).append(provider.id)
        self.lists.signed_up(provider)
        self.reports.gpu_counts.update(provider)
        self.reports.note_models(provider)
        self.presence.adopt(provider, provider.presence)

    def add_all(self, providers: Iterable[Provider]) -> None:
        """Take in loaded accounts."""
        # The queues of presence take everybody as heard just now, so they have to be filled in the order of the beats.
        for provider in sorted(providers, key=lambda item: item.presence.last_heartbeat_ms or 0):
            self.add(provider)

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
        # Runs are only added: fewer of them were read before one ended that is counted here since.
        if known.counted_at <= decisions or _runs(stored) >= _runs(known):
            known.completed_jobs, known.failed_jobs = stored.completed_jobs, stored.failed_jobs
            known.record = stored.record
        self.reports.gpu_counts.update(known)
        if not here and _is_later(stored.presence, known.presence):
            known.take_stored_report(stored)
            self.reports.note_models(known)
            self.reports.gpu_counts.update(known)
            known.stream_replica = stored.stream_replica
            self.presence.adopt(known, stored.presence)
        else:
            self._index(known)
        return True

    # Decisions of admins and owners

    def decide(self, provider: Provider, approval: Approval, at_ms: int | None, reason: str | None) -> None:
        """Note an admin's decision."""
        provider.approval, provider.approved_at_ms, provider.rejected_reason = approval, at_ms, reason
        self.reports.gpu_counts.update(provider)
        self._decided(provider)

    def set_paused(self, provider: Provider, paused: bool, by: Pause = Pause.OWNER) -> None:
        """Stop new work for a provider, or let it have some again once nobody else stops it."""
        provider.pauses = provider.pauses | by if paused else provider.pauses & ~by
        self._decided(provider)

    def set_suspended(self, provider: Provider, suspended: bool) -> None:
        """Give a provider no work by an admin's wish, or let it have some again."""
        provider.suspended = suspended
        self._decided(provider)

    def set_preferences(self, provider: Provider, preferences: Preferences) -> None:
        """Note when and how far the owner lets the machine be used from now on."""
        provider.preferences = preferences
        self._decided(provider)

    def rename(self, provider: Provider, name: str) -> None:
        """Note what the owner calls the machine."""
        provider.name = name
        self._decided(provider)

    def set_gpu_profile(self, provider: Provider, gpu_model: str, facts: Facts, compute_types: frozenset[str]) -> None:
        """Note what the owner says of the GPU."""
        provider.registered_gpu_model, provider.facts, provider.compute_types = gpu_model, facts, compute_types
        self.reports.gpu_counts.update(provider)
        # A flush that was under way may have stored what was known before.
        self.reports.note_unstored(provider)
        self._decided(provider)

    def set_gpu_factors(self, factors: Mapping[str, int]) -> None:
        """Note what GPU models cost from now on, in hundredths by their canonical names."""
        # Loaded again and again beside other replicas; the walk over all machines is for a change.
        if factors == self.prices.factors:
            return
        changed = {name for name, _ in factors.items() ^ self.prices.factors.items()}
        self.prices.factors = factors
        for provider in self._all.values():
            # One that is below its model costs what the cheapest card does that does as much, whichever that is now.
            if provider.named_gpu in changed or provider.below_model is not None:
                self._index(provider)

    def set_measurement(
        self, provider: Provider, measurement: Measurement | None, outcome: str, *, caught: bool = False
    ) -> None:
        """Note what a probe proved, None after one that was answered wrongly; `outcome` says it to people.

        `caught` at pretending, a machine gets no work for GPUs until an admin decides.
        """
        provider.measurement, provider.probe_outcome = measurement, outcome
        now_ms = self._clock.now_ms()
        # Whoever is caught at pretending would otherwise be no worse off than before it was asked.
        if caught and provider.has_gpu:
            provider.doubt(f"The probe of its GPU {outcome}", now_ms)
        provider.judge(now_ms)
        self.reports.gpu_counts.update(provider)
        self.reports.note_unstored(provider)
        self._index(provider)

    def set_shared_card(self, provider: Provider) -> None:
        """Note that its card was seen to be another machine's too."""
        provider.shares_card = True
        provider.judge(self._clock.now_ms())
        self.reports.note_unstored(provider)
        self._index(provider)

    def accept_hardware(self, provider: Provider, hardware: str | None) -> None:
        """Note that an admin takes a GPU to be what is reported, though the table of models says otherwise."""
        provider.mismatch = provider.mismatch_at_ms = None
        provider.mismatch_to_store = False
        provider.accepted_hardware = hardware
        # Of another kind it may be doubtful all the same, and nobody has decided about that.
        provider.judge(self._clock.now_ms())
        if provider.mismatch is not None:
            self.reports.note_unstored(provider)
        self._decided(provider)

    def close(self, provider: Provider) -> None:
        """Note that the account was closed; it is shown as suspended where it is still shown."""
        provider.deleted = provider.suspended = True
        self._decided(provider)
        self.presence.sign_off(provider)

    def _decided(self, provider: Provider) -> None:
        # What another replica stored is read without a lock and may be older than a decision made here meanwhile;
        # `follow` tells by this number.
        self.decisions += 1
        provider.decided_at = self.decisions
        self._index(provider)
        self.on_decided(provider.id)

    # Work

    def occupy(self, provider_id: int, room: Room) -> None:
        """Note that a job took room of a provider."""
        provider = self._all[provider_id]
        provider.gpus_held += room.gpus
        provider.calls += room.calls
        self.availability.taken(provider)

    def release(self, provider_id: int, room: Room) -> None:
        """Note that a job gave its room back."""
        provider = self._all.get(provider_id)
        if provider is not None:
            provider.gpus_held = max(0, provider.gpus_held - room.gpus)
            provider.calls = max(0, provider.calls - room.calls)
            self.availability.taken(provider)

    def occupy_elsewhere(self, provider_id: int, gpus: int) -> None:
        """Note that jobs which are not known here took so many GPUs more, or fewer, of a machine that others serve."""
        provider = self._all.get(provider_id)
        if provider is not None:
            provider.gpus_held = max(0, provider.gpus_held + gpus)
            self.availability.taken_elsewhere(provider)

    def count_run(self, provider_id: int, standing: Standing) -> None:
        """Follow what an ended run did to the provider's counts and reputation."""
        provider = self._all.get(provider_id)
        if provider is not None and standing is not NO_CHANGE:
            provider.completed_jobs += standing.completed_jobs
            provider.failed_jobs += standing.failed_jobs
            provider.record = provider.record.plus(standing.record)
            self.decisions += 1
            provider.counted_at = self.decisions
            self._index(provider)

    def _index(self, provider: Provider) -> None:
        # Placement reads the index and never the providers: to walk the fleet for each job would cost all of it, an
        # entry costs two binary searches. So every change above ends here, and every sign of life in PresenceTracker at
        # the same call; one that did not would leave a provider with work it may not have, or without.
        self.availability.update(provider)

    def set_week_beats(self, beats: dict[int, int]) -> None:
        """Start the week's heartbeat counts anew, from what is stored."""
        for provider in self._all.values():
            provider.beats_of_week = beats.get(provider.id, 0)


def _runs(provider: Provider) -> int:
    return provider.completed_jobs + provider.failed_jobs


def _is_later(presence: Presence, known: Presence) -> bool:
    """Tell whether a presence says at least as much as the known one; what is not stored yet is known here only."""
    if presence.stream_open or known.stream_open:
        return True
    return _last_sign(presence) >= _last_sign(known)


def _last_sign(presence: Presence) -> tuple[int, bool, bool]:
    """Return when the daemon was last heard, and whether that was its farewell or the end of its stream."""
    lost_ms = presence.stream_lost_ms
    return max(presence.last_heartbeat_ms or 0, lost_ms or 0), presence.signed_off, lost_ms is not None

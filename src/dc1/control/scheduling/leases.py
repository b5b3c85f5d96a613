"""Who holds which job: every pending and running job in memory, so that a beat is answered without a query.

The database decides every move; this table follows it after the commit.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from dc1.control.fleet.fleet import Fleet
from dc1.control.scheduling.job_feed import TokenChunk
from dc1.domain.base.clock import Clock
from dc1.domain.inference.kept_events import KeptEvents
from dc1.domain.inference.relayed_pace import RelayedPace
from dc1.domain.inference.usage import NOTHING_RELAYED, CallBounds, RelayedText, RunSaid
from dc1.domain.jobs.placement import Room
from dc1.domain.jobs.states import JobSource
from dc1.domain.providers.liveness import Channel
from dc1.storage.jobs.claims import UnstoredStart
from dc1.storage.jobs.job_records import JobRow, JobSpec

_MOST_ENDED = 10_000
"""Ended runs that wait for the next look at them, which is every second."""

_MOST_HELD_BACK = 1_000
"""Pieces of text that one lease holds back while it is settled, which takes one transaction."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job with its documents, the number of the attempt that is offered or runs, and the trace that it is part of."""

    job: JobRow
    spec: JobSpec
    attempt: int
    traceparent: str = ""


@dataclass(slots=True)
class Lease:
    """A job reserved for a provider (offered) or running there.

    `attempt` is the number the run has or will have. `found_ms` is when this server found it in the database, None when
    it gave the job out itself. `answer_by_ms` is when an unanswered offer on a stream goes elsewhere, None for daemons
    that poll. `timeout_at_ms` is set once it runs, and `taken_up` once the daemon is known to work on it. Whoever
    starts it or takes it back holds `changing` until that is stored and known here. `relayed` is how much its run said
    through this server, in tokens, and `relayed_characters` and `relayed_events` where that ends. While `settlements`
    are under way, which are paid by what was said before, what it says is `held_back`. `pace` is how fast a call is
    answered, None where this server did not see it begin, and `kept` what its engine said, for a caller elsewhere.
    `unstored` is the start of its run until the database has it. `has_caller` is set of a call whose caller is about to
    read it here, if nobody does yet. `bounds` are those of a call that has said much.
    """

    assignment: Assignment
    provider_id: int
    attempt: int
    found_ms: int | None = None
    answer_by_ms: int | None = None
    running: bool = False
    timeout_at_ms: int | None = None
    beats_unseen: int = 0
    taken_up: bool = False
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    relayed: RelayedText = NOTHING_RELAYED
    relayed_characters: int = 0
    relayed_events: int = 0
    settlements: int = 0
    held_back: list[Callable[[], None]] = field(default_factory=list)
    pace: RelayedPace | None = None
    kept: KeptEvents = field(default_factory=KeptEvents)
    unstored: UnstoredStart | None = None
    has_caller: bool = False
    bounds: CallBounds | None = None

    def pass_on(self, show: Callable[[], None]) -> bool:
        """Show what the run says, or hold it back while the run is settled; False when no more can be held."""
        if not self.settlements:
            show()
            return True
        has_room = len(self.held_back) < _MOST_HELD_BACK
        if has_room:
            self.held_back.append(show)
        return has_room

    def relay(self, text: str, count: int, offset: int | None) -> None:
        """Count text that passes on its way to the caller, by its offset none twice and nothing behind a gap."""
        known = 0 if offset is None else self.relayed_characters - offset
        # Behind a gap no caller is shown anything more, so there is nothing to pay for.
        new = text[known:] if known >= 0 else ""
        if new:
            self.relayed = self.relayed.plus(new, count)
            self.relayed_characters += len(new)

    def relay_chunk(self, chunk: TokenChunk, now_ms: int) -> None:
        """Count what a run says on its way to the caller: the text, or what the engine says that has the text in it."""
        if not chunk.events and not self.relayed_events:
            self.relay(chunk.text, chunk.count, chunk.offset)
        for event in chunk.events if chunk.event_offset == self.relayed_events else ():
            made, tokens = event.made()
            if made:
                self.relayed = self.relayed.plus(made, tokens)
            self.relayed_events += 1
        if chunk.is_last and self.relayed_events == chunk.event_offset + len(chunk.events):
            only = chunk.events[0] if self.relayed_events == 1 and chunk.events else None
            answer = None if only is None or only.choices else only.values
            self.relayed = replace(self.relayed, is_whole=True, answer=answer)
        if self.pace is not None:
            self.pace.note(self.relayed, now_ms)

    @property
    def may_go_too_far(self) -> bool:
        """Whether a call has said so much that it may be more than it may come to, though daemons cut what is."""
        return self.assignment.job.source is JobSource.V1 and CallBounds.may_be_passed(self.relayed)

    def call_bounds(self) -> CallBounds:
        """Return what bounds the tokens of a call; all of its body is read for it, of up to 8 MiB."""
        spec = self.assignment.spec
        return CallBounds.of(spec.inference_path, spec.said or {})

    @property
    def said(self) -> RunSaid:
        """What its run has said through this server, for another one."""
        relayed = self.relayed
        counts = (relayed.size_bytes, relayed.tokens, self.relayed_characters, self.relayed_events)
        return RunSaid(self.row_id, self.attempt, *counts, int(relayed.is_whole))

    def resume(self, said: RunSaid) -> None:
        """Go on from what its run had said through another server, if that is more than is known here."""
        if said.attempt == self.attempt and said.tokens > self.relayed.tokens:
            self.relayed = said.relayed_of(self.attempt)
            self.relayed_characters, self.relayed_events = said.characters, said.events

    @property
    def row_id(self) -> int:
        """Row id of the job."""
        return self.assignment.job.id

    @property
    def job_id(self) -> str:
        """Public id of the job."""
        return self.assignment.job.job_id

    @property
    def room(self) -> Room:
        """What it takes of its provider."""
        return self.assignment.job.room


class Leases:
    """Every lease, by job and by provider."""

    def __init__(self) -> None:
        self._by_row: dict[int, Lease] = {}
        self._by_provider: defaultdict[int, dict[str, Lease]] = defaultdict(dict)
        self._ended: deque[Lease] = deque(maxlen=_MOST_ENDED)
        self.running = 0
        """How many of them run, for whoever asks every second."""

    def __len__(self) -> int:
        return len(self._by_row)

    def __iter__(self) -> Iterator[Lease]:
        return iter(list(self._by_row.values()))

    def add(self, lease: Lease) -> None:
        """Note that a provider holds a job; an older lease of the job is forgotten."""
        self.remove(lease.row_id)
        self._by_row[lease.row_id] = lease
        self._by_provider[lease.provider_id][lease.job_id] = lease
        self.running += lease.running

    def set_running(self, lease: Lease, *, running: bool) -> None:
        """Note that a lease runs now, or is offered again."""
        if self.is_current(lease):
            self.running += running - lease.running
        lease.running = running

    def remove(self, row_id: int) -> Lease | None:
        """Forget the lease of a job, and return it if there was one."""
        lease = self._by_row.pop(row_id, None)
        if lease is not None:
            held = self._by_provider[lease.provider_id]
            del held[lease.job_id]
            if not held:
                del self._by_provider[lease.provider_id]
            if lease.running:
                self.running -= 1
                self._ended.append(lease)
        return lease

    def take_ended(self) -> list[Lease]:
        """Return the leases of runs that ended since the last call, for whoever keeps what was seen of them."""
        ended = list(self._ended)
        self._ended.clear()
        return ended

    def of_job(self, row_id: int) -> Lease | None:
        """Return the lease of a job, or None."""
        return self._by_row.get(row_id)

    @contextmanager
    def settling(self, *row_ids: int) -> Iterator[dict[int, RelayedText]]:
        """Yield how much runs have said, and hold back what they say until the block has ended them, or has not.

        Otherwise nobody would pay for what a caller is shown between the count and the commit.
        """
        found = [lease for row_id in row_ids if (lease := self._by_row.get(row_id)) is not None]
        for lease in found:
            lease.settlements += 1
        try:
            # Nothing of a job without a lease.
            yield dict.fromkeys(row_ids, NOTHING_RELAYED) | {lease.row_id: lease.relayed for lease in found}
        finally:
            for lease in found:
                lease.settlements -= 1
                if not lease.settlements:
                    self._show_held_back(lease)

    def _show_held_back(self, lease: Lease) -> None:
        held_back, lease.held_back = lease.held_back, []
        # What comes of a run that has ended is shown to nobody.
        if self.is_current(lease):
            for show in held_back:
                show()

    def held(self, provider_id: int, job_id: str) -> Lease | None:
        """Return the provider's lease of a job, or None."""
        return self._by_provider.get(provider_id, {}).get(job_id)

    def named(self, provider_id: int, reference: str) -> Lease | None:
        """Return the provider's lease of the job that a call names by either kind of id, or None."""
        lease = self.held(provider_id, reference)
        if lease is None and reference.isascii() and reference.isdecimal():
            lease = self._by_row.get(int(reference))
        return lease if lease is not None and lease.provider_id == provider_id else None

    def of_provider(self, provider_id: int) -> list[Lease]:
        """Return everything a provider holds."""
        return list(self._by_provider.get(provider_id, {}).values())

    def provider_ids(self) -> list[int]:
        """Return who holds anything."""
        return list(self._by_provider)

    def is_current(self, lease: Lease) -> bool:
        """Tell whether a lease is still the one in force."""
        return self._by_row.get(lease.row_id) is lease

    def offered(self) -> list[Lease]:
        """Return everything that is offered and does not run."""
        return [lease for lease in self._by_row.values() if not lease.running]

    def unanswered(self, now_ms: int) -> list[Lease]:
        """Return the offers that nobody answered in time."""
        return [lease for lease in self.offered() if lease.answer_by_ms is not None and lease.answer_by_ms <= now_ms]


class AnswerTimes:
    """Until when daemons are to answer what they are offered."""

    def __init__(self, clock: Clock, fleet: Fleet, leases: Leases, timeout_ms: int) -> None:
        self._clock = clock
        self._fleet = fleet
        self._leases = leases
        self._timeout_ms = timeout_ms

    def expect(self, lease: Lease) -> None:
        """Start the time to answer an offer."""
        # A daemon that polls is given its job when it asks; only a stream is expected to answer.
        provider = self._fleet.get(lease.provider_id)
        if provider is not None and provider.presence.channel is Channel.STREAM:
            lease.answer_by_ms = self._clock.now_ms() + self._timeout_ms

    def await_all(self, provider_id: int) -> None:
        """Start the time to answer of every offer that a daemon finds when its stream opens."""
        for lease in self._leases.of_provider(provider_id):
            if not lease.running and lease.answer_by_ms is None:
                self.expect(lease)

    def seconds_left(self, lease: Lease) -> float:
        """Return how long the daemon may still take to accept an offer."""
        if lease.answer_by_ms is None:
            return self._timeout_ms / 1000
        return max(0.0, (lease.answer_by_ms - self._clock.now_ms()) / 1000)

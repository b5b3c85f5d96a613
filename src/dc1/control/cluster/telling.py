"""What this server tells the others of jobs: each of what concerns it, and of which it wants to be told itself.

A job is news to whoever holds its machine's stream, to whoever has readers of it, and when it begins to wait to whoever
has room for it. All else comes with the next look of each server, and so does what is lost on its way. That a job waits
no more all are told, in no hurry: who has it in the queue would claim it in vain.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice

from dc1.control.feeds.job_watch import EVERYBODY, Audience
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.job_feed import JobUpdate, Lagged, LogLines, StateChanged
from dc1.domain.jobs.states import JobSource, JobStatus
from dc1.storage.cluster.news import MOST_IDS, News, ToldSpeed, Wants
from dc1.storage.engine.followed import Outbox
from dc1.storage.jobs.job_records import JobRow

WANTS_SECONDS = 2.0
"""How often a server says what it wants to be told; it may have been lost, or be new to who has joined."""
_FORGOTTEN_SECONDS = 3 * WANTS_SECONDS
_GONE_SECONDS = 0.1
_MOST_ASKED = 100
"""Machines with room that are looked at for who serves them: a fleet may have thousands."""


class _Interest:
    """What one other server wants to be told."""

    def __init__(self) -> None:
        self.heard_at = time.monotonic()
        self.rows: set[int] = set()
        self.audiences: frozenset[Audience] = frozenset()
        self.room = self.queues = self.more = False

    def take(self, wants: Wants) -> None:
        """Put what it wants in the place of what it wanted."""
        self.heard_at = time.monotonic()
        self.rows, self.room, self.queues, self.more = set(wants.rows), wants.room, wants.queues, wants.more
        renters = (Audience(renter_id=each) for each in wants.renters)
        accounts = (Audience(account_id=each) for each in wants.accounts)
        self.audiences = frozenset((*renters, *accounts, *([EVERYBODY] if wants.everybody else ())))


class Telling:
    """Gathers what is to be told until it is sent, and knows who wants to hear what."""

    def __init__(
        self, core: Core, replica_id: str, others: Callable[[], Collection[str]], wake: Callable[[], None]
    ) -> None:
        """`others` are the servers that live, and `wake` has what was gathered sent soon."""
        self._replica_id = replica_id
        self._others = others
        self._wake = wake
        self._fleet = core.fleet
        self._leases = core.leases
        self._sessions = core.sessions
        self._job_feed = core.job_feed
        self._job_watch = core.job_watch
        self._interests: dict[str, _Interest] = {}
        # By whom it is for, and under None what is for all.
        self._jobs: defaultdict[str | None, set[int]] = defaultdict(set)
        self._lines: defaultdict[str | None, set[int]] = defaultdict(set)
        self._watch: defaultdict[str | None, set[int]] = defaultdict(set)
        self._gone: dict[int, int] = {}
        self._look = False
        self._filled: set[Outbox] = set()
        self._wants_at = self._queued_at = self._gone_at = float("-inf")
        self._says_room = self._says_queues = False
        self.waits_for_room: Callable[[], bool] = lambda: False
        """Whether calls wait here for a machine that has room."""
        self.has_text: Callable[[int], bool] = lambda row_id: False
        """Tell whether text that a job generated is still to be sent."""
        self.take_speeds: Callable[[], tuple[ToldSpeed, ...]] = tuple
        """Returns how fast engines are by now that are served here."""
        core.job_feed.tell_readers = self._updated
        core.job_feed.begun = self.reads
        core.job_watch.tell_watchers = self._watched
        core.job_watch.changed = self.want
        self._outboxes = core.outboxes
        core.outboxes.tell_others = self._fill

    # What is told

    def look(self) -> None:
        """Have everybody read what else than jobs has changed."""
        self._look = True
        self._wake()

    def _fill(self, outbox: Outbox) -> None:
        self._filled.add(outbox)
        self._wake()

    def moved(self, job: JobRow, held_by: int | None, waited: bool) -> None:
        """Tell of a job that was moved here, and was with `held_by` or `waited` before."""
        others = self._others()
        if not others:
            return
        # A server of before would never say what it wants, and hears what everybody is told.
        is_everybody_s = not self._interests.keys() >= set(others)
        whom: set[str | None] = {None} if is_everybody_s else {*self._holders(job.provider_id, held_by)}
        if None not in whom:
            whom.update(self._who_may_take(job, waited=waited))
        self._tell(self._jobs, job.id, whom)

    def _who_may_take(self, job: JobRow, *, waited: bool) -> Iterator[str]:
        """Yield who may have use for a job that waits, or for the room that one leaves."""
        if job.is_terminal or job.status == JobStatus.QUEUED:
            yield from (name for name, each in self._interests.items() if each.room)
        if job.status == JobStatus.QUEUED:
            self._gone.pop(job.id, None)
            yield from self._with_room(job)
            self._queued_at = time.monotonic()
            if not self._says_queues:
                self.want()
        elif waited:
            self._gone[job.id] = job.event_sequence

    def _with_room(self, job: JobRow) -> Iterator[str]:
        """Yield who serves machines that could start a job now, as far as that is known here."""
        for provider_id in islice(self._fleet.availability.remote.fitting(job.requirement), _MOST_ASKED):
            replica = self._fleet.known(provider_id).stream_replica
            if replica is not None:
                yield replica

    def _holders(self, *provider_ids: int | None) -> Iterator[str | None]:
        """Yield who serves these machines, None where that may be any of the others."""
        for provider_id in provider_ids:
            provider = None if provider_id is None else self._fleet.get(provider_id)
            if provider_id is None or self._sessions.get(provider_id) is not None:
                continue
            yield None if provider is None else provider.stream_replica

    def _updated(self, row_id: int, update: JobUpdate) -> None:
        for name, interest in self._interests.items():
            if row_id in interest.rows and isinstance(update, StateChanged):
                self._tell(self._jobs, row_id, [name])
            elif row_id in interest.rows and isinstance(update, LogLines | Lagged):
                self._tell(self._lines, row_id, [name])

    def _watched(self, job: JobRow, account_id: int | None) -> None:
        audiences = {EVERYBODY, Audience(renter_id=job.renter_id), Audience(account_id=account_id)}
        whom = [name for name, interest in self._interests.items() if not interest.audiences.isdisjoint(audiences)]
        self._tell(self._jobs, job.id, whom)

    def _tell(self, what: defaultdict[str | None, set[int]], row_id: int, whom: Iterable[str | None]) -> None:
        for name in whom:
            what[name].add(row_id)
            self._wake()

    # What is wanted

    def want(self) -> None:
        """Say soon what this server wants to be told."""
        self._wants_at = 0.0
        self._wake()

    def want_room(self) -> None:
        """Say soon that a call waits here for a machine, unless that is said: under load calls wait all the time."""
        if not self._says_room:
            self.want()

    def reads(self, row_id: int) -> None:
        """Say that a job is read here, if it is not served here as well."""
        if not self._others() or self._is_served_here(row_id):
            return
        lease = self._leases.of_job(row_id)
        # Known before the run says anything: this leaves with the news of the job, or after it on one connection.
        self._tell(self._watch, row_id, set(self._holders(None if lease is None else lease.provider_id)) or {None})

    def _wanted(self) -> Wants:
        rows = [row_id for row_id in self._job_feed.read_rows() if not self._is_served_here(row_id)]
        audiences = self._job_watch.audiences
        renters = [each.renter_id for each in audiences if each.renter_id is not None]
        accounts = [each.account_id for each in audiences if each.account_id is not None]
        room = self.waits_for_room()
        queues = time.monotonic() - self._queued_at < WANTS_SECONDS
        if len(rows) + len(renters) + len(accounts) > MOST_IDS:
            return Wants(tuple(rows[:MOST_IDS]), everybody=True, room=room, queues=queues, more=len(rows) > MOST_IDS)
        return Wants(tuple(rows), tuple(renters), tuple(accounts), EVERYBODY in audiences, room, queues)

    def _is_served_here(self, row_id: int) -> bool:
        lease = self._leases.of_job(row_id)
        return lease is not None and self._sessions.get(lease.provider_id) is not None

    def heard(self, news: News) -> None:
        """Take what another server wants to be told, and have sent what it has too much of."""
        if news.filled:
            self._outboxes.look(*news.filled)
        if news.wants is not None:
            self._interests.setdefault(news.replica, _Interest()).take(news.wants)
        elif news.watch:
            self._interests.setdefault(news.replica, _Interest()).rows.update(news.watch)

    def readers(self, row_id: int) -> Collection[str | None]:
        """Return where else a job is read, as far as that is known; None among them for all others."""
        interests = self._interests
        names: set[str | None] = {name for name, each in interests.items() if row_id in each.rows}
        more = [name for name, each in interests.items() if each.more]
        if not names and self._is_read_elsewhere(row_id):
            # By name, as what was said before to one of them that names it no more: all of it has to come in its order.
            return self._others() if more else {None}
        # A server of before says nothing of what it wants, and counts what it hears.
        names.update(more, (name for name in self._others() if name not in interests))
        return names

    def _is_read_elsewhere(self, row_id: int) -> bool:
        """Tell of a call whose caller is not here: its server is heard of in moments, when it may have its answer."""
        lease = self._leases.of_job(row_id)
        is_call = lease is not None and lease.assignment.job.source is JobSource.V1 and not lease.has_caller
        return is_call and not self._job_feed.has_caller(row_id)

    # What is sent

    def take(self) -> list[tuple[str | None, News]]:
        """Return what is to be told now and to whom, None for all; what does not fit is kept for the next time.

        So is the news of a job whose text has not left yet.
        """
        now = time.monotonic()
        living, old = self._others(), now - _FORGOTTEN_SECONDS
        self._interests = {
            name: each for name, each in self._interests.items() if name in living and each.heard_at > old
        }
        wants = self._wanted() if now - self._wants_at >= WANTS_SECONDS else None
        if wants is not None:
            self._wants_at, self._says_room, self._says_queues = now, wants.room, wants.queues
        # Who is gone is told nothing, nor are all where nobody is left: it would be kept for ever.
        for gathered in (self._jobs, self._lines, self._watch):
            for name in [each for each in gathered if each not in living and not (each is None and living)]:
                del gathered[name]
        look, self._look = self._look, False
        filled, self._filled = tuple(sorted(self._filled)), set()
        found: list[tuple[str | None, News]] = []
        if not living:
            self._gone.clear()
        elif self.has_gone and now - self._gone_at >= _GONE_SECONDS:
            self._gone_at = now
            gone = [*islice(self._gone.items(), MOST_IDS // 2)]
            for row_id, _ in gone:
                del self._gone[row_id]
            found.append((None, News(self._replica_id, gone=tuple(gone))))
        if look or filled or wants is not None:
            found.append((None, News(self._replica_id, look, wants=wants, filled=filled)))
        if wants is not None and living and (speeds := self.take_speeds()):
            found.append((None, News(self._replica_id, speeds=speeds)))
        for name in {None, *self._jobs, *self._lines, *self._watch}:
            jobs = _some(self._jobs, name, self.has_text)
            lines, watch = (_some(ids, name) for ids in (self._lines, self._watch))
            if jobs or lines or watch:
                found.append((name, News(self._replica_id, jobs=jobs, lines=lines, watch=watch)))
        return found

    @property
    def has_gone(self) -> bool:
        """Whether jobs wait no more of which the others are still to be told."""
        return bool(self._gone)

    def may_wait_elsewhere(self) -> bool:
        """Tell whether jobs began to wait at another server of which this one was not told."""
        return any(each.queues for each in self._interests.values())

    def __bool__(self) -> bool:
        return self._look or any((*self._jobs.values(), *self._lines.values(), *self._watch.values()))


def _some(
    gathered: defaultdict[str | None, set[int]], name: str | None, waits: Callable[[int], bool] = lambda row_id: False
) -> tuple[int, ...]:
    """Take out as many ids for somebody as a third of a piece of news may have, of those that need not wait."""
    ids = gathered.pop(name, set())
    taken = tuple(islice((row_id for row_id in ids if not waits(row_id)), MOST_IDS // 3))
    if left := ids.difference(taken):
        gathered[name] = left
    return taken

"""What servers ask each other of runs, once somebody ends one that another server relays: how much it has said.

It is paid by that. To tell all others as it is said would cost each of them more than most calls do.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import count

import structlog

from dc1.control.failures import level_of
from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.core import Core
from dc1.domain import errors
from dc1.domain.inference.usage import RunSaid
from dc1.domain.jobs.states import JobSource
from dc1.domain.providers.liveness import Channel
from dc1.storage.cluster.held_jobs import holders
from dc1.storage.cluster.news import MOST_IDS, Answer, News

log = structlog.get_logger(__name__)

_ANSWER_SECONDS = 3.0
"""How long is waited for an answer: who is stalled for longer is all but dead."""

_RESUME_SECONDS = 1.0
"""The same while a machine waits for its welcome, whose calls may have been with a server that has just died."""

_MOST_ASKED = MOST_IDS // 10
"""Runs in one question, for an answer has seven numbers of each."""


class _Question:
    """What was asked, and what has come of it."""

    def __init__(self, row_ids: Collection[int], names: Collection[str]) -> None:
        self.unknown = set(row_ids)
        self.silent = set(names)
        self.said: dict[int, RunSaid] = {}
        self.is_over = asyncio.Event()

    def take(self, name: str, said: Sequence[RunSaid]) -> None:
        """Take an answer; of two servers that relay a run, the one to its caller, the more was said the better."""
        for each in said:
            known = self.said.get(each.row_id)
            if known is None or (known.attempt, known.tokens) < (each.attempt, each.tokens):
                self.said[each.row_id] = each
            self.unknown.discard(each.row_id)
        self.leave(name)

    def leave(self, name: str) -> None:
        """Note that a server has no more to say, or is gone."""
        self.silent.discard(name)
        if not self.unknown or not self.silent:
            self.is_over.set()


class Asking:
    """Questions to others that are not answered yet, and theirs."""

    def __init__(
        self, core: Core, replica_id: str, others: Callable[[], frozenset[str]], wake: Callable[[], None]
    ) -> None:
        """`others` are the servers that live, and `wake` has what is to be sent sent soon."""
        self._db = core.db
        self._fleet = core.fleet
        self._leases = core.leases
        self._sessions = core.sessions
        self._job_feed = core.job_feed
        self._replica_id = replica_id
        self._others = others
        self._wake = wake
        self._numbers = count(1)
        self._open: dict[int, _Question] = {}
        self._asked: list[tuple[str, tuple[int, ...]]] = []
        self._to_send: list[tuple[str, News]] = []
        self.was_asked = asyncio.Event()
        self.store: Callable[..., Awaitable[object]] | None = None
        """Stores that those runs have begun, which whoever asks is about to end in the database."""

    async def said(self, row_ids: Collection[int], *, of_all_calls: bool) -> Mapping[int, RunSaid]:
        """Return what runs have said at other servers; nothing of those whose answers pass through this one.

        Raises:
            service_unavailable: A server that lives does not say what a call has said there, and it has to be
                `of_all_calls`.
        """
        asked = [each for each in row_ids if not self._passes_here(each)] if self._others() else []
        machines = await self._db.read(lambda conn: holders(conn, asked)) if asked else {}
        by_names: defaultdict[frozenset[str], list[int]] = defaultdict(list)
        for row_id, (provider_id, _) in machines.items():
            by_names[self._who_hears(self._fleet.get(provider_id))].append(row_id)
        found = await asyncio.gather(*(self._ask_all(rows, names) for names, rows in by_names.items()))
        calls = {row_id for row_id, (_, source) in machines.items() if source == JobSource.V1}
        if of_all_calls and any(calls & unanswered for _, unanswered in found):
            raise errors.service_unavailable(math.ceil(_ANSWER_SECONDS))
        return {row_id: said for each, _ in found for row_id, said in each.items()}

    async def resume(self, provider_id: int) -> None:
        """Know what the calls of a machine have said that came here, before it says more.

        What does not follow on what is known is counted for nothing.
        """
        held = (lease for lease in self._leases.of_provider(provider_id))
        row_ids = [lease.row_id for lease in held if lease.assignment.job.source is JobSource.V1]
        known, _ = await self._ask_all(row_ids, self._others(), _RESUME_SECONDS)
        for row_id, said in known.items():
            if (lease := self._leases.of_job(row_id)) is not None:
                lease.resume(said)

    def _passes_here(self, row_id: int) -> bool:
        lease = self._leases.of_job(row_id)
        if lease is None:
            return False
        # Whose caller was here has passed here, be it that the caller has just left.
        is_callers = lease.found_ms is None or self._job_feed.has_caller(row_id)
        return is_callers or self._sessions.get(lease.provider_id) is not None

    def _who_hears(self, provider: Provider | None) -> frozenset[str]:
        """Return which of the others may hear what a machine says: nobody what one says that polls."""
        others = self._others()
        if provider is not None and provider.stream_replica in others:
            return frozenset((provider.stream_replica,))
        polls = provider is not None and provider.presence.channel is not Channel.STREAM
        return frozenset() if polls else others

    async def _ask_all(
        self, row_ids: Sequence[int], names: Collection[str], seconds: float | None = None
    ) -> tuple[dict[int, RunSaid], set[int]]:
        """Return what was said, and of which runs more may have been at a server that lives and does not answer."""
        found: dict[int, RunSaid] = {}
        unanswered = set[int]()
        for start in range(0, len(row_ids), _MOST_ASKED):
            question = await self._ask(row_ids[start : start + _MOST_ASKED], names, seconds or _ANSWER_SECONDS)
            found |= question.said
            unanswered |= question.unknown if question.silent & self._others() else set()
        return found, unanswered

    async def _ask(self, row_ids: Sequence[int], names: Collection[str], seconds: float) -> _Question:
        if not names:
            return _Question((), ())
        number = next(self._numbers)
        question = self._open[number] = _Question(row_ids, names)
        self._to_send += [(name, News(self._replica_id, asks=(number, *row_ids))) for name in names]
        self._wake()
        try:
            async with asyncio.timeout(seconds):
                await question.is_over.wait()
        except TimeoutError:
            log.warning("runs_asked_for_in_vain", servers=len(names), jobs=len(row_ids))
        finally:
            del self._open[number]
        return question

    def heard(self, news: News) -> None:
        """Take a question, or an answer."""
        if news.asks:
            self._asked.append((news.replica, news.asks))
            self.was_asked.set()
        if news.answer is not None and (question := self._open.get(news.answer.number)) is not None:
            question.take(news.replica, news.answer.said)

    async def answer(self) -> None:
        """Answer what was asked."""
        # All that waits at once: the last of a few hundred would else be answered behind as many transactions.
        asked, self._asked = self._asked, []
        wanted = {row_id for _, (_, *row_ids) in asked for row_id in row_ids}
        known = {row_id for row_id in wanted if self._leases.of_job(row_id) is not None}
        await self._store(*sorted(known))
        for name, (number, *row_ids) in asked:
            leases = (self._leases.of_job(row_id) for row_id in row_ids if row_id in known)
            said = tuple(lease.said for lease in leases if lease is not None)
            self._to_send.append((name, News(self._replica_id, answer=Answer(number, said))))
        self._wake()

    async def _store(self, *row_ids: int) -> None:
        try:
            if self.store is not None:
                await self.store(*row_ids)
        except Exception as error:
            # Whoever asks cannot store anything either, or gives the hold back as if nothing had begun.
            level_of(error, log)("call_starts_not_stored")

    def take(self) -> list[tuple[str, News]]:
        """Return what is to be sent now, and to whom."""
        to_send, self._to_send = self._to_send, []
        return to_send

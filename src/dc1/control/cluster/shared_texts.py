"""Generated text on its way to whoever reads it at other servers, and theirs for readers here."""

from collections.abc import Callable, Collection
from functools import partial

from dc1.control.cluster.heard_events import HeardEvents
from dc1.control.cluster.waiting_texts import WaitingTexts
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.job_feed import Lagged, TokenChunk
from dc1.control.scheduling.leases import Lease
from dc1.domain.access.call_use import CallUse
from dc1.storage.cluster.change_feed import Shared, SharedEvent, SharedTokens


class SharedTexts:
    """What is to be sent, by whom it is for, and what was heard."""

    def __init__(self, core: Core, hearers: Callable[[int], Collection[str | None]]) -> None:
        """`hearers` are the servers that a job is read at, None among them for all."""
        self._clock = core.clock
        self._leases = core.leases
        self._job_feed = core.job_feed
        self._hearers = hearers
        self._waiting: dict[str | None, WaitingTexts] = {}
        self._events = HeardEvents()

    # What is sent

    def share(self, row_id: int, tokens: TokenChunk) -> bool:
        """Put what a run said for those who read it elsewhere; False where nobody does."""
        hearers = self._hearers(row_id)
        for name in hearers:
            self._of(name).add(row_id, tokens)
        return bool(hearers)

    def share_use(self, use: CallUse) -> None:
        """Put what was used of a limit, for all."""
        self._of(None).add_use(use)

    def _of(self, name: str | None) -> WaitingTexts:
        return self._waiting.setdefault(name, WaitingTexts())

    def has_of(self, row_id: int) -> bool:
        """Tell whether something waits that a job's run said."""
        return any(each.has_of(row_id) for each in self._waiting.values())

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    def take(self, others: Collection[str]) -> list[tuple[str | None, list[Shared]]]:
        """Take out for each of the others, and for all, as much of what waits as one notification carries."""
        # Who is gone is told nothing, nor are all where nobody is left.
        names = (None, *others) if others else ()
        self._waiting = {name: texts for name in names if (texts := self._waiting.get(name))}
        everybody = self._waiting.pop(None, None)
        taken: list[tuple[str | None, list[Shared]]] = [] if everybody is None else [(None, everybody.take())]
        # A call's first words may be for all, and what follows on them for its caller's server. What was used of limits
        # is for all, too, and may come with every call: behind that no words wait.
        if everybody is None or not everybody.has_text:
            taken += [(name, texts.take()) for name, texts in self._waiting.items()]
        if everybody:
            self._waiting[None] = everybody
        return taken

    # What is heard

    def hear(self, item: SharedTokens | SharedEvent) -> None:
        """Show readers here what a run said elsewhere."""
        tokens = (
            self._events.take(item)
            if isinstance(item, SharedEvent)
            else TokenChunk(item.attempt, item.text, item.count, item.offset)
        )
        if tokens is None:
            return
        # Whoever hangs up here pays what was said at the daemon's server.
        lease = self._leases.of_job(item.row_id)
        show = partial(self._show, lease, item.row_id, tokens)
        if lease is None:
            show()
        elif not lease.pass_on(show):
            self._job_feed.publish(item.row_id, Lagged(), heard=True)

    def _show(self, lease: Lease | None, row_id: int, tokens: TokenChunk) -> None:
        if lease is not None and lease.attempt == tokens.attempt:
            lease.relay_chunk(tokens, self._clock.now_ms())
        self._job_feed.publish(row_id, tokens)

"""What was put where to be sent, for who sends it: on this server, or where that has its hands full on another one."""

from collections.abc import Callable

from dc1.storage.engine.followed import Outbox


class Outboxes:
    """Wakes who sends from an outbox: for what is committed here, and for what another server cannot send at once."""

    def __init__(self) -> None:
        """Wake nobody yet."""
        self._senders: dict[Outbox, tuple[Callable[[], None], Callable[[], None]]] = {}
        self.tell_others: Callable[[Outbox], None] = lambda outbox: None
        """Has the other servers look into an outbox, in which more waits than is sent from here at once."""

    def open(self, outbox: Outbox, *, filled: Callable[[], None], look: Callable[[], None]) -> None:
        """Call `filled` when something was put into an outbox here, and `look` when it is to be looked at otherwise."""
        self._senders[outbox] = filled, look

    def close(self, outbox: Outbox) -> None:
        """Call nobody any more."""
        self._senders.pop(outbox, None)

    def look(self, *outboxes: Outbox) -> None:
        """Have who sends from these look now; without a name, everybody, as the clock was moved."""
        for outbox in outboxes or [*self._senders]:
            if outbox in self._senders:
                self._senders[outbox][1]()

    def filled(self, outbox: Outbox) -> None:
        """Follow a commit that put something into an outbox."""
        if outbox in self._senders:
            self._senders[outbox][0]()
        else:
            # A server without a secret sends nothing, and one that stops does not any more.
            self.tell_others(outbox)

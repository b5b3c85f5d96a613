"""Ends waits for a PostgreSQL that keeps its connections open and says nothing.

One that is stopped, or hangs in its disk, takes what it is sent, so that TCP finds nothing wrong with it. A driver then
waits for ever, and with it a thread and a connection of ours.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from sqlalchemy import Engine, event

log = logging.getLogger(__name__)

SUSPECTED_AFTER_SECONDS = 10.0
"""Nothing of ours takes as long, unless the server is slow or somebody locks a table."""

ENDED_AFTER_SECONDS = 35.0
"""Of a server that answers others: before the edge gives a call up, with the time to ask what became of a COMMIT."""

ANSWERS_WITHIN_SECONDS = 5.0
_LOOK_SECONDS = 0.5


class Watchdog:
    """Ends those uses of a pool's connections that take too long: soon when the server answers nobody.

    A use lasts from its check-out to its check-in, whatever is said meanwhile: every wait for the server is within one,
    that for a COMMIT and that for the roll-back of the pool as well.
    """

    def __init__(self, engine: Engine, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._since: dict[Any, float] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        for begin in ("connect", "checkout"):
            # First: others that hear of it say something to the server.
            event.listen(engine, begin, self._begin, insert=True)
        for end in ("checkin", "close", "close_detached", "invalidate"):
            event.listen(engine, end, self._end)
        self._thread = threading.Thread(target=self._watch, name="dc1-postgres-watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()
        self._thread.join()

    def _begin(self, connection: Any, *_: Any) -> None:
        with self._lock:
            self._since[connection] = time.monotonic()

    def _end(self, connection: Any, *_: Any) -> None:
        with self._lock:
            self._since.pop(connection, None)

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            if not self._used_for(SUSPECTED_AFTER_SECONDS):
                continue
            patience = ENDED_AFTER_SECONDS if self._answers() else SUSPECTED_AFTER_SECONDS
            if ended := self._used_for(patience, do=shut):
                log.warning("waits for PostgreSQL were ended after %g s: %d", patience, ended)
            # It is asked by a new connection, of which it may have few.
            self._closed.wait(ANSWERS_WITHIN_SECONDS)

    def _used_for(self, seconds: float, do: Callable[[Any], None] = lambda _: None) -> int:
        """Count the connections that have been in use for so long, each of which `do` is called with."""
        # Under the lock: one that is given back meanwhile would be taken from whoever has it next.
        with self._lock:
            before = time.monotonic() - seconds
            found = [connection for connection, since in self._since.items() if since < before]
            for connection in found:
                do(connection)
        return len(found)

    def _answers(self) -> bool:
        """Tell whether the server answers anybody: a statement that is slow is not its end."""
        try:
            # Who lets us in may be a pooler, whose server says nothing.
            with self._connect() as connection, shut_after(connection, ANSWERS_WITHIN_SECONDS):
                connection.execute("SELECT 1")
        # Also where this process has no descriptor or thread left for it: whoever watches must not end by that.
        except (psycopg.Error, OSError, RuntimeError):
            return False
        return True


@contextmanager
def shut_after(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Find a connection lost that is still waited for in the block after so long."""
    giving_up = threading.Timer(seconds, shut, [connection])
    giving_up.start()
    try:
        yield
    finally:
        giving_up.cancel()


def shut(connection: Any) -> None:
    """Wake whoever waits for this connection, to find it lost."""
    # Its own thread closes it. Through another number for the same socket, as closing that one here would let the next
    # file that is opened have the number.
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)

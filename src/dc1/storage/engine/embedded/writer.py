"""Units of work that share commits: one thread runs them on the one connection of SQLite that writes."""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from dc1.containment import contained
from dc1.storage.engine.embedded.held_rows import HeldRows, hold_rows
from dc1.storage.engine.statements import driver_of, send_pending
from dc1.storage.engine.unwritable import UnwritableError, UnwritableReason, unwritable_reason

log = logging.getLogger(__name__)

GIVEN_UP_AFTER_SECONDS = 20.0
"""A wait for one's turn ends then: the disk hangs, and whoever asks is answered before the edge does it."""

# Units that share one commit; the first of them waits for the last.
LARGEST_GROUP = 256
# Failures come in rows, of a caller who tries the same again: each costs its group a second run, and these many groups
# their savepoints instead.
_APART_AFTER_FAILURE = 20


class DatabaseClosedError(RuntimeError):
    """The database was closed before the unit of work was accepted."""


@dataclass(slots=True)
class _Unit:
    """One function to run with the next commit, and where its outcome goes."""

    work: Callable[[Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    begun: bool = False
    given_up: bool = False

    def resolve(self) -> None:
        # Cancelled, or given up.
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class GroupCommitWriter:
    """Runs units of work on one thread; whatever waits while a commit is on its way shares the next one.

    A unit that raises is rolled back alone and its neighbours still commit: most have written nothing by then, and for
    one that has the group runs again, each unit in a savepoint. One that takes the whole transaction with it is left
    out, and its neighbours run again. Futures resolve only after the commit is on disk.
    """

    def __init__(self, engine: Engine, on_group: Callable[[int], None] = lambda _: None) -> None:
        """`on_group` is told, on the writer's thread, how many units shared a commit."""
        self._engine = engine
        self._on_group = on_group
        self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._file = Path(str(engine.url.database))
        self._identity: tuple[int, int] | None = None
        self._closed = False
        self._apart = 0
        self._held = HeldRows()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="dc1-sqlite-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], Any]) -> asyncio.Future[Any]:
        """Queue `work`; the future belongs to the running loop.

        Raises:
            DatabaseClosedError: `close` was called before.
        """
        loop = asyncio.get_running_loop()
        unit = _Unit(work, loop, loop.create_future())
        with self._lock:
            # Under the lock, so that no unit comes behind the None that ends the thread, and waits for ever.
            if self._closed:
                raise DatabaseClosedError("the database is closed")
            self._queue.put(unit)
        giving_up = loop.call_later(GIVEN_UP_AFTER_SECONDS, self._give_up, unit)
        unit.future.add_done_callback(lambda _: giving_up.cancel())
        return unit.future

    def _give_up(self, unit: _Unit) -> None:
        """End the wait for a unit that has not begun; it is not begun any more."""
        with self._lock:
            # One that has begun is waited for, however long: what is in memory follows its commit, and nothing else
            # would tell a server that is alone on its database.
            if unit.begun or unit.future.done():
                return
            unit.given_up = True
        unit.future.set_exception(UnwritableError(UnwritableReason.NO_ANSWER))

    def _takes(self, unit: _Unit) -> bool:
        # Under the lock: of one that was given up before it began it is said that nothing was done.
        with self._lock:
            # A caller that left before its unit began wants none of its effects.
            if unit.future.cancelled() or unit.given_up:
                return False
            unit.begun = True
            return True

    def close(self) -> None:
        """Finish everything accepted so far, then stop the thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        with self._engine.connect() as connection:
            self._held = hold_rows(connection)
            self._identity = self._find_file()
            while (group := self._next_group()) is not None:
                self._commit(connection, group)
                self._on_group(len(group))
                _resolve(group)

    def _next_group(self) -> list[_Unit] | None:
        first = self._queue.get()
        if first is None:
            return None
        group = [first]
        while len(group) < LARGEST_GROUP:
            try:
                unit = self._queue.get_nowait()
            except queue.Empty:
                break
            # Taken again by the next round: what was accepted before the end is committed first.
            if unit is None:
                self._queue.put(None)
                break
            group.append(unit)
        return group

    def _find_file(self) -> tuple[int, int] | None:
        """Return what tells the file at the database's address from any other, None when there is none."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _require_same_file(self) -> None:
        # SQLite goes on with a file that was removed, or put aside for a backup, and reports every commit as stored;
        # with the process all of it would be gone.
        if self._find_file() != self._identity:
            raise UnwritableError(UnwritableReason.FILE_GONE)

    def _commit(self, connection: Connection, group: list[_Unit]) -> None:
        together = not self._apart or len(group) == 1
        self._apart = max(0, self._apart - 1)
        while group:
            # Before the BEGIN, as any statement has written first what is held: of a transaction that was undone, now.
            self._held.clear()
            try:
                with connection.begin():
                    # With the lock of the writer, for whoever puts another in its place honestly takes that too.
                    self._require_same_file()
                    self._run_all(connection, group, together=together)
                return
            except _NotTogetherError:
                together, self._apart = False, _APART_AFTER_FAILURE
            except _TransactionLostError as lost:
                log.warning("a unit lost the transaction of %d", len(group))
                group = [unit for unit in group if unit is not lost.unit]
            except Exception as error:
                # Of a full disk the probe tells once, and not each try of it.
                if unwritable_reason(error) is None:
                    log.exception("a group of %d units could not be committed", len(group))
                # A COMMIT that SQLite refuses leaves its transaction open, and the next BEGIN would fail on it.
                driver = driver_of(connection)
                if driver.in_transaction:
                    driver.rollback()
                for unit in group:
                    unit.error = unit.error or error
                return
            for unit in group:
                unit.error = None

    def _run_all(self, connection: Connection, group: list[_Unit], *, together: bool) -> None:
        among_others = self._run_among_others if together else self._run_in_savepoint
        run = self._run_alone if len(group) == 1 else among_others
        for unit in group:
            if self._takes(unit):
                run(connection, unit)
        try:
            send_pending(connection)
        except Exception as error:
            raise _NotTogetherError from error

    def _run_among_others(self, connection: Connection, unit: _Unit) -> None:
        """Run a unit in a transaction that others share, with nothing that could undo it alone."""
        driver, held = driver_of(connection), self._held
        # A savepoint for each would cost as much as two statements, and a copy of each page that it changes: hardly any
        # unit fails, and hardly one of those after it has written.
        before = driver.total_changes, held.added
        try:
            with contained():
                unit.result = unit.work(connection)
        except Exception as error:
            unit.error = error
            if (driver.total_changes, held.added) != before:
                raise _NotTogetherError from error
        if held.is_broken or not driver.in_transaction:
            raise _NotTogetherError

    def _run_alone(self, connection: Connection, unit: _Unit) -> None:
        """Run a unit that shares its commit with no other: the transaction undoes what a savepoint would."""
        driver = driver_of(connection)
        if not self._ran_whole(connection, unit):
            # Through the driver: for SQLAlchemy the transaction goes on, and ends with a COMMIT of nothing.
            driver.rollback()
        elif not driver.in_transaction:
            # What SQLite undid in the midst, and the unit made nothing of, must not pass for stored.
            unit.error = RuntimeError("the transaction was undone while its unit went on")

    def _run_in_savepoint(self, connection: Connection, unit: _Unit) -> None:
        driver = driver_of(connection)
        # Through the driver, as prepared statements: what SQLAlchemy adds would cost more than the savepoint.
        driver.execute("SAVEPOINT unit")
        if not self._ran_whole(connection, unit):
            if not driver.in_transaction:
                raise _TransactionLostError(unit) from unit.error
            driver.execute("ROLLBACK TO unit")
        driver.execute("RELEASE unit")

    def _ran_whole(self, connection: Connection, unit: _Unit) -> bool:
        """Run a unit that has to write all that it holds itself; after one that failed nothing is held."""
        try:
            # What is no Exception would end the thread that all writes wait for.
            with contained():
                unit.result = unit.work(connection)
                send_pending(connection)
            # Whoever comes upon what cannot be written may have taken the error for that of its own statement.
            if self._held.is_broken:
                raise RuntimeError("what the unit sent was not written")
        except Exception as error:
            unit.error = error
            self._held.clear()
            return False
        return True


class _NotTogetherError(Exception):
    """A unit failed after it had written, which nothing but the end of the whole transaction undoes.

    The group has to run again, each unit in a savepoint of its own.
    """


class _TransactionLostError(Exception):
    """SQLite undid the whole transaction when a unit failed, as it does on a full disk.

    The others have to run again.
    """

    def __init__(self, unit: _Unit) -> None:
        super().__init__()
        self.unit = unit


def _resolve(group: list[_Unit]) -> None:
    """Wake each loop once, however many of its units were in the group."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Unit]] = {}
    for unit in group:
        by_loop.setdefault(unit.loop, []).append(unit)
    for loop, units in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve_all, units)
        # A loop that is closed while its units are on their way belongs to a process that ends.
        except RuntimeError:
            log.warning("the loop of %d finished units is gone", len(units))


def _resolve_all(units: list[_Unit]) -> None:
    for unit in units:
        unit.resolve()

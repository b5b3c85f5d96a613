"""What may share the transaction of somebody else's command."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from dc1.storage.engine.database import Connection

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


class TransactionHook(Protocol[R_contra]):
    """Is called at both ends of a command's transaction, so that both are stored or neither is.

    Both calls run on a thread of the database, and again when the transaction is tried anew: they touch nothing that
    the event loop owns and leave nothing behind outside the connection.
    """

    def begin(self, conn: Connection) -> None:
        """Begin, before the command has read or locked anything; what this raises ends the transaction."""
        ...

    def keep(self, conn: Connection, result: R_contra) -> None:
        """Store what belongs to the command's result, the last thing before the commit."""
        ...


class _NoHook:
    def begin(self, conn: Connection) -> None:
        pass

    def keep(self, conn: Connection, result: object) -> None:
        pass


NO_HOOK: TransactionHook[object] = _NoHook()
"""For commands whose transaction nobody shares."""


def hooked(hook: TransactionHook[R], work: Callable[[Connection], R]) -> Callable[[Connection], R]:
    """Return `work` with `hook` at both ends of its transaction."""

    def unit(conn: Connection) -> R:
        hook.begin(conn)
        result = work(conn)
        hook.keep(conn, result)
        return result

    return unit

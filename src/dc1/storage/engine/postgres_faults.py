"""What PostgreSQL's errors mean for whoever wanted something of it: the one place where they are told apart."""

from enum import Enum, auto

from sqlalchemy.exc import DBAPIError, OperationalError

READ_ONLY_TRANSACTION = "25006"
# A serialization failure and a deadlock.
_CONFLICTS = ("40001", "40P01")


class PostgresFault(Enum):
    """What to do about an error."""

    GONE = auto()
    """The connection is lost, or nobody takes one now: try on a new one."""
    NOT_WRITABLE = auto()
    """This node takes no writes, as one that is not the primary any more: look for the one that does."""
    CONFLICT = auto()
    """Somebody else's transaction was in the way: run the unit again."""
    OTHER = auto()
    """Trying again would change nothing, or nothing soon."""


def fault_of(error: DBAPIError) -> PostgresFault:
    """Tell what an error means."""
    state = sqlstate(error)
    if state == READ_ONLY_TRANSACTION:
        return PostgresFault.NOT_WRITABLE
    if state in _CONFLICTS:
        return PostgresFault.CONFLICT
    return PostgresFault.GONE if is_lost(error) else PostgresFault.OTHER


def is_lost(error: DBAPIError) -> bool:
    """Tell whether the connection went away, or the server is not accepting any yet (start-up, shutdown, restart)."""
    if error.connection_invalidated:
        return True
    return isinstance(error, OperationalError) and names_no_cause_here(sqlstate(error))


def names_no_cause_here(state: str | None) -> bool:
    """Tell whether the code of a failed connection says that nobody is there now, and not what we did wrong."""
    # No state: the connection failed before the server could name one. Class 08 are connection errors, also a pooler's
    # whose server is gone, 57P the interventions of an operator: shutdown, crash, start-up.
    return state is None or state.startswith(("08", "57P"))


# libpq has no code for why it was not let in. A server that says it in another language is waited for, as one that
# starts.
_NOT_LET_IN = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "server does not support SSL",
    "certificate",
)
_NOT_THERE = ("Connection refused", "the database system is", "timeout")


def will_not_let_in(said: str) -> bool:
    """Tell whether a failed connection is refused for what we are or want, by every host that was asked."""
    return any(words in said for words in _NOT_LET_IN) and not any(words in said for words in _NOT_THERE)


def sqlstate(error: DBAPIError) -> str | None:
    """Return PostgreSQL's code of an error, None for one that it did not send."""
    return getattr(error.orig, "sqlstate", None)

"""Of which writes somebody has to hear: other servers, and who sends what waits to be sent.

Other servers hear of tables that they follow by reading them. It is said of the table, by its change stamps, and of the
few statements that change there what nobody follows or what can wait; whoever writes need not know. Who puts something
into an outbox says so.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.sql.dml import UpdateBase

T = TypeVar("T")

# As the tables say it.
_STAMP = "changed_xid"
_TELLS_ITSELF = "tells_itself"
_COUNTS_ONLY = "dc1_counts_only"
COUNTS_ONLY: Mapping[str, Any] = {_COUNTS_ONLY: True}
"""The execution options of a statement that changes nothing of its rows which the others have to see before they look
by themselves, once a second."""
_WAS_CHANGED = "dc1_followed_was_changed"
_FILLED = "dc1_filled_outboxes"


class Outbox(StrEnum):
    """A table of what waits to be sent to somebody outside."""

    WEBHOOKS = "webhooks"
    NOTIFICATIONS = "notifications"


@dataclass(frozen=True, slots=True)
class Noted(Generic[T]):
    """What a unit of work returned, whether it changed what the others follow, and where it put what is to be sent."""

    result: T
    is_news: bool
    filled: Collection[Outbox]


def is_news(statement: object) -> bool:
    """Tell whether the others have to read what a statement changes."""
    if not isinstance(statement, UpdateBase) or not isinstance(statement.table, Table):
        return False
    table = statement.table
    return _STAMP in table.c and not table.info[_TELLS_ITSELF] and _COUNTS_ONLY not in statement.get_execution_options()


def note(conn: Connection) -> None:
    """Note that a unit of work changed what the others follow."""
    conn.info[_WAS_CHANGED] = True


def note_filled(conn: Connection, outbox: Outbox) -> None:
    """Note that a unit of work put something into an outbox, to be sent at once."""
    conn.info.setdefault(_FILLED, set()).add(outbox)


def note_statements(engine: Engine) -> None:
    """Note it of whatever SQLAlchemy executes."""

    @event.listens_for(engine, "before_execute")
    def look(conn: Connection, statement: Any, *_: Any) -> None:
        if is_news(statement):
            note(conn)


def run(conn: Connection, work: Callable[[Connection], T]) -> Noted[T]:
    """Run a unit of work, and note of what somebody has to hear."""
    # Of this unit alone: the connection had others before, and one that failed took nothing away.
    info = conn.info
    info[_WAS_CHANGED] = False
    info.pop(_FILLED, None)
    result = work(conn)
    return Noted(result, was_changed(conn), info.pop(_FILLED, ()))


def was_changed(conn: Connection) -> bool:
    """Tell whether the unit of work that runs has changed what the others follow."""
    return bool(conn.info.get(_WAS_CHANGED))

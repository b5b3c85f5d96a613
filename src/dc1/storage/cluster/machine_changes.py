"""Which machines changed, as a server follows them: of those that it serves itself hardly any.

It stores what their daemons say, ten times a second where they come back, and would read all of it again as one of the
changes that every server follows: a whole row for each that came, and for each that said something new.
"""

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Text, bindparam, cast, func, select

from dc1.storage.cluster.arrays import is_any_of
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.providers.providers import ProviderRow, StoredReport, provider_shape
from dc1.storage.schema.tables import providers

_BY_ITS_SERVER = {field.name for field in fields(StoredReport)} | {
    "heartbeats_received",
    "stream_replica",
    "stream_opened_ms",
    "stream_instance",
    "total_earned_halala",
}
"""What changes with a machine's daemon and its pay, and is known where its stream is."""


def _digest() -> ColumnElement[int]:
    """Return, as SQL, a digest of what owners, admins and the runs of other servers change of a machine."""
    named = [field.name for field in fields(ProviderRow) if field.name not in _BY_ITS_SERVER]
    row: ColumnElement[Any] = func.row(*(providers.c[name] for name in named))
    return func.hashtextextended(cast(row, Text), 0).label("digest")


_IS_OURS = providers.c.stream_replica.is_not_distinct_from(bindparam("replica", type_=Text))
_CHANGED = providers.c.changed_xid >= bindparam("start", type_=BigInteger)
_ALL = PreparedStatement(select(providers.c.id, _digest()))
_OURS = PreparedStatement(select(providers.c.id, _digest()).where(_CHANGED, _IS_OURS))
_OTHERS = PreparedStatement(select(*provider_shape.columns, _digest()).where(_CHANGED, ~_IS_OURS))
_NAMED = PreparedStatement(select(*provider_shape.columns, _digest()).where(is_any_of(providers.c.id, "wanted")))


class MachineChanges:
    """What one server knows of machines that it does not have to read again."""

    def __init__(self, replica_id: str = "") -> None:
        """`replica_id` is the server's; the changes of a nameless one are all others'."""
        self._replica_id = replica_id
        self._known: dict[int, int] = {}
        self._read: dict[int, int] = {}
        self._decided: set[int] = set()

    def load(self, conn: Connection) -> None:
        """Note all machines as they are; called before they are loaded and after the horizon was read."""
        self._known = dict(_ALL.rows(conn, {}))

    def decided(self, machine: int) -> None:
        """Read a machine next time, whatever it says then: what was decided here another server may have taken back.

        It would say what it said before, which is not what is known here any more.
        """
        self._decided.add(machine)

    def ask(self, conn: Connection, start: int) -> Callable[[], list[ProviderRow]]:
        """Ask for what was stamped at or after `start`, and return what gives the rows."""
        asked = {"start": start, "replica": self._replica_id}
        ours, others = _OURS.ask(conn, asked), _OTHERS.ask(conn, asked)

        def rows() -> list[ProviderRow]:
            found = others()
            changed = {machine for machine, digest in ours() if self._known.get(machine) != digest} | self._decided
            if changed:
                found = [*found, *_NAMED.rows(conn, {"wanted": [*changed]})]
            self._read = {row[0]: row[-1] for row in found}
            return provider_shape.all(row[:-1] for row in found)

        return rows

    def followed(self, machines: Iterable[int]) -> None:
        """Note that these are known now as they were read last."""
        for machine in machines:
            self._known[machine] = self._read[machine]
            self._decided.discard(machine)

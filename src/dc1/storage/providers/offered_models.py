"""Models that approved providers ever offered, and since when."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from dc1.storage.engine.statements import upsert
from dc1.storage.schema.tables import offered_models


def record(conn: Connection, models: Mapping[str, int]) -> None:
    """Note when models were first offered, by name in lower case; what is known already stays."""
    statement = upsert(conn, offered_models, ("name",), new=("first_offered_ms",))
    # Sorted: two replicas that learn of the same models insert them in one order.
    for name, first_ms in sorted(models.items()):
        statement.run(conn, {"name": name, "first_offered_ms": first_ms})


def load(conn: Connection) -> dict[str, int]:
    """Return every model and when it was first offered, in epoch milliseconds."""
    return {name: int(first_ms) for name, first_ms in conn.execute(select(*offered_models.c))}


def is_known(conn: Connection, name: str) -> bool:
    """Tell whether a model, named in lower case, was ever offered."""
    return conn.execute(select(offered_models.c.name).where(offered_models.c.name == name)).first() is not None

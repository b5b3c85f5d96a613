"""Locks of things that have no row, held until the transaction ends."""

import hashlib

from sqlalchemy import BigInteger, Connection, bindparam, func, select

from dc1.storage.engine.statements import PreparedStatement

_NUMBER = bindparam("number", type_=BigInteger)
_WAIT = PreparedStatement(select(func.pg_advisory_xact_lock(_NUMBER)))
_TRY = PreparedStatement(select(func.pg_try_advisory_xact_lock(_NUMBER)))


def lock_name(conn: Connection, name: str) -> None:
    """Wait until nobody else holds a name, and hold it."""
    # SQLite has one writer, so there it is always ours.
    if conn.dialect.name != "sqlite":
        _WAIT.rows(conn, {"number": _number(name)})


def try_to_lock_name(conn: Connection, name: str) -> bool:
    """Hold a name unless somebody else does."""
    if conn.dialect.name == "sqlite":
        return True
    ((held,),) = _TRY.rows(conn, {"number": _number(name)})
    return bool(held)


def _number(name: str) -> int:
    # Locks are numbers: 8 bytes of a hash. Two names that meet there only make one caller wait or come back.
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)

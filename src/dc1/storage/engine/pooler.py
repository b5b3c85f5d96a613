"""Whether a pooler stands between us and PostgreSQL, and keeps what is said to one connection together.

PgBouncer lends connections by session, by transaction or by statement. By transaction, LISTEN stays with a connection
that is lent to somebody else next, and so do prepared statements.
"""

import secrets
from contextlib import ExitStack
from typing import Any

import psycopg
from sqlalchemy import URL

from dc1.storage.engine.postgres import connect_beside_the_pool
from dc1.storage.engine.watchdog import shut_after

_Connection = psycopg.Connection[tuple[Any, ...]]

_HEARD_WITHIN_SECONDS = 3.0
_LENT_WITHIN_SECONDS = 3.0
# A pooler lets in whom it has no connection for, and has them wait for two minutes.
_ANSWERED_WITHIN_SECONDS = 10.0


def keeps_sessions(url: URL) -> bool:
    """Tell whether a connection to this address is a session of PostgreSQL for as long as it is open."""
    with connect_beside_the_pool(url) as ear, shut_after(ear, _ANSWERED_WITHIN_SECONDS):
        row = ear.execute("SELECT pg_backend_pid()").fetchone()
        # The server says its process at the start; a pooler has to say something else, as it lends many of them.
        if row == (ear.info.backend_pid,):
            return True
        return _is_heard(url, ear)


def lends_at_once(url: URL, wanted: int) -> int:
    """Return how many connections a pooler by session lends at once, `wanted` at most; without a pooler that many.

    It lets everybody in who asks for more than it has, and leaves them waiting for one that is given back.

    Raises:
        OperationalError: it lends none at all.
    """
    with ExitStack() as stack:
        for number in range(wanted):
            try:
                connection = stack.enter_context(connect_beside_the_pool(url))
                with shut_after(connection, _LENT_WITHIN_SECONDS):
                    row = connection.execute("SELECT pg_backend_pid()").fetchone()
            except psycopg.OperationalError:
                if number == 0:
                    raise
                return number
            if number == 0 and row == (connection.info.backend_pid,):
                break
    return wanted


def leads_to_the_same(url: URL, direct: URL) -> bool:
    """Tell whether what is notified at one address is heard at the other, at once and by itself."""
    with connect_beside_the_pool(direct) as ear, shut_after(ear, _ANSWERED_WITHIN_SECONDS):
        return _is_heard(url, ear)


def _is_heard(url: URL, ear: _Connection) -> bool:
    channel = f"dc1_trial_{secrets.token_hex(8)}"
    ear.execute(f"LISTEN {channel}".encode())
    # Another connection: what an ear says itself it would hear with the answer, whoever lends it.
    with connect_beside_the_pool(url) as voice, shut_after(voice, _ANSWERED_WITHIN_SECONDS):
        voice.execute("SELECT pg_notify(%s, '')", (channel,))
    heard = [notification.channel for notification in ear.notifies(timeout=_HEARD_WITHIN_SECONDS, stop_after=1)]
    ear.execute(f"UNLISTEN {channel}".encode())
    return heard == [channel]

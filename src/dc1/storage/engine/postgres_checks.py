"""What a PostgreSQL has to be for us, found out before anything is made in it."""

from sqlalchemy import URL

from dc1.storage.engine.postgres import connect_beside_the_pool
from dc1.storage.engine.watchdog import shut_after

OLDEST_VERSION = 13
"""The first that tells of transactions by ids that never come again, by which we learn what became of a lost COMMIT."""


_ANSWERED_WITHIN_SECONDS = 10.0


def require_usable(url: URL) -> None:
    """Refuse a server that is too old, and a database that cannot hold every text.

    Raises:
        ValueError: it says why, and shows nothing of the address.
    """
    with connect_beside_the_pool(url) as connection, shut_after(connection, _ANSWERED_WITHIN_SECONDS):
        version = connection.info.server_version // 10_000
        if version < OLDEST_VERSION:
            raise ValueError(f"the server runs PostgreSQL {version}; dc1 needs {OLDEST_VERSION} or newer")
        (encoding,) = connection.execute("SHOW server_encoding").fetchone() or ("UTF8",)
        # Names in Arabic would be refused one by one, each as a fault of ours. SQL_ASCII takes them, and sorts and cuts
        # them by their bytes.
        if encoding != "UTF8":
            raise ValueError(f"the database is encoded in {encoding} and must be in UTF8")

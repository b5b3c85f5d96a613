"""One server a SQLite database: each keeps fleet and queue in its own memory, and two would hand out the same work."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from dc1.os_errors import reason_of
from dc1.private_files import make_private_file
from dc1.storage.engine.database import UnusableDatabaseError, normalised


@contextlib.contextmanager
def sole_server(database_url: str, *, remedy: str = "give this one its own") -> Iterator[None]:
    """Hold a lock beside a SQLite file; the kernel frees it when the process dies. PostgreSQL is shared and needs none.

    Args:
        database_url: which database it is.
        remedy: what whoever is refused can do about it, behind a semicolon.

    Raises:
        UnusableDatabaseError: another server has the lock, or the file cannot be made.
    """
    url = normalised(database_url)
    # A database in memory has one process in any case.
    if url.get_backend_name() != "sqlite" or not url.database:
        yield
        return
    path = Path(f"{url.database}.lock")
    with contextlib.ExitStack() as held:
        try:
            # The file is never deleted: a second server could then lock a new one while the first holds the old.
            path.parent.mkdir(parents=True, exist_ok=True)
            # Whoever can open it could hold it, and no server would start.
            make_private_file(path)
            fcntl.flock(held.enter_context(path.open("w")), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnusableDatabaseError(f"another server works on {url.database}; {remedy}") from None
        except OSError as error:
            raise UnusableDatabaseError(f"{path}: {reason_of(error)}") from error
        yield

"""Erasure takes what a renter asked of jobs and was answered, once nobody may keep it any more or wants to."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, select, tuple_, update

from dc1.storage.schema.tables import job_log_batches, job_log_heads, job_logs, job_results, job_specs, jobs

# What stays of a container spec: what was sold, and nothing of what was done with it.
_OF_THE_SALE = ("image_type", "image", "gpu_count", "vram_required_mb", "compute_type", "pricing_class")
_MOST_ROWS = 5_000
_SECONDS = 0.1


def forget_work(conn: Connection, renter_id: int, now_ms: int, after_id: int = 0, limit: int = 100) -> int | None:
    """Erase the documents, results and logs of a renter's next jobs; the jobs, their events and their bills stay.

    Returns the row id behind which the next call goes on, or None when there were no more. Of long logs and large
    results some is erased in each call.
    """
    own = select(jobs.c.id).where(jobs.c.renter_id == renter_id, jobs.c.id > after_id).order_by(jobs.c.id).limit(limit)
    # Locked in their order: two replicas that erase the same account delete the same rows, each in an order of its own.
    ids = [row.id for row in conn.execute(own.with_for_update())]
    if not ids:
        return None
    erased = _erase(conn, ids, now_ms, _MOST_ROWS)
    return ids[erased - 1] if erased else after_id


def forget_old_work(conn: Connection, ended_before_ms: int, now_ms: int, limit: int, rows: int = _MOST_ROWS) -> bool:
    """Do as `forget_work` with the jobs of all renters that ended first; return whether there may be more to do.

    Jobs that another replica erases now are passed over.
    """
    due = (
        select(jobs.c.id)
        .where(jobs.c.completed_at_ms < ended_before_ms, jobs.c.documents_erased_at_ms.is_(None))
        .order_by(jobs.c.completed_at_ms)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    ids = [row.id for row in conn.execute(due)]
    return bool(ids) and (_erase(conn, ids, now_ms, rows) < len(ids) or len(ids) == limit)


def _erase(conn: Connection, ids: Sequence[int], now_ms: int, rows: int) -> int:
    """Erase some of what these jobs were about, `rows` lines of their logs at most; return with how many it is done."""
    # A log may have 200,000 lines, for which nobody else is to wait.
    if not all(_is_emptied(conn, table, ids, rows) for table in (job_logs, job_log_batches)):
        return 0
    ends = time.monotonic() + _SECONDS
    for done, job_id in enumerate(ids, 1):
        _empty(conn, job_id, now_ms)
        # SQLite takes 16 ms for each MiB of a result, of which there may be ten, and all other writes wait.
        if time.monotonic() > ends:
            return done
    return len(ids)


def _is_emptied(conn: Connection, table: Table, ids: Sequence[int], rows: int) -> bool:
    key = tuple(table.primary_key)
    some = select(*key).where(table.c.job_id.in_(ids)).limit(rows)
    return conn.execute(delete(table).where(tuple_(*key).in_(some))).rowcount < rows


def _empty(conn: Connection, job_id: int, now_ms: int) -> None:
    for table in (job_results, job_log_heads):
        conn.execute(delete(table).where(table.c.job_id == job_id))
    query = select(job_specs.c.container_spec).where(job_specs.c.job_id == job_id)
    container_spec: dict[str, Any] = conn.execute(query).scalar_one()
    kept = {name: container_spec[name] for name in _OF_THE_SALE if name in container_spec}
    emptied = dict.fromkeys(("params", "task_spec", "env_vars", "gpu_requirements", "inference_body"))
    conn.execute(update(job_specs).where(job_specs.c.job_id == job_id).values(container_spec=kept, **emptied))
    conn.execute(update(jobs).where(jobs.c.id == job_id).values(documents_erased_at_ms=now_ms))

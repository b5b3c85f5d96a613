"""Erasure takes what a renter asked of jobs and was answered, once nobody may keep it any more."""

from typing import Any

from sqlalchemy import Connection, delete, select, update

from dc1.storage.schema.tables import job_log_batches, job_log_heads, job_logs, job_results, job_specs, jobs

# What stays of a container spec: what was sold, and nothing of what was done with it.
_OF_THE_SALE = ("image_type", "image", "gpu_count", "vram_required_mb", "compute_type", "pricing_class")


def forget_work(conn: Connection, renter_id: int, after_id: int = 0, limit: int = 100) -> int | None:
    """Erase the documents, results and logs of a renter's next jobs; the jobs, their events and their bills stay.

    Returns the row id of the last of them, behind which the next call goes on, or None when there were no more.
    """
    # Some jobs at a time: a renter may have any number, and on SQLite all other writes wait meanwhile.
    own = select(jobs.c.id).where(jobs.c.renter_id == renter_id, jobs.c.id > after_id).order_by(jobs.c.id).limit(limit)
    # Locked in their order: two replicas that erase the same account delete the same rows, each in an order of its own.
    ids = [row.id for row in conn.execute(own.with_for_update())]
    for table in (job_results, job_logs, job_log_batches, job_log_heads):
        conn.execute(delete(table).where(table.c.job_id.in_(ids)))
    specs = select(job_specs.c.job_id, job_specs.c.container_spec).where(job_specs.c.job_id.in_(ids))
    for job_id, container_spec in conn.execute(specs).all():
        kept: dict[str, Any] = {name: container_spec[name] for name in _OF_THE_SALE if name in container_spec}
        emptied = dict.fromkeys(("params", "task_spec", "env_vars", "gpu_requirements"))
        statement = update(job_specs).where(job_specs.c.job_id == job_id)
        conn.execute(statement.values(container_spec=kept, **emptied))
    return ids[-1] if ids else None

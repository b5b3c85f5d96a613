"""A fence lets those calls touch a job that come from the provider that has it, in the attempt that is running.

A provider that lost a job may not know yet. Its calls are told apart by the attempt number, never by the clock.
"""

from typing import NoReturn

from sqlalchemy import Connection

from dc1.domain import errors
from dc1.domain.jobs.log_budget import GRACE_AFTER_END_MS
from dc1.domain.jobs.states import JobStatus
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.job_transitions import LockedJob, locked_by_reference


def locked_in_force(conn: Connection, reference: str, provider_id: int | None, attempt: int | None) -> LockedJob:
    """Lock the job and return it, if the caller holds the attempt it names, or the current one if it names none.

    `provider_id` is None for an admin, who needs no lease. Anybody else is refused: with `Forbidden` a provider that
    never held the job, with LEASE_SUPERSEDED an earlier attempt, with JOB_SETTLED whoever comes once it is terminal.

    Raises:
        job_not_found: there is no such job.
    """
    job = locked_by_reference(conn, reference)
    if job is None:
        raise errors.job_not_found()
    if job.is_terminal or not _holds(job, provider_id, attempt):
        _refuse(conn, job, provider_id)
    return job


def held_to_the_end(conn: Connection, reference: str, provider_id: int, attempt: int | None, now_ms: int) -> JobRow:
    """Return the job of the attempt that runs or ended it within a minute: its last lines may come after its report.

    It is not locked, for log lines change nothing of the job and come often. Refuses as `locked_in_force` does.

    Raises:
        job_not_found: there is no such job.
    """
    job = jobs.find(conn, reference)
    if job is None:
        raise errors.job_not_found()
    is_over = job.completed_at_ms is not None and now_ms > job.completed_at_ms + GRACE_AFTER_END_MS
    if is_over or not _holds(job, provider_id, attempt):
        _refuse(conn, job, provider_id)
    return job


def running_in(conn: Connection, row_id: int, provider_id: int, attempt: int) -> JobRow | None:
    """Return the job if it runs on this provider in this attempt."""
    job = jobs.get(conn, row_id)
    if job is None or job.status != JobStatus.RUNNING:
        return None
    return job if (job.provider_id, job.attempt_number) == (provider_id, attempt) else None


def _holds(job: JobRow, provider_id: int | None, attempt: int | None) -> bool:
    return provider_id in (None, job.provider_id) and attempt in (None, job.attempt_number)


def _refuse(conn: Connection, job: JobRow, provider_id: int | None) -> NoReturn:
    # Who never had the job learns nothing of how it stands.
    if provider_id is not None and provider_id != job.provider_id and not jobs.has_held(conn, job.id, provider_id):
        raise errors.forbidden()
    if job.is_terminal:
        raise errors.job_already_settled(job.status, job.job_id)
    raise errors.attempt_superseded(job.attempt_number)

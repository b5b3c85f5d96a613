"""Jobs that a caller may see, and how they are shown."""

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.domain import errors
from dc1.domain.access.roles import Role
from dc1.domain.jobs.arabic import JOB_PHRASES
from dc1.domain.jobs.states import OPEN, JobStatus
from dc1.services.api.call import Principal, current_call, prefers_arabic
from dc1.services.jobs.messages import job_detail, shown_provider_id
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow, JobSpec
from dc1.storage.providers import owners
from dcp.v1.job_pb2 import JobDetail

# No status of ours: clients of `/renters/jobs` send it (contract 8).
IN_PROGRESS = "in_progress"
"""A word of clients for every state that is not an end."""


def statuses_of(sent: str) -> frozenset[str]:
    """Return the statuses that a list is narrowed to; empty for all, and `in_progress` means not terminal."""
    if sent == IN_PROGRESS:
        return OPEN
    return frozenset({sent} if sent else ())


def known_job(conn: Connection, reference: str) -> JobRow:
    """Return a job by its row id or public id.

    Raises:
        job_not_found: There is none.
    """
    job = jobs.find(conn, reference)
    if job is None:
        raise errors.job_not_found()
    return job


def readable(conn: Connection, reference: str, principal: Principal) -> JobRow:
    """Return a job that `principal` may read; what is none is refused as `known_job` does.

    Raises:
        forbidden: The job is somebody else's.
    """
    job = known_job(conn, reference)
    # Found before it is refused: 404 comes before 403 (contract 1.2). The principal is passed in, because this runs on
    # a thread of the database, where there is no current call.
    owns = {
        Role.ADMIN: True,
        Role.RENTER: job.renter_id == principal.account_id,
        # Whoever held the last attempt and lost it may still read what became of it (contract 3.3).
        Role.PROVIDER: principal.account_id in (job.provider_id, job.last_provider_id),
    }
    if not owns.get(principal.role, False) and not _is_owner(conn, job, principal):
        raise errors.forbidden()
    return job


def _is_owner(conn: Connection, job: JobRow, principal: Principal) -> bool:
    """Tell whether the caller's account holds the machine that has a job, or had it last."""
    machine_id = job.provider_id or job.last_provider_id
    is_provider = principal.role is Role.PROVIDER and machine_id is not None
    return is_provider and owners.account_of(conn, machine_id or 0) == principal.account_id


async def readable_job(plane: ControlPlane, reference: str) -> JobRow:
    """Return a job that the caller may read; refuses as `readable` does."""
    principal = current_call().principal
    job = await plane.db.read(lambda conn: readable(conn, reference, principal))
    if await plane.attempts.starts.store_read(job.id):
        job = await plane.db.read(lambda conn: readable(conn, reference, principal))
    return job


async def readable_with_spec(plane: ControlPlane, reference: str) -> tuple[JobRow, JobSpec]:
    """Return a job that the caller may read, with its documents; refuses as `readable` does."""
    principal = current_call().principal

    def with_spec(conn: Connection) -> tuple[JobRow, JobSpec]:
        job = readable(conn, reference, principal)
        return job, jobs.spec(conn, job.id)

    found = await plane.db.read(with_spec)
    # Once more where the database did not know yet that a call has begun.
    return await plane.db.read(with_spec) if await plane.attempts.starts.store_read(found[0].id) else found


async def store_shown_starts(plane: ControlPlane) -> None:
    """Have the database know which of the caller's calls have begun, before they are listed."""
    principal = current_call().principal
    if principal.role in (Role.RENTER, Role.ADMIN):
        await plane.attempts.starts.store_shown(principal.account_id if principal.role is Role.RENTER else None)


def shown(plane: ControlPlane, job: JobRow, spec: JobSpec | None) -> JobDetail:
    """Return everything that is known of a job, its place in the queue included."""
    # From memory, where the order of the queue is kept; None also for a job that was claimed after it was read.
    is_queued = job.status == JobStatus.QUEUED
    position = plane.dispatcher.queue.position(job.id) if is_queued else None
    waiting_for = plane.dispatcher.estimates.waiting_for(job.requirement) if is_queued else None
    detail = job_detail(job, spec, plane.clock.now_ms(), position, waiting_for)
    if prefers_arabic():
        for field, text in (("error_ar", job.error), ("waiting_for_ar", waiting_for)):
            arabic = None if text is None else JOB_PHRASES.in_arabic(text)
            if arabic is not None:
                setattr(detail, field, arabic)
    return detail


def provider_of_job(plane: ControlPlane, job: JobRow) -> Provider | None:
    """Return the provider of the current or last attempt, or else the one that the job names, or None."""
    provider_id = shown_provider_id(job)
    return None if provider_id is None else plane.fleet.get(provider_id)

"""Jobs as admins list and export them."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from dc1.domain.base.clock import iso, time_text
from dc1.domain.base.json_types import JsonObject
from dc1.domain.base.numeric import plain
from dc1.services.api.values import to_value
from dc1.services.jobs.messages import shown_provider_id
from dc1.storage.jobs.admin_jobs import NamedJob
from dcp.v1.admin_job_service_pb2 import AdminJob

# Lists and exports of both formats show the same fields in the same order, whatever the message gains.
_FIELDS = AdminJob.DESCRIPTOR.fields

COLUMNS = tuple(field.name for field in _FIELDS)
"""What an export tells of a job, in this order."""


def plain_job(named: NamedJob) -> JsonObject:
    """Return a job as JSON."""
    job = named.job
    return {
        "id": job.id,
        "job_id": job.job_id,
        "renter_id": job.renter_id,
        "renter_name": named.renter_name,
        "provider_id": shown_provider_id(job),
        "provider_name": named.provider_name,
        "job_type": job.job_type,
        "model": job.model,
        "status": job.status,
        "submitted_at": iso(job.submitted_at_ms),
        "started_at": time_text(job.started_at_ms),
        "completed_at": time_text(job.completed_at_ms),
        "duration_minutes": None if job.duration_minutes is None else plain(job.duration_minutes),
        "cost_halala": job.cost_halala,
        "actual_cost_halala": job.actual_cost_halala,
        "dc1_fee_halala": job.dc1_fee_halala,
        "refunded_halala": job.refunded_halala,
        "attempt_number": job.attempt_number,
        "retry_count": job.retry_count,
        "error": job.error,
        "error_category": job.error_category,
        "fault": job.fault,
        "source": job.source,
    }


def admin_job(named: NamedJob) -> AdminJob:
    """Return one line of the list of jobs."""
    shown = plain_job(named)
    fields: dict[str, Any] = {
        field.name: to_value(shown[field.name]) if field.type == FieldDescriptor.TYPE_MESSAGE else shown[field.name]
        for field in _FIELDS
    }
    return AdminJob(**fields)

"""A job on its way to a daemon."""

from dataclasses import dataclass

from dc1.domain.jobs.placement import Requirement
from dc1.storage.jobs.job_records import JobRow, JobSpec


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job with its documents, and the number of the attempt that is offered or runs."""

    job: JobRow
    spec: JobSpec
    attempt: int


def requirement_of(job: JobRow) -> Requirement:
    """Return what a stored job asks of a provider."""
    return Requirement(
        named_provider_id=job.named_provider_id,
        model=job.model.lower() if job.model else None,
        min_vram_gb=job.min_vram_gb,
        gpu_type=job.gpu_type,
        compute_type=job.compute_type,
        gpu_count=job.gpu_count,
        job_type=job.job_type,
        excluded_provider_id=job.excluded_provider_id,
    )

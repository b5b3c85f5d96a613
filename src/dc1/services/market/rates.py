"""What work costs, as anybody may know."""

from dc1.control.control_plane import ControlPlane
from dc1.domain.jobs.states import JOB_TYPES


def minute_rates(plane: ControlPlane) -> dict[str, int]:
    """Return what a minute of each kind of work costs, in halala."""
    return {job_type.value: plane.catalog.rate(job_type) for job_type in JOB_TYPES}

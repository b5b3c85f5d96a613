"""The lines of a job's bill: what was free, what was charged, and whose fault it was where something went wrong."""

from collections.abc import Iterator, Mapping

from dc1.domain.base.numeric import plain
from dc1.domain.jobs.arabic import JOB_PHRASES
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.states import JobStatus
from dc1.services.api.values import to_value
from dc1.services.jobs.messages import tokens_used
from dc1.storage.jobs.job_records import JobRow
from dcp.v1 import job_outcome_pb2 as pb

_FAULTS: Mapping[tuple[JobStatus, Fault], str] = {
    (JobStatus.FAILED, Fault.RENTER): "The job's own program or order failed",
    (JobStatus.FAILED, Fault.PROVIDER): "The provider failed",
    (JobStatus.FAILED, Fault.MARKET): "The market ended the job",
    (JobStatus.CANCELLED, Fault.RENTER): "Cancelled by the renter",
    (JobStatus.CANCELLED, Fault.MARKET): "Cancelled by an operator",
}


def invoice_lines(job: JobRow) -> Iterator[pb.InvoiceLine]:
    """Yield the lines of a settled job's bill; their amounts add up to what the renter paid."""
    charged = job.actual_cost_halala or 0
    preparing = _preparing_seconds(job)
    if preparing is not None:
        yield _line("preparing", "Pulling and loading (free)", seconds=preparing)
    if job.token_price_halala is not None:
        yield _line("tokens", "Tokens", tokens=tokens_used(job), amount_halala=charged)
    elif job.used_seconds is not None:
        yield _line("running", "Running", seconds=plain(job.used_seconds), amount_halala=charged)
    if job.fault is not None:
        # Not by the fault: an answer that broke off is charged as far as it came, whoever was to blame.
        what = "nothing" if not charged else "the time used" if job.token_price_halala is None else "what was answered"
        # One of a newer server has no words here.
        why = _FAULTS.get((job.status, job.fault), "The job did not complete")
        yield _line("fault", f"{why}: {what} is charged")


def in_arabic(lines: Iterator[pb.InvoiceLine]) -> Iterator[pb.InvoiceLine]:
    """Yield lines with their Arabic beside the English."""
    for line in lines:
        arabic = JOB_PHRASES.in_arabic(line.description)
        if arabic is not None:
            line.description_ar = arabic
        yield line


def _line(
    kind: str,
    description: str,
    *,
    seconds: float | None = None,
    tokens: int | None = None,
    amount_halala: int = 0,
) -> pb.InvoiceLine:
    return pb.InvoiceLine(
        kind=kind,
        description=description,
        seconds=to_value(seconds),
        tokens=to_value(tokens),
        amount_halala=amount_halala,
    )


def _preparing_seconds(job: JobRow) -> float | None:
    """Return how long the last attempt pulled and loaded; None where nobody told when that was over."""
    if job.started_at_ms is None or job.working_since_ms is None:
        return None
    return (job.working_since_ms - job.started_at_ms) / 1000

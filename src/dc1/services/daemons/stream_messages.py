"""The stream's vocabulary in protobuf."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from dc1.control.scheduling.leases import Assignment
from dc1.control.scheduling.sessions import EndReason, StopReason
from dc1.domain.errors import ApiError
from dc1.domain.errors.engine_refusals import EngineRefusal
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.results import MAX_RESULT_BYTES, MAX_RESULT_VALUES
from dc1.domain.jobs.states import ErrorCategory, LogLevel
from dc1.services.api.values import from_value, require_few_values
from dc1.services.jobs.messages import assignment_message
from dcp.v1 import daemon_stream_pb2 as pb

STOP_REASONS: Mapping[StopReason, "pb.StopReason.ValueType"] = {
    StopReason.CANCELLED: pb.STOP_REASON_CANCELLED,
    StopReason.SUPERSEDED: pb.STOP_REASON_LEASE_SUPERSEDED,
    StopReason.SETTLED: pb.STOP_REASON_JOB_SETTLED,
    StopReason.TIMED_OUT: pb.STOP_REASON_TIMED_OUT,
    StopReason.WITHDRAWN: pb.STOP_REASON_OFFER_WITHDRAWN,
}
END_REASONS: Mapping[EndReason, "pb.ReconnectReason.ValueType"] = {
    EndReason.DRAINING: pb.RECONNECT_REASON_SERVER_DRAINING,
    EndReason.REPLACED: pb.RECONNECT_REASON_REPLACED,
    EndReason.ACCESS_REVOKED: pb.RECONNECT_REASON_ACCESS_REVOKED,
}
LOG_LEVELS: Mapping["pb.LogLevel.ValueType", LogLevel] = {
    pb.LOG_LEVEL_UNSPECIFIED: LogLevel.INFO,
    pb.LOG_LEVEL_DEBUG: LogLevel.DEBUG,
    pb.LOG_LEVEL_INFO: LogLevel.INFO,
    pb.LOG_LEVEL_WARN: LogLevel.WARN,
    pb.LOG_LEVEL_ERROR: LogLevel.ERROR,
}


Attempt = tuple[str, int]
"""A job's public id and the number of the attempt."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What answers have to know of a daemon's last state: what it held, and whether that had ended there.

    And which offers it was named and does not know. The message itself would stay in memory with all that it reports,
    5 KiB for each stream.
    """

    sequence: int
    leases: tuple[tuple[Attempt, bool], ...]
    unknown_offers: frozenset[Attempt]

    @classmethod
    def read(cls, sequence: int, state: pb.DaemonState) -> Self:
        """Return it of a state, and the number of the beat that said it; a Hello has 0."""
        leases = tuple((attempt_of(item.lease), item.phase == pb.LEASE_PHASE_ENDED) for item in state.leases)
        return cls(sequence, leases, frozenset(map(attempt_of, state.unknown_offers)))


def attempt_of(ref: pb.LeaseRef) -> Attempt:
    """Return the attempt that a message names."""
    return ref.job_id, ref.attempt_number


def lease_ref(job_id: str, attempt: int) -> pb.LeaseRef:
    """Name one attempt at one job."""
    return pb.LeaseRef(job_id=job_id, attempt_number=attempt)


def offer_message(
    assignment: Assignment,
    images: Mapping[str, str],
    expires_in_seconds: float,
    *,
    as_bytes: bool,
    run_seconds: float | None = None,
    gather_seconds: float,
) -> pb.Offer:
    """Offer a job, `as_bytes` the body of a call; `images` has an approved image for each image type.

    With `run_seconds` it is begun as soon as it is accepted; all runs are told of `gather_seconds` apart from then on.
    """
    message = assignment_message(assignment, images, as_bytes=as_bytes)
    return pb.Offer(
        assignment=message,
        expires_in_seconds=expires_in_seconds,
        run_seconds=run_seconds,
        gather_seconds=gather_seconds,
    )


def stop_message(job_id: str, attempt: int, reason: StopReason) -> pb.Stop:
    """Stop a lease."""
    return pb.Stop(lease=lease_ref(job_id, attempt), reason=STOP_REASONS[reason])


def attempt_report(message: pb.Outcome) -> AttemptReport:
    """Return how an attempt ended by what its daemon says; what cannot be read of it is its failure."""
    # There is no answer on a stream by which a daemon could send less, and it would repeat what is refused for ever.
    try:
        require_few_values(message, MAX_RESULT_VALUES)
    except ApiError:
        return _unreadable(f"the result has more than {MAX_RESULT_VALUES} values")
    try:
        return _as_said(message)
    except ApiError:
        return _unreadable(f"the result is larger than {MAX_RESULT_BYTES} bytes")


def _unreadable(why: str) -> AttemptReport:
    return AttemptReport.read(completed=False, error=why, category=ErrorCategory.INVALID_RESULT)


def _as_said(message: pb.Outcome) -> AttemptReport:
    return AttemptReport.read(
        completed=message.WhichOneof("end") == "result",
        result=from_value(message.result),
        error=message.failure.error,
        category=message.failure.category,
        refusal=_refusal(message.failure),
        gpu_seconds=message.gpu_seconds if message.HasField("gpu_seconds") else None,
        prompt_tokens=message.prompt_tokens if message.HasField("prompt_tokens") else None,
        completion_tokens=message.completion_tokens if message.HasField("completion_tokens") else None,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
    )


def _refusal(failure: pb.Failure) -> EngineRefusal | None:
    wait = failure.retry_after_seconds if failure.HasField("retry_after_seconds") else None
    return EngineRefusal.read(failure.engine_status, failure.engine_code, wait, failure.error)

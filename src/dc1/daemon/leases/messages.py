"""Protocol messages from and to the daemon's own terms."""

import json
import math
from collections.abc import Iterable, Mapping

from google.protobuf import struct_pb2
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Error as ProtobufError

from dc1.daemon.leases.leases import AttemptEnd, HeldLease, LeaseOutput, LeaseState, PhaseEntered
from dc1.daemon.leases.log_buffer import LogBatch
from dc1.daemon.leases.token_buffer import TokenBatch
from dc1.daemon.runners.base import MAX_RESULT_BYTES, EngineCall, Level, Result, RunFailed, Work, token_count
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.errors.engine_refusals import CONTEXT_LENGTH_EXCEEDED, EngineRefusal
from dc1.domain.jobs.states import ErrorCategory, JobType
from dc1.domain.providers.model_abilities import ModelAbilities
from dc1.json_values import fill, read
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import report_pb2

MAX_ERROR_CHARS = 4_000
_EXIT_CODES = range(-(2**31), 2**31)
_STRICT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

_PHASES: Mapping[LeaseState, pb.LeasePhase.ValueType] = {
    LeaseState.ACCEPTED: pb.LEASE_PHASE_ACCEPTED,
    LeaseState.RUNNING: pb.LEASE_PHASE_RUNNING,
    LeaseState.ENDED: pb.LEASE_PHASE_ENDED,
}
_LEVELS: Mapping[Level, pb.LogLevel.ValueType] = {
    "debug": pb.LOG_LEVEL_DEBUG,
    "info": pb.LOG_LEVEL_INFO,
    "warn": pb.LOG_LEVEL_WARN,
    "error": pb.LOG_LEVEL_ERROR,
}


def work_of(assignment: report_pb2.Assignment) -> Work:
    """Return the work of an assignment; a ValueError says that this version cannot read it."""
    model = read(assignment.model)
    return Work(
        job_id=assignment.job_id,
        attempt=assignment.attempt_number,
        job_type=JobType(assignment.job_type),
        deadline=float(assignment.max_duration_seconds),
        model=model if isinstance(model, str) and model else None,
        params=_object(assignment.params),
        task_spec=read(assignment.task_spec),
        env=dict(assignment.env_vars),
        container_spec=_object(struct_pb2.Value(struct_value=assignment.container_spec)),
        gpu_requirements=_object(assignment.gpu_requirements),
        max_duration_seconds=assignment.max_duration_seconds,
        call=_call(assignment) if assignment.inference_path else None,
        traceparent=assignment.traceparent,
    )


def _call(assignment: report_pb2.Assignment) -> EngineCall:
    return EngineCall(assignment.inference_path, assignment.inference_body.decode(), assignment.inference_max_tokens)


def value_name(enum: EnumDescriptor, number: int) -> str:
    """Return the name of an enum's value for a log line; a newer server may send values that have none here."""
    known = enum.values_by_number.get(number)
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return known.name.removeprefix(prefix).lower() if known is not None else str(number)


def _lease_ref(job_id: str, attempt: int) -> pb.LeaseRef:
    """Name an attempt."""
    return pb.LeaseRef(job_id=job_id, attempt_number=attempt)


def held_leases(leases: Iterable[HeldLease]) -> list[pb.HeldLease]:
    """List leases as a beat does."""
    return [pb.HeldLease(lease=_lease_ref(lease.job_id, lease.attempt), phase=_PHASES[lease.state]) for lease in leases]


def accept_message(job_id: str, attempt: int) -> pb.ConnectRequest:
    """Take an offer."""
    return pb.ConnectRequest(accept=pb.Accept(lease=_lease_ref(job_id, attempt)))


def decline_message(job_id: str, attempt: int, reason: str) -> pb.ConnectRequest:
    """Refuse an offer."""
    return pb.ConnectRequest(decline=pb.Decline(lease=_lease_ref(job_id, attempt), reason=_text(reason)))


def output_message(lease: HeldLease, output: LeaseOutput) -> pb.ConnectRequest:
    """Write what a run has to tell."""
    of = _lease_ref(lease.job_id, lease.attempt)
    match output:
        case PhaseEntered(phase):
            return pb.ConnectRequest(progress=pb.Progress(lease=of, phase=phase))
        case LogBatch(sequence, lines):
            records = [pb.LogRecord(level=_LEVELS[line.level], message=_text(line.message)) for line in lines]
            return pb.ConnectRequest(logs=pb.LogBatch(lease=of, sequence=sequence, lines=records))
        case TokenBatch():
            return pb.ConnectRequest(tokens=_tokens(of, output))
        case AttemptEnd():
            return pb.ConnectRequest(outcome=_outcome(of, output))


def _tokens(of: pb.LeaseRef, batch: TokenBatch) -> pb.TokenBatch:
    return pb.TokenBatch(
        lease=of,
        text=_text(batch.text),
        count=batch.count,
        offset=batch.offset,
        events=[event.encode("utf-8", "replace") for event in batch.events],
        event_offset=batch.event_offset,
        is_last=batch.is_last,
    )


def model_abilities(known: Mapping[str, ModelAbilities], models: Iterable[str]) -> list[pb.ModelAbilities]:
    """Write what is known of these models."""
    return [
        pb.ModelAbilities(
            model=model,
            paths=sorted(its.paths),
            context_length=its.context_length,
            input_modalities=sorted(its.input_modalities),
            output_modalities=sorted(its.output_modalities),
            features=sorted(its.features),
        )
        for model in models
        if (its := known.get(model)) is not None
    ]


def to_value(json_value: JsonValue) -> struct_pb2.Value:
    """Write JSON as a protobuf value.

    Raises:
        ValueError: JSON cannot say it, for example NaN.
    """
    # Protobuf takes NaN, though no other reader of JSON does.
    _STRICT.encode(json_value)
    value = struct_pb2.Value()
    try:
        fill(value, json_value)
    except OverflowError as error:
        raise ValueError(str(error)) from error
    return value


def sendable(result: Result) -> Result:
    """Return a result that can be sent.

    Raises:
        RunFailed: the result is too large or no JSON.
    """
    # Found out while the run can still end as a failure; when the outcome is sent there would be nobody to tell.
    try:
        size = len(_STRICT.encode(result.payload).encode())
        outcome = pb.ConnectRequest(outcome=_outcome(_lease_ref("", 0), AttemptEnd(result, 0.0)))
        # Read as the server reads it, which goes only so deep: what it cannot read would cut every stream.
        pb.ConnectRequest.FromString(outcome.SerializeToString())
    except (TypeError, ValueError, OverflowError, RecursionError, ProtobufError) as error:
        raise RunFailed(ErrorCategory.INVALID_RESULT, f"the result is not JSON: {error}") from error
    if size > MAX_RESULT_BYTES:
        raise RunFailed(ErrorCategory.INVALID_RESULT, f"the result is larger than {MAX_RESULT_BYTES} bytes")
    return result


def _outcome(of: pb.LeaseRef, ended: AttemptEnd) -> pb.Outcome:
    end = ended.end
    # Whatever an engine or a container said of numbers, the end itself can be told: what is odd was not said.
    seconds = ended.seconds if math.isfinite(ended.seconds) else None
    exit_code = end.exit_code if type(end.exit_code) is int and end.exit_code in _EXIT_CODES else None
    outcome = pb.Outcome(lease=of, gpu_seconds=seconds, exit_code=exit_code)
    if isinstance(end, RunFailed):
        outcome.failure.error = _text(end.message[:MAX_ERROR_CHARS])
        outcome.failure.category = end.category
        outcome.failure.transient = end.transient
        _tell_refusal(outcome.failure, end.refusal)
        return outcome
    # Looked at when the run ended, by whoever made sure that it can be sent.
    fill(outcome.result, end.payload)
    for name, count in (("prompt_tokens", end.prompt_tokens), ("completion_tokens", end.completion_tokens)):
        if (known := token_count(count)) is not None:
            setattr(outcome, name, known)
    return outcome


def _tell_refusal(failure: pb.Failure, refusal: EngineRefusal | None) -> None:
    if refusal is None:
        return
    failure.engine_status = refusal.status
    if refusal.is_too_long:
        failure.engine_code = CONTEXT_LENGTH_EXCEEDED
    if refusal.retry_after_seconds is not None:
        failure.retry_after_seconds = refusal.retry_after_seconds


def _object(sent: struct_pb2.Value) -> JsonObject:
    parsed = read(sent)
    return parsed if isinstance(parsed, dict) else {}


def _text(text: str) -> str:
    """Return text that UTF-8 can write: a program may print halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()

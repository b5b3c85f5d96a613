"""The states of a job, its kinds, and the table of who may move it where."""

import math
import re
import secrets
import string
import struct
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction


class JobStatus(StrEnum):
    """Public states of a job."""

    QUEUED = "queued"
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobType(StrEnum):
    """Kinds of work, in documented order."""

    IMAGE_GENERATION = "image_generation"
    LLM_INFERENCE_DASHED = "llm-inference"
    LLM_INFERENCE = "llm_inference"
    RENDERING = "rendering"
    TRAINING = "training"
    BENCHMARK = "benchmark"
    CUSTOM_CONTAINER = "custom_container"
    VLLM_SERVE = "vllm_serve"
    RAG_PIPELINE = "rag-pipeline"


class JobSource(StrEnum):
    """How jobs come in. A /v1 call has a caller who waits for it, so it waits for seconds at most."""

    API = "api"
    V1 = "v1"


class ComputeType(StrEnum):
    """Classes of work a provider may limit itself to."""

    INFERENCE = "inference"
    TRAINING = "training"
    RENDERING = "rendering"


class Phase(StrEnum):
    """What a running job is doing, in the order of a usual run."""

    PULLING = "pulling"
    DOWNLOADING_MODEL = "downloading_model"
    INSTALLING_DEPS = "installing_deps"
    LOADING_MODEL = "loading_model"
    GENERATING = "generating"
    FORMATTING = "formatting"


class LogLevel(StrEnum):
    """How much a log line matters, the least first."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class ErrorCategory(StrEnum):
    """Why a job failed."""

    TIMEOUT = "timeout"
    QUEUE_TIMEOUT = "queue_timeout"
    OOM = "oom"
    IMAGE_PULL = "image_pull"
    PROVIDER_DISCONNECT = "provider_disconnect"
    EXECUTION = "execution"
    INVALID_PARAMS = "invalid_params"
    INVALID_RESULT = "invalid_result"
    CREATE = "create"
    ENGINE = "engine"
    ENGINE_BUSY = "engine_busy"
    DRIVER = "driver"
    DISK = "disk"
    GPU_LOST = "gpu_lost"
    NO_RESULT = "no_result"
    SERVER_STOP = "server_stop"
    OPERATOR = "operator"


class JobEvent(StrEnum):
    """Types of lifecycle events."""

    SUBMITTED = "job.submitted"
    RETRIED = "job.retried"
    STATUS_CHANGED = "job.status.changed"
    RETRY_SCHEDULED = "job.retry.scheduled"
    PHASE_CHANGED = "job.phase.changed"
    ENDPOINT_READY = "job.endpoint.ready"
    CANCELLED = "job.cancelled"
    TIMED_OUT = "job.timed_out"
    COMPLETED = "job.completed"
    FAILED = "job.failed"


class Actor(StrEnum):
    """Who moves a job from one state to another."""

    RENTER = "renter"
    ADMIN = "admin"
    PROVIDER = "provider"
    SCHEDULER = "scheduler"
    SERVER = "server"


JOB_TYPES = tuple(JobType)
GENERATING_TYPES = frozenset(
    {JobType.IMAGE_GENERATION, JobType.LLM_INFERENCE_DASHED, JobType.LLM_INFERENCE, JobType.RAG_PIPELINE}
)
"""Kinds of work whose result is what was ordered; of others it may lie elsewhere, or in the log."""
CONTAINER_TYPES = frozenset({JobType.CUSTOM_CONTAINER, JobType.IMAGE_GENERATION, JobType.RENDERING, JobType.TRAINING})
"""Kinds of work that are a container's, so that there has to be an image."""

ANSWERING_TYPES = GENERATING_TYPES - {JobType.IMAGE_GENERATION}
"""Kinds of work that a language model does."""

ERROR_CATEGORIES = tuple(ErrorCategory)
# What no daemon can know: a report that says so is read by its words.
_SERVER_ONLY = frozenset({ErrorCategory.QUEUE_TIMEOUT, ErrorCategory.SERVER_STOP, ErrorCategory.OPERATOR})
# At most what an exit status can be, so that a number that merely follows is no overlong integer. White space is read
# in one way only, and nowhere far in: the words are anybody's, and all calls wait for whoever searches them.
_EXIT_IN_WORDS = re.compile(
    r"\bexit(?:ed|s)?(?:[ _-]+(?:with|code|status|non-zero))*+\s*+(?:[:=]\s*+)?(-?\d{1,9})\b", re.IGNORECASE
)
_WORDS_READ = 10_000
COMPUTE_TYPES = tuple(ComputeType)

OPEN = frozenset({JobStatus.QUEUED, JobStatus.PENDING, JobStatus.RUNNING})
TERMINAL = frozenset(JobStatus) - OPEN

TEST_RENTER_ID = 0
"""The account that admins' test jobs belong to: they cost nothing, it has no wallet, and nobody holds a key to it."""

_STATE_NAMES = {
    JobStatus.QUEUED: "job_queued",
    JobStatus.PENDING: "provider_assigned",
    JobStatus.RUNNING: "job_starting",
    JobStatus.COMPLETED: "job_completed",
    JobStatus.FAILED: "job_failed",
    JobStatus.CANCELLED: "job_cancelled",
}
# Phases in which something comes out of a run; before them it only prepares.
_PRODUCING = frozenset({Phase.GENERATING, Phase.FORMATTING})

JOB_TIMED_OUT = "Job timed out"
NO_WORK_SHOWN = "The provider showed no work until the deadline"
NOTHING_HANDED_BACK = "The provider handed nothing back"
PARTLY_LOST = "Part of the answers was lost on its way"
SOMETHING_ELSE = "The provider handed back something else than what was ordered"
NO_PROVIDER_IN_TIME = "No provider became available in time"

_OWNERS = frozenset({Actor.RENTER, Actor.ADMIN})
_SCHEDULER = frozenset({Actor.SCHEDULER})
_PROVIDER = frozenset({Actor.PROVIDER})
_SERVER = frozenset({Actor.SERVER})

ALLOWED: Mapping[tuple[JobStatus | None, JobStatus], frozenset[Actor]] = {
    (None, JobStatus.PENDING): _OWNERS,
    (None, JobStatus.QUEUED): _OWNERS,
    (JobStatus.QUEUED, JobStatus.PENDING): _SCHEDULER,
    (JobStatus.QUEUED, JobStatus.RUNNING): _PROVIDER,
    (JobStatus.QUEUED, JobStatus.FAILED): _SERVER,
    (JobStatus.QUEUED, JobStatus.CANCELLED): _OWNERS,
    (JobStatus.PENDING, JobStatus.QUEUED): _SCHEDULER,
    (JobStatus.PENDING, JobStatus.RUNNING): _PROVIDER,
    (JobStatus.PENDING, JobStatus.FAILED): _SERVER,
    (JobStatus.PENDING, JobStatus.CANCELLED): _OWNERS,
    (JobStatus.RUNNING, JobStatus.COMPLETED): _OWNERS | _PROVIDER,
    (JobStatus.RUNNING, JobStatus.FAILED): frozenset({Actor.PROVIDER, Actor.ADMIN, Actor.SERVER}),
    (JobStatus.RUNNING, JobStatus.QUEUED): _SERVER | _PROVIDER,
    (JobStatus.RUNNING, JobStatus.CANCELLED): _OWNERS,
}
"""Every legal move and who may make it; None stands for a job that does not exist yet."""


def can_move(current: JobStatus | None, target: JobStatus, actor: Actor) -> bool:
    """Tell whether `actor` may take a job from `current` to `target`."""
    return actor in ALLOWED.get((current, target), frozenset())


def is_producing(phase: str | None) -> bool:
    """Tell whether something comes out of a run in this phase; before, it only prepares."""
    return phase in _PRODUCING


def state_name(status: JobStatus, phase: str | None) -> str:
    """Return what a job's event stream calls a state; a run is starting until it generates something."""
    return (
        "job_running"
        if status is JobStatus.RUNNING and is_producing(phase)
        else _STATE_NAMES.get(status, f"job_{status}")
    )


def prepaid_seconds(duration_minutes: Decimal) -> int:
    """Return the prepaid time, rounded up to a second and at least 1."""
    # Exactly: a float a hair above a whole second would cost another one.
    return max(1, math.ceil(Fraction(duration_minutes) * 60))


def run_deadline_seconds(max_duration_seconds: int, duration_minutes: Decimal | None) -> int:
    """Return how long one attempt may run; a job without prepaid minutes (a /v1 call) has only its own maximum."""
    if duration_minutes is None:
        return max_duration_seconds
    return min(max_duration_seconds, prepaid_seconds(duration_minutes))


def exit_code_in(message: str) -> int | None:
    """Return the exit code that a message tells in words, such as `exited with code 1`; None when it tells none."""
    found = _EXIT_IN_WORDS.search(message, 0, _WORDS_READ)
    return None if found is None else int(found[1])


def error_category(reported: str | None, message: str = "", exit_code: int | None = None) -> ErrorCategory:
    """Return the category of a failed run: the reported one, else the one its message suggests."""
    if reported in ERROR_CATEGORIES and reported not in _SERVER_ONLY:
        return ErrorCategory(reported)
    text = message[:_WORDS_READ].lower()
    # Daemons that name no category say it in words.
    if "out of memory" in text:
        return ErrorCategory.OOM
    # A program that ran and ended cannot have failed to be pulled, whatever it printed last.
    if "pull" in text and exit_code in (None, 0):
        return ErrorCategory.IMAGE_PULL
    return ErrorCategory.EXECUTION


_ID_ALPHABET = string.ascii_lowercase + string.digits
_ID_LETTERS = 6


# Numbers of 64 bits that the system gave and nobody has had.
_unused: list[int] = []
_ASKED_AT_ONCE = 256


def _unforeseen() -> int:
    """Return a number that nobody can know before."""
    # Asked for at once: while the system is, another thread has its turn, and the event loop waits until that one
    # leaves it again, which is milliseconds where transactions are written.
    while True:
        with suppress(IndexError):
            return _unused.pop()
        _unused.extend(struct.unpack(f"={_ASKED_AT_ONCE}Q", secrets.token_bytes(8 * _ASKED_AT_ONCE)))


def new_job_id(now_ms: int, prefix: str = "job") -> str:
    """Return a public id such as `job-1774206010000-ab12cd`; `prefix` is `test` for an admin's test jobs."""
    # One number for all six.
    number = _unforeseen() % len(_ID_ALPHABET) ** _ID_LETTERS
    suffix = "".join(_ID_ALPHABET[number // len(_ID_ALPHABET) ** at % len(_ID_ALPHABET)] for at in range(_ID_LETTERS))
    return f"{prefix}-{now_ms}-{suffix}"


def workspace_volume_name(job_id: str) -> str:
    """Return the name of the volume that a job's container works in."""
    return f"dcp-job-{job_id}"

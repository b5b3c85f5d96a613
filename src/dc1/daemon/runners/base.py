"""The interface every runner has: a unit of work in, live output while it runs, a result or a categorised failure."""

import asyncio
import functools
import math
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.errors.engine_refusals import EngineRefusal
from dc1.domain.jobs.states import ErrorCategory, JobType, Phase
from dc1.domain.providers.model_abilities import ModelAbilities

Level = Literal["info", "warn", "error", "debug"]

MAX_RESULT_BYTES = 2 * 1024 * 1024
"""The largest result the control plane accepts, as UTF-8."""

MAX_TOKENS = 2**31 - 1
"""No answer has more tokens; what counts more was not counted."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a runner can work on this machine now. `reason` says why not (or what was found); `models` it offers.

    `calls` is how many jobs it does at once, whatever GPUs there are; with 0 each takes a GPU's slot. `abilities` is
    what is known of the models.
    """

    available: bool
    reason: str
    models: tuple[str, ...] = ()
    calls: int = 0
    abilities: Mapping[str, ModelAbilities] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineCall:
    """A call to an engine's API: the path, the JSON as the caller sent it, and most tokens of each of its answers."""

    path: str
    body: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt at one job. `deadline` is the time left when the work is handed over, in seconds.

    `traceparent` says of which trace it is part.
    """

    job_id: str
    attempt: int
    job_type: JobType
    deadline: float
    model: str | None = None
    params: JsonObject = field(default_factory=dict)
    task_spec: JsonValue = None
    env: Mapping[str, str] = field(default_factory=dict)
    container_spec: JsonObject = field(default_factory=dict)
    gpu_requirements: JsonObject = field(default_factory=dict)
    max_duration_seconds: int = 1800
    call: EngineCall | None = None
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What finished work leaves. Tokens are None where they mean nothing; `gpu_seconds` counts GPUs in use only."""

    payload: JsonObject | str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    gpu_seconds: float = 0.0
    exit_code: int | None = None


class RunFailed(Exception):  # noqa: N818 -- an outcome of the work, not a fault of the program
    """The work ended without a result. A transient failure may succeed elsewhere or later.

    `exit_code` is that of the program, if one ended, and `refusal` what an engine said instead of an answer.
    """

    def __init__(
        self,
        category: ErrorCategory,
        message: str,
        *,
        transient: bool = False,
        exit_code: int | None = None,
        refusal: EngineRefusal | None = None,
    ) -> None:
        super().__init__(message)
        self.category = category
        self.message = message
        self.transient = transient
        self.exit_code = exit_code
        self.refusal = refusal


class Sink(Protocol):
    """Where a running job's live output goes. A call returns once the output is accepted, which slows a flood down."""

    async def log(self, level: Level, message: str) -> None:
        """Send one log line."""
        ...

    async def phase(self, name: Phase) -> None:
        """Say what the job is doing now."""
        ...

    async def token(self, text: str) -> None:
        """Send a piece of generated text."""
        ...

    async def event(self, event: str, text: str, is_last: bool) -> None:
        """Send what an engine said, empty for nothing, with the text that it adds to the answer."""
        ...


class Runner(Protocol):
    """Does work of some kinds. Cancelling `run` stops the work, frees what it held, and lets CancelledError through."""

    @property
    def kinds(self) -> frozenset[JobType]:
        """The job types it serves."""
        ...

    async def probe(self) -> Readiness:
        """Find out whether it can work now. Never raises."""
        ...

    async def run(self, work: Work, sink: Sink) -> Result:
        """Do the work within its deadline; a RunFailed says why it could not be done."""
        ...

    async def aclose(self) -> None:
        """Free what outlives a single job."""
        ...


RunMethod = Callable[[T, Work, Sink], Coroutine[Any, Any, Result]]


def within_deadline(run: RunMethod[T]) -> RunMethod[T]:
    """Make a `run` method fail with category timeout once the work's deadline has passed."""

    @functools.wraps(run)
    async def bounded(self: T, work: Work, sink: Sink) -> Result:
        scope = asyncio.timeout(work.deadline)
        try:
            async with scope:
                return await run(self, work, sink)
        except TimeoutError:
            # Of two timeouts only the outer one is the deadline; one inside the runner is a failure of its own.
            if not scope.expired():
                raise
            raise RunFailed(ErrorCategory.TIMEOUT, f"stopped at its deadline after {work.deadline:.0f} s") from None

    return bounded


def token_count(said: object) -> int | None:
    """Return a number of tokens as an engine says it; None for what can be no such number."""
    # By the exact type: a boolean is an int to Python, and the protocol takes no fractions.
    return said if type(said) is int and 0 <= said <= MAX_TOKENS else None


def number(params: Mapping[str, JsonValue], key: str, default: float, low: float, high: float) -> float:
    """Return a number, also one written as a string; `default` when absent.

    Raises:
        RunFailed: it is no number from `low` to `high`.
    """
    value = params.get(key)
    if value is None:
        return default
    try:
        # A boolean is an int to Python. NaN stands for all that is no number, as it is within no range.
        parsed = math.nan if isinstance(value, bool | list | dict) else float(value)
    except ValueError:
        parsed = math.nan
    if not low <= parsed <= high:
        raise RunFailed(ErrorCategory.INVALID_PARAMS, f"params.{key} must be a number from {low:g} to {high:g}")
    return parsed

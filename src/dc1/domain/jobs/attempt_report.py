"""One report says how an attempt ended, in whichever dialect a daemon said it."""

from dataclasses import dataclass, replace
from math import isfinite
from typing import Self

from dc1.domain.base.json_types import JsonValue
from dc1.domain.errors import invalid_reported_duration
from dc1.domain.errors.engine_refusals import EngineRefusal
from dc1.domain.jobs.failure_texts import RUN_FAILED, cleaned, failure_text
from dc1.domain.jobs.results import is_benchmark, is_nothing, is_of_other_model, parse_result
from dc1.domain.jobs.states import (
    ANSWERING_TYPES,
    NOTHING_HANDED_BACK,
    Actor,
    ErrorCategory,
    JobType,
    error_category,
    exit_code_in,
)

_USUAL_SECONDS = 1800
_AROUND_SECONDS = 60


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """How an attempt ended, as told by `actor`.

    `result` is the object or string to keep; `error` and `error_category` speak of a failure only: `error` to the
    renter, `error_detail` in the daemon's own words to the provider's owner and admins. The reported seconds
    only ever lower the bill, GPU seconds before duration. Tokens price a /v1 call. `is_object` is set where the result
    is an object of the daemon's own, which no program of a renter printed, `refusal` where an engine would not answer.
    `events` is what an engine said that is to be kept beside the result.
    """

    completed: bool
    actor: Actor = Actor.PROVIDER
    result: JsonValue = None
    error: str = RUN_FAILED
    error_category: ErrorCategory = ErrorCategory.EXECUTION
    error_detail: str | None = None
    gpu_seconds: float | None = None
    duration_seconds: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    exit_code: int | None = None
    is_object: bool = False
    refusal: EngineRefusal | None = None
    events: list[str] | None = None

    @classmethod
    def read(
        cls,
        *,
        completed: bool,
        actor: Actor = Actor.PROVIDER,
        result: JsonValue = None,
        error: str | None = None,
        category: str | None = None,
        gpu_seconds: float | None = None,
        duration_seconds: float | None = None,
        most_seconds: int = 0,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        exit_code: int | None = None,
        is_object: bool = False,
        refusal: EngineRefusal | None = None,
    ) -> Self:
        """Return the report that a message makes; None stands for what it does not say.

        The run is over, so an odd number is no reason to lose its result: what is not finite was not said, and what is
        negative is 0. Refused are `duration_seconds` as documented and, by `parse_result`, a result nobody could read.

        Raises:
            invalid_reported_duration: `duration_seconds` is not within 0 and `most_seconds`.
        """
        # Said this way round, for NaN is within nothing.
        if duration_seconds is not None and not 0 <= duration_seconds <= most_seconds:
            raise invalid_reported_duration(most_seconds)
        said = error or ""
        # The words are the daemon's own only up to what it quotes of the program; a code of its own goes first.
        code = exit_code if exit_code is not None or completed else exit_code_in(said)
        why = error_category(category or None, said, code)
        told = failure_text(why, said, code)
        return cls(
            completed=completed,
            actor=actor,
            result=parse_result(result) if completed else None,
            # An admin's words are meant for the renter; a daemon's are not.
            error=(cleaned(said) or told) if actor is Actor.ADMIN else told,
            error_category=why,
            error_detail=cleaned(said) or None,
            gpu_seconds=_seconds(gpu_seconds),
            duration_seconds=duration_seconds,
            prompt_tokens=_count(prompt_tokens),
            completion_tokens=_count(completion_tokens),
            exit_code=code,
            is_object=is_object,
            refusal=None if completed else refusal,
        )

    @property
    def hands_nothing_back(self) -> bool:
        """Whether a daemon calls a run completed and has nothing to show for it."""
        return self.completed and self.actor is Actor.PROVIDER and is_nothing(self.result)

    @property
    def is_doubtful(self) -> bool:
        """Whether a success may turn out to be none once it is held against what was ordered."""
        if not self.completed or self.actor is not Actor.PROVIDER:
            return False
        serves = isinstance(self.result, dict) and "model" in self.result
        return self.hands_nothing_back or is_benchmark(self.result) or serves

    def is_something_else(self, job_type: JobType, model: str | None) -> bool:
        """Tell whether a daemon calls a run completed and hands back what is plainly not what was ordered."""
        if not self.completed or self.actor is not Actor.PROVIDER or job_type is JobType.BENCHMARK:
            return False
        serves = job_type is JobType.VLLM_SERVE
        # What a renter's program printed is what was ordered, whatever it is.
        is_daemons_own = self.is_object or serves or job_type in ANSWERING_TYPES
        return (is_daemons_own and is_benchmark(self.result)) or (serves and is_of_other_model(self.result, model))

    def as_nothing(self, error: str = NOTHING_HANDED_BACK) -> Self:
        """Return what a report comes to that does not hand back what was ordered."""
        return replace(self, completed=False, result=None, error=error, error_category=ErrorCategory.NO_RESULT)

    @property
    def may_be_the_cards(self) -> bool:
        """Whether a daemon tells of a failure that a card which fails would bring about; refused orders reach none."""
        is_failure = not self.completed and self.actor is Actor.PROVIDER
        return is_failure and self.error_category is not ErrorCategory.INVALID_PARAMS

    def as_gpu_lost(self) -> Self:
        """Return what a failure comes to where a card failed: whatever the program's exit code, it is not its fault."""
        category = ErrorCategory.GPU_LOST
        return replace(self, error=failure_text(category, "", None), error_category=category)

    def as_unavailable(self) -> Self:
        """Return what a report comes to where the machine could not do this kind of work."""
        category = ErrorCategory.ENGINE
        return replace(self, error=failure_text(category, "", None), error_category=category)


def longest_report_seconds(max_duration_seconds: int) -> int:
    """Return the longest duration that a report of a run may claim."""
    # A daemon's clock counts what comes before and after the run as well, and a result must not be lost by that. More
    # than was prepaid is never charged.
    return max(_USUAL_SECONDS, max_duration_seconds + _AROUND_SECONDS)


def _seconds(said: float | None) -> float | None:
    """Return reported seconds, None where the server's clock has to count instead."""
    return None if said is None or not isfinite(said) else max(0.0, said)


def _count(said: int | None) -> int | None:
    # A negative count would take from what the other one costs.
    return None if said is None else max(0, said)

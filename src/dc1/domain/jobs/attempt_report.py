"""One report says how an attempt ended, in whichever dialect a daemon said it."""

from dataclasses import dataclass, replace
from math import isfinite
from typing import Self

from dc1.domain.base.json_types import JsonValue
from dc1.domain.errors import invalid_reported_duration
from dc1.domain.jobs.failure_texts import RUN_FAILED, cleaned, failure_text
from dc1.domain.jobs.results import is_nothing, parse_result
from dc1.domain.jobs.states import NOTHING_HANDED_BACK, Actor, ErrorCategory, error_category, exit_code_in


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """How an attempt ended, as told by `actor`.

    `result` is the object or string to keep; `error` and `error_category` speak of a failure only: `error` to the
    renter, `error_detail` in the daemon's own words to the provider's owner and admins. The reported seconds
    only ever lower the bill, GPU seconds before duration. Tokens price a /v1 call.
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
        )

    @property
    def hands_nothing_back(self) -> bool:
        """Whether a daemon calls a run completed and has nothing to show for it."""
        return self.completed and self.actor is Actor.PROVIDER and is_nothing(self.result)

    def as_nothing(self) -> Self:
        """Return what a report comes to that hands nothing back where something was ordered."""
        return replace(
            self, completed=False, result=None, error=NOTHING_HANDED_BACK, error_category=ErrorCategory.NO_RESULT
        )


def _seconds(said: float | None) -> float | None:
    """Return reported seconds, None where the server's clock has to count instead."""
    return None if said is None or not isfinite(said) else max(0.0, said)


def _count(said: int | None) -> int | None:
    # A negative count would take from what the other one costs.
    return None if said is None else max(0, said)

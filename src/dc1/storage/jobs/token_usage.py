"""The tokens that a /v1 call is charged for, judged by the conversation that was stored with it."""

from dataclasses import replace

from dc1.domain.inference.usage import CallBounds, TokenUsage, cached_tokens, result_bytes
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import Actor
from dc1.storage.jobs.charges import Evidence


def of_report(seen: Evidence, report: AttemptReport) -> tuple[TokenUsage | None, str | None]:
    """Return the tokens of a run that was reported to have ended, and what was cut from the report, in words.

    Jobs that are paid by time keep what was reported; None where nothing was.
    """
    job, relayed = seen.job, seen.relayed
    prompt, completion = report.prompt_tokens, report.completion_tokens
    has_said = prompt is not None or completion is not None
    if job.token_price_halala is None:
        return (TokenUsage(prompt or 0, completion or 0) if has_said else None), None
    if report.actor is not Actor.PROVIDER:
        # Whoever completes a call by hand knows nothing of tokens.
        return of_relayed(seen), None
    # The caller has the text of the result, and may have had more of it before.
    size = max(result_bytes(report.result), relayed.size_bytes)
    bounds = _bounds(seen)
    if report.completed:
        # Neither is an answer free because its engine counts nothing, nor its prompt.
        said = bounds.filled(prompt, completion, relayed, size)
    else:
        said = TokenUsage(prompt or 0, completion or 0)
    believed = bounds.believed(replace(said, cached=cached_tokens(report.result)), size)
    told = TokenUsage(
        believed.prompt if prompt is None else prompt, believed.completion if completion is None else completion
    )
    return (believed if has_said or report.completed else None), _cut(told, believed)


def of_relayed(seen: Evidence) -> TokenUsage:
    """Return the tokens of a call that nobody reported on."""
    return _bounds(seen).counted(seen.relayed) if seen.relayed.tokens else TokenUsage()


def _bounds(seen: Evidence) -> CallBounds:
    said = seen.said
    return CallBounds.of(seen.spec.inference_path, said if isinstance(said, dict) else {})


def _cut(said: TokenUsage, believed: TokenUsage) -> str | None:
    if (said.prompt, said.completion) == (believed.prompt, believed.completion):
        return None
    return (
        f"The provider reported {said.prompt} + {said.completion} tokens; "
        f"{believed.prompt} + {believed.completion} are possible and charged"
    )

"""Texts to go on with: what a call of /v1/completions may say, with a `suffix` to fill in before."""

from collections.abc import Iterator
from typing import Final

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.numeric import as_integer
from dc1.domain.errors import FieldViolation
from dc1.domain.inference.calls import (
    DEFAULT_MAX_TOKENS,
    MAX_ANSWERS,
    N_PREDICT,
    generation_faults,
    inputs_size,
    is_tokens,
    model_faults,
    others_size,
)

_LIMITS: Final = ("max_tokens", N_PREDICT)


def completion_faults(body: JsonObject) -> Iterator[FieldViolation]:
    """Yield what is wrong with such a call whose required keys are there."""
    yield from model_faults(body)
    prompt, suffix = body["prompt"], body.get("suffix")
    if not _is_prompt(prompt):
        yield FieldViolation("prompt", "must be a string, an array of tokens, or an array of such")
    if suffix is not None and not (isinstance(suffix, str) and isinstance(prompt, str)):
        yield FieldViolation("suffix", "must be a string, beside a prompt that is one")
    # None of the market's limits is for a text of no tokens, which is how the probabilities of a prompt are asked for.
    yield from generation_faults(body, _LIMITS, least_tokens=0)
    answers = as_integer(body.get("n")) or 1
    if _prompts(prompt) * answers > MAX_ANSWERS:
        yield FieldViolation("prompt", f"must have at most {MAX_ANSWERS} answers together")


def completion_prompt_bytes(body: JsonObject) -> int:
    """Return the bytes that bound the tokens of the prompts and of what else a model reads."""
    return inputs_size(body.get("prompt")) + others_size(body, ("prompt",))


def completion_tokens_of_each(body: JsonObject) -> int:
    """Return where each answer is cut."""
    said = [as_integer(body[name]) or 0 for name in _LIMITS if body.get(name) is not None]
    return max(said, default=DEFAULT_MAX_TOKENS)


def completions_wanted(body: JsonObject) -> int:
    """Return how many answers a call asks for: so many for each of its prompts."""
    return (as_integer(body.get("n")) or 1) * _prompts(body.get("prompt"))


def _is_prompt(prompt: JsonValue) -> bool:
    if isinstance(prompt, list) and prompt:
        return is_tokens(prompt) or all(isinstance(each, str) or is_tokens(each) for each in prompt)
    return isinstance(prompt, str)


def _prompts(prompt: JsonValue) -> int:
    return len(prompt) if isinstance(prompt, list) and not is_tokens(prompt) else 1

"""What must come of a feature, whichever client tries it: the words of the able model, the shapes of the small one."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.compat.conftest import BUILT_IN, PROMPT
from tests.faults.engine import MODEL as ABLE

ECHO = f"You said: {PROMPT}"
ECHO_TOKENS = 11
BOTH = {ABLE, BUILT_IN}
CITY = {"name": "Riyadh", "people": 7}

Check = Callable[[Any, bool], bool]
"""Whether what a client told is right; the flag says that the model can do everything."""


def _says(told: Any, able: bool) -> bool:
    """A text, and if the client counts tokens as many as there were."""
    text, tokens = told.get("text", told.get("joined")), told.get("tokens", ECHO_TOKENS)
    return (text, tokens) == (ECHO, ECHO_TOKENS) if able else bool(text) and tokens > 0


def _streams(told: Any, able: bool) -> bool:
    # What came piece by piece is what the client makes of it in the end.
    return _says(told, able) and told.get("text", told.get("joined")) == told.get("joined", told.get("text"))


def _goes_on(told: Any, able: bool) -> bool:
    text = told.get("text", told.get("joined"))
    return text == " and so on" if able else bool(text)


def _calls(told: Any, able: bool) -> bool:
    """Who runs the tools itself says what was called with, who leaves it to its user says the calls."""
    made = [call.get("args", call.get("arguments")) for call in told.get("calls") or ()] or told.get("called")
    if not able:
        return bool(told.get("text") or made)
    # A command prints its last words alone, which tell what its tool said.
    is_called = not ({"calls", "called"} & {*told}) or made in (
        [{"city": "Riyadh"}],
        ['{"city": "Riyadh"}'],
        ["Riyadh"],
        "Riyadh",
    )
    return is_called and told.get("text") in (None, "The tool said: hot")


def _fits(told: Any, able: bool) -> bool:
    right = told == CITY if able else [type(told[name]) for name in CITY] == [str, int]
    return right and "error" not in told


def _lists(told: Any, _: bool) -> bool:
    return {*told["ids"]} >= BOTH and told["same"] in BOTH and not told.get("more")


def _is_refused(words: str) -> Check:
    return lambda told, _: "error" in told and words in told["message"]


def _answers(told: Any, _: bool) -> bool:
    return told["answers"] > 1 and not told.get("wrong")


def _ranks(told: Any, able: bool) -> bool:
    return bool(told["order"] == [1, 0] if able else told["status"] == 400)


def _is_limited(told: Any, _: bool) -> bool:
    # By the name of the client's own error, or its number where it has one for all.
    return "RateLimit" in told["error"] or told["status"] == 429 or "429" in told["message"]


CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(("chat", "async_chat", "openai_chat", "complete", "response", "responses"), _says),
    **dict.fromkeys(("structured", "structured_stream", "output_by_tool", "parsed_response"), _fits),
    **dict.fromkeys(("stream", "streamed_response"), _streams),
    **dict.fromkeys(("completion", "streamed_completion"), _goes_on),
    "embeddings": lambda told, _: len({*told["lengths"]}) == 1 and told["tokens"] > 0,
    "count_tokens": lambda told, _: told["tokens"] > 0,
    "tools": _calls,
    **dict.fromkeys(("parallel", "one_by_one"), _answers),
    "left_early": lambda told, _: told == {"text": "left"},
    "headers": lambda told, _: told["same"] and told["left"] > 0,
    "models": _lists,
    "rerank": _ranks,
    "rate_limited": _is_limited,
    "wrong_key": _is_refused("Invalid API key"),
    "unknown_model": _is_refused("Model 'none/none' does not exist"),
    "too_long": _is_refused("The prompt is longer than the model's"),
}


def wrong(said: Mapping[str, Any], able: bool, more: Mapping[str, Check] | None = None) -> dict[str, Any]:
    """What a client told of its features that is not right."""
    checks = {**CHECKS, **(more or {})}
    return {name: told for name, told in said.items() if not _holds(checks[name], told, able)}


def _holds(check: Check, told: Any, able: bool) -> bool:
    try:
        return check(told, able)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False  # of another shape altogether

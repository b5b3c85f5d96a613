"""What a chat asks for that engines pass over which do not know it: an answer without it is none."""

import json
import re
import string
from typing import Any, Final

from dc1.daemon.runners.inference.answer import index_of, said_in
from dc1.daemon.runners.inference.refusals import refusal, unheeded
from dc1.domain.base.json_types import JsonObject, JsonValue, objects
from dc1.domain.inference.events import REASONINGS

_OBJECT: Final = re.compile(r"\{")
_ANY_VALUE: Final = re.compile(r'[{\["0-9tfn-]')
_NO_CALL: Final = b'{"message": "the engine does not have a tool called that must be"}'
# What thinks first may say nothing else for long, and what calls a tool need not say anything: nobody waits for more.
_OTHERS: Final = ("tool_calls", "function_call", "refusal", *REASONINGS)
_STOPS: Final = ("stop", "stop_token_ids")
# Of engines that do not keep it apart, a caller or an owner may want it so.
_THINKING: Final = "<"
# Half a character, of which llama.cpp says no logprobs, is no more of a beginning than white space.
_NO_WORD: Final = f"{string.whitespace}\N{REPLACEMENT CHARACTER}"
ALLOWED_TOOLS: Final = "allowed_tools"


class Wishes:
    """What of one call can be seen in its answers: a tool called, sound, logprobs, JSON.

    Of a stream nothing is told while it `is_open`: what is refused once its text was read would have been had for
    nothing, and its caller would have a 200.
    """

    def __init__(self, asked: JsonObject, answers: int) -> None:
        """`answers` is how many are wanted."""
        choice, modalities = asked.get("tool_choice"), asked.get("modalities")
        speaks = isinstance(modalities, list) and "audio" in modalities
        self._answers = answers
        self._needs = (
            ["tool_calls"] * must_call(choice)
            + ["function_call"] * isinstance(asked.get("function_call"), dict)
            + ["audio"] * speaks
        )
        self._callable = _callable_by(choice)
        self._wants_logprobs = _wants_logprobs(asked.get("logprobs"))
        # An echo is the caller's own words, and whoever may call a tool may say before that it will.
        echoes, may_call = asked.get("echo") is True, bool(asked.get("tools")) and choice != "none"
        form, begins = ("", _ANY_VALUE) if echoes else _form_of(asked)
        self.wants_json = bool(form)
        """Whether the text of the answers is to be JSON, where they have any."""
        self._form, self._begins = ("", _ANY_VALUE) if may_call else (form, begins)
        self._may_be_cut = any(asked.get(name) for name in _STOPS)
        self._is_watched = bool(self._needs or self._wants_logprobs or self._form) or self._callable is not None
        self._missing: dict[int, set[str]] = {}
        self._begun: set[int] = set()
        self._has_logprobs: set[int] = set()
        self._settled: set[int] = set()

    @property
    def is_open(self) -> bool:
        """Whether it may still turn out that an answer of the stream is none."""
        return self._is_watched and len(self._settled) < self._answers

    def look_at(self, choices: list[dict[str, Any]], *, is_whole: bool) -> None:
        """Look at what an event adds to each answer; one that passes over something is refused."""
        for choice in choices if self._is_watched else ():
            said, number, reason = said_in(choice), index_of(choice), choice.get("finish_reason")
            missing = self._missing.setdefault(number, set(self._needs))
            missing -= {name for name in missing if said.get(name)}
            if said.get("refusal") or (reason and reason != "stop"):
                # What was cut, or ended in another way, might have had it.
                missing.clear()
            self._require_callable(said)
            if choice.get("logprobs"):
                self._has_logprobs.add(number)
            if number not in self._begun and (text := _text_in(said).lstrip(_NO_WORD)):
                self._begun.add(number)
                # Of tokens that come together, or were guessed ahead, engines may say none: the answer had some before.
                if self._wants_logprobs and number not in self._has_logprobs:
                    raise unheeded("logprobs")
                # Of one that is cut llama.cpp says the raw text, in which a model may mark JSON before it begins.
                if self._form and not (is_whole and (reason != "stop" or self._may_be_cut)):
                    self._require_json(text, is_whole=is_whole)
            if reason:
                _require_all(missing)
            if not missing and (reason or self._needs or number in self._begun or any(map(said.get, _OTHERS))):
                self._settled.add(number)

    def let_be(self) -> None:
        """Take the answers as far as they are: they are cut here, and not by their engine."""
        self._missing.clear()
        self._is_watched = False

    def end(self) -> None:
        """Look at what has ended without a word of why."""
        for missing in self._missing.values():
            _require_all(missing)
        self._is_watched = False

    def _require_callable(self, said: dict[str, Any]) -> None:
        for call in objects(said.get("tool_calls")) if self._callable is not None else ():
            # Some engines say a part of the name with each piece.
            if (name := name_of(call)) and not any(name in each for each in self._callable or ()):
                raise unheeded("tool_choice")

    def _require_json(self, text: str, *, is_whole: bool) -> None:
        if text.startswith(_THINKING):
            return
        try:
            if is_whole:
                json.loads(text, strict=False)
        except (ValueError, RecursionError):
            raise unheeded(self._form) from None
        if not self._begins.match(text):
            raise unheeded(self._form)


def _require_all(missing: set[str]) -> None:
    """Refuse an answer that has ended without what is missing.

    Raises:
        refusal: It is the call of a tool.
        unheeded: It is anything else.
    """
    if "tool_calls" in missing:
        raise refusal(400, _NO_CALL, {})
    if missing:
        raise unheeded(min(missing))


def must_call(choice: JsonValue) -> bool:
    """Tell whether a `tool_choice` wants the call of a tool made, and leaves it to no model."""
    if not isinstance(choice, dict):
        return choice == "required"
    return choice.get("type") != ALLOWED_TOOLS or _allowed(choice).get("mode") == "required"


def allowed_names(choice: JsonValue) -> frozenset[str] | None:
    """Return the tools that a `tool_choice` of the type `allowed_tools` leaves to a model; None for another."""
    if not isinstance(choice, dict) or choice.get("type") != ALLOWED_TOOLS:
        return None
    return frozenset(filter(None, map(name_of, objects(_allowed(choice).get("tools")))))


def _allowed(choice: JsonObject) -> JsonObject:
    # Chats have it in an object of its own, Responses beside the type.
    found = choice.get(ALLOWED_TOOLS)
    return found if isinstance(found, dict) else choice


def _callable_by(choice: JsonValue) -> frozenset[str] | None:
    """Return the only tools that may be called; None where all may."""
    if choice == "none":
        return frozenset()
    if isinstance(choice, dict) and choice.get("type") == "function" and (name := name_of(choice)):
        return frozenset({name})
    return allowed_names(choice)


def name_of(tool: dict[str, Any]) -> str:
    """Return what a tool, or a call of one, is called; empty where it does not say."""
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("name")
    return name if isinstance(name, str) else ""


def _wants_logprobs(said: JsonValue) -> bool:
    # A flag of chats, and how many of them of a text, where 0 is none besides the token's own.
    return said is True or (type(said) is int and said > 0)


def _form_of(asked: JsonObject) -> tuple[str, re.Pattern[str]]:
    """Return under which key JSON is wanted, empty for none, and how it begins."""
    wanted, others = asked.get("response_format"), asked.get("structured_outputs")
    if isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema"):
        holder = wanted.get("json_schema")
        schema = holder.get("schema") if isinstance(holder, dict) else None
        is_object = wanted["type"] == "json_object" or (isinstance(schema, dict) and schema.get("type") == "object")
        return "response_format", _OBJECT if is_object else _ANY_VALUE
    if asked.get("guided_json"):
        return "guided_json", _ANY_VALUE
    return ("structured_outputs" if isinstance(others, dict) and others.get("json") is not None else ""), _ANY_VALUE


def _text_in(said: dict[str, Any]) -> str:
    text = said.get("content") or said.get("text")
    return text if isinstance(text, str) else ""

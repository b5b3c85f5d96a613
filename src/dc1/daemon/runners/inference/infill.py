"""What llama.cpp passes over: a suffix, which another path of its fills in, and what is refused for that."""

import time
from dataclasses import replace
from typing import Any

from dc1.daemon.runners.base import EngineCall
from dc1.daemon.runners.inference.engine import EventCallback
from dc1.daemon.runners.inference.event_stream import Event
from dc1.daemon.runners.inference.refusals import unheeded
from dc1.daemon.runners.inference.relays.relay import EventRelay, asked_of
from dc1.daemon.runners.inference.text import text_of
from dc1.domain.base.json_members import spliced
from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.errors.engine_refusals import UNHEEDED

_INFILL = "infill"
# What is looked at elsewhere, and what llama.cpp has.
_OF_ITS_OWN = ("echo", "n beside a suffix", "modalities", "response_format", "logprobs", "tool_choice")


def heeded(call: EngineCall) -> EngineCall:
    """Return a call as llama.cpp reads it: all that it asks for, and refused where that would be passed over.

    Raises:
        unheeded: The call asks for such.
    """
    asked = asked_of(call)
    modalities = asked.get("modalities")
    if isinstance(modalities, list) and any(each != "text" for each in modalities):
        raise unheeded("modalities")
    for name in UNHEEDED:
        # Said not to be wanted, it is not missed.
        if name not in _OF_ITS_OWN and asked.get(name) not in (None, False, "", [], "none", "auto"):
            raise unheeded(name)
    changes: JsonObject = {}
    if asked.get("logprobs") is True and asked.get("top_logprobs") == 0:
        # It takes no others beside a token's own for none at all.
        changes["top_logprobs"] = 1
    tools = asked.get("tools")
    if isinstance(tools, list) and any(map(_is_undescribed, tools)):
        # Clients say so of a function without a docstring; it fails the call for that.
        changes["tools"] = [
            _described(tool) if isinstance(tool, dict) and _is_undescribed(tool) else tool for tool in tools
        ]
    return replace(call, body=spliced(call.body, changes)) if changes else call


def _is_undescribed(tool: JsonValue) -> bool:
    function = tool.get("function") if isinstance(tool, dict) else None
    return isinstance(function, dict) and "description" in function and function["description"] is None


def _described(tool: JsonObject) -> JsonObject:
    function = tool["function"]
    assert isinstance(function, dict)
    return {**tool, "function": {name: value for name, value in function.items() if name != "description"}}


def llamacpp_text(call: EngineCall, model: str, send: EventCallback) -> tuple[str, EventRelay]:
    """Return where such a call is sent and who listens to the answer.

    Raises:
        unheeded: llama.cpp would pass over what is asked for.
    """
    asked = asked_of(call)
    if asked.get("echo") is True:
        raise unheeded("echo")
    if not asked.get("suffix"):
        return call.path.removeprefix("/"), EventRelay(call, model, send)
    if asked.get("n") not in (None, 1):
        raise unheeded("n beside a suffix")
    return _INFILL, InfillRelay(call, model, send)


class InfillRelay(EventRelay):
    """Passes on what llama.cpp fills in, in the words of the OpenAI API."""

    def __init__(self, call: EngineCall, model: str, send: EventCallback) -> None:
        super().__init__(call, model, send)
        asked = asked_of(call)
        told: JsonObject = {"prompt": "", "input_prefix": asked["prompt"], "input_suffix": asked["suffix"]}
        # Its own words have the usage in them.
        self.body = self.asking = spliced(call.body, {"model": model, **told})

    async def take(self, event: Event) -> None:
        """Pass on an event."""
        value = _in_openai_s_words(event.value)
        await super().take(event if value is None else Event(compact(value), value, event.is_whole))


def _in_openai_s_words(said: dict[str, Any]) -> dict[str, Any] | None:
    if "content" not in said:
        return None
    ends = said.get("stop") is True
    reason = ("length" if said.get("stop_type") == "limit" else "stop") if ends else None
    choice: JsonObject = {"index": 0, "text": text_of(said["content"]), "logprobs": None, "finish_reason": reason}
    value: dict[str, Any] = {"object": "text_completion", "created": int(time.time()), "choices": [choice]}
    read, made = said.get("tokens_evaluated"), said.get("tokens_predicted")
    if ends and type(read) is int and type(made) is int:
        value["usage"] = {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made}
    return value

"""Texts by llama.cpp, whose path for completions passes over a suffix and an echo: another one fills texts in."""

import time
from typing import Any

from dc1.daemon.runners.base import EngineCall
from dc1.daemon.runners.inference.engine import EventCallback
from dc1.daemon.runners.inference.event_stream import Event
from dc1.daemon.runners.inference.refusals import refusal
from dc1.daemon.runners.inference.relays.relay import EventRelay, asked_of
from dc1.daemon.runners.inference.text import text_of
from dc1.domain.base.json_members import spliced
from dc1.domain.base.json_types import JsonObject, compact

_INFILL = "infill"
_NO_ECHO = b'{"message": "llama.cpp does not repeat a prompt; leave echo out"}'
_ONE_ANSWER = b'{"message": "llama.cpp fills in once; leave n out beside a suffix"}'


def llamacpp_text(call: EngineCall, model: str, send: EventCallback) -> tuple[str, EventRelay]:
    """Return where such a call is sent and who listens to the answer.

    Raises:
        refusal: llama.cpp would pass over what is asked for.
    """
    asked = asked_of(call)
    if asked.get("echo") is True:
        raise refusal(400, _NO_ECHO, {})
    if not asked.get("suffix"):
        return call.path.removeprefix("/"), EventRelay(call, model, send)
    if asked.get("n") not in (None, 1):
        raise refusal(400, _ONE_ANSWER, {})
    return _INFILL, InfillRelay(call, model, send)


class InfillRelay(EventRelay):
    """Passes on what llama.cpp fills in, in the words of the OpenAI API."""

    def __init__(self, call: EngineCall, model: str, send: EventCallback) -> None:
        super().__init__(call, model, send)
        asked = asked_of(call)
        told: JsonObject = {"prompt": "", "input_prefix": asked["prompt"], "input_suffix": asked["suffix"]}
        self.body = spliced(call.body, {"model": model, **told})
        # Its own words have the usage in them.
        self.options = {}

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

"""A chat in the terms of the OpenAI API, as a job asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dc1.daemon.runners.base import RunFailed, number
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.inference.owners_keys import owners_faults
from dc1.domain.jobs.states import ErrorCategory

MAX_MESSAGES = 100
_ROLES = ("system", "developer", "user", "assistant", "tool")
_SAMPLING_KEYS = ("frequency_penalty", "presence_penalty", "seed", "stop", "top_p")
_OWN_KEYS = frozenset(
    {"messages", "prompt", "system", "model", "max_tokens", "temperature", "stream", "stream_options", "n"}
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A conversation and how to continue it. `options` holds further OpenAI keys, as they were sent.

    Every message has a role and a text as its content; more that was said in it is kept.
    """

    messages: tuple[JsonObject, ...]
    max_tokens: int
    temperature: float
    options: JsonObject = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The text that is answered: the last message of the user."""
        return next((str(m["content"]) for m in reversed(self.messages) if m["role"] == "user"), "")


def parse_chat(params: Mapping[str, JsonValue]) -> ChatRequest:
    """Read `messages` (or `prompt` with an optional `system`), `max_tokens` and `temperature`.

    Beside `messages` all other keys are OpenAI's; beside a `prompt` only the known sampling keys are.

    Raises:
        RunFailed: It cannot be read, or says what is not a renter's to say.
    """
    # Params with a prompt are the marketplace's own form: other keys in them are nothing an engine should see.
    is_conversation = bool(params.get("messages"))
    options = {
        key: params[key] for key in params if (key not in _OWN_KEYS if is_conversation else key in _SAMPLING_KEYS)
    }
    if (fault := next(owners_faults(options), None)) is not None:
        raise RunFailed(ErrorCategory.INVALID_PARAMS, f"params.{fault.field} {fault.message}")
    return ChatRequest(
        messages=_messages(params),
        max_tokens=int(number(params, "max_tokens", 512, 1, 8192)),
        temperature=number(params, "temperature", 0.7, 0.0, 2.0),
        options={key: value for key, value in options.items() if value is not None},
    )


def _messages(params: Mapping[str, JsonValue]) -> tuple[JsonObject, ...]:
    messages, prompt, system = params.get("messages"), params.get("prompt"), params.get("system")
    if isinstance(messages, list) and messages:
        if len(messages) > MAX_MESSAGES:
            raise RunFailed(ErrorCategory.INVALID_PARAMS, f"params.messages has more than {MAX_MESSAGES} entries")
        return tuple(_message(message) for message in messages)
    if not isinstance(prompt, str) or not prompt:
        raise RunFailed(ErrorCategory.INVALID_PARAMS, "params.prompt or params.messages is required")
    lead: tuple[JsonObject, ...] = (
        ({"role": "system", "content": system},) if isinstance(system, str) and system else ()
    )
    return (*lead, {"role": "user", "content": prompt})


def _message(message: JsonValue) -> JsonObject:
    if not isinstance(message, dict):
        raise RunFailed(ErrorCategory.INVALID_PARAMS, "params.messages must hold objects")
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        raise RunFailed(ErrorCategory.INVALID_PARAMS, f"params.messages: role must be one of {', '.join(_ROLES)}")
    if isinstance(content, list):
        content = "".join(_part(part) for part in content)
    # A turn of the assistant that only calls tools has no content, and templates of models want a text.
    if content is None and message.get("tool_calls"):
        content = ""
    if not isinstance(content, str):
        raise RunFailed(ErrorCategory.INVALID_PARAMS, "params.messages: content must be text")
    return {**message, "content": content}


def _part(part: JsonValue) -> str:
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
    if not isinstance(text, str):
        raise RunFailed(ErrorCategory.INVALID_PARAMS, "params.messages: only text content is supported")
    return text

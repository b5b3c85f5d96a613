"""An answer of chat as one of OpenAI's Responses API: the objects that it is made of."""

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.inference.dialects.chat_answer import Counts, Said, ToolCall
from dc1.domain.inference.dialects.responses_request import ResponsesCall

# What an answer says of its call, with what holds where the call says nothing.
_REPEATED: JsonObject = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "user": None,
}
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer is incomplete, by the reason that chat has for its end."""


def begun(answer: JsonObject, call: ResponsesCall, status: str = "in_progress") -> JsonObject:
    """Return a response of which nothing was said; `answer` is any object of chat that says whose it is."""
    asked = call.asked
    repeated = {name: usual if asked.get(name) is None else asked[name] for name, usual in _REPEATED.items()}
    return {
        "id": answer.get("id"),
        "object": "response",
        "created_at": answer.get("created"),
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": answer.get("model"),
        "output": [],
        "previous_response_id": None,
        "reasoning": _merged({"effort": None, "summary": None}, asked.get("reasoning")),
        # Nothing of an answer is kept that could be asked for.
        "store": False,
        "text": _merged({"format": {"type": "text"}}, asked.get("text")),
        "truncation": "disabled",
        "usage": None,
        **repeated,
    }


def ended(
    answer: JsonObject, call: ResponsesCall, output: list[JsonValue], finish_reason: str, counts: Counts | None
) -> JsonObject:
    """Return a response that has its whole output."""
    reason = INCOMPLETE.get(finish_reason)
    return begun(answer, call, "completed" if reason is None else "incomplete") | {
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": output,
        "usage": _usage(counts or Counts()),
    }


def reasoning_item(item_id: str, text: str) -> JsonObject:
    """Return what a model thought, as an item."""
    return {"id": item_id, "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def message_item(item_id: str, said: Said) -> JsonObject:
    """Return what a model said to its reader, as an item."""
    content: list[JsonValue] = [text_part(said.text)] if said.text or not said.refusal else []
    if said.refusal:
        content.append(refusal_part(said.refusal))
    return {"id": item_id, "type": "message", "status": "completed", "role": "assistant", "content": content}


def text_part(text: str) -> JsonObject:
    """Return a text as a part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal_part(text: str) -> JsonObject:
    """Return a refusal as a part of a message."""
    return {"type": "refusal", "refusal": text}


def call_item(item_id: str, tool: ToolCall) -> JsonObject:
    """Return a call of a tool as an item."""
    return {
        "id": item_id,
        "type": "function_call",
        "status": "completed",
        "call_id": tool.id or item_id,
        "name": tool.name,
        "arguments": tool.arguments,
    }


def _merged(usual: JsonObject, asked: JsonValue) -> JsonObject:
    return usual | (asked if isinstance(asked, dict) else {})


def _usage(counts: Counts) -> JsonObject:
    return {
        "input_tokens": counts.prompt,
        "input_tokens_details": {"cached_tokens": counts.cached},
        "output_tokens": counts.completion,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.prompt + counts.completion,
    }

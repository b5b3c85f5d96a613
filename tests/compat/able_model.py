"""A model that can do everything, and says the same each time: the answers of an engine of `tests.faults`."""

import base64
import json
import re
import struct
import time
from collections.abc import Iterable, Iterator
from typing import Any

from dc1.testing.rest import Json

MOST_PROMPT_CHARACTERS = 60_000
"""Beyond it a prompt is too long for the model."""
LONG_TOKENS = 2000
"""What asks for so many is answered whole after a while."""

_JSON, _EVENTS = "application/json", "text/event-stream"
_FINGERPRINT = "fp_able"
Answer = tuple[int, str, Iterable[bytes]]


def answer(path: str, body: Any) -> Answer:
    """Answer one call as an engine does."""
    make = _ROUTES.get(path)
    if make is None:
        return 404, _JSON, (b"{}",)
    try:
        return make(body)
    except KeyError as missing:
        return _refused(f"{missing} is required", "invalid_request_error")


def sample(schema: Json, definitions: Json | None = None) -> Any:
    """Return a value that a JSON schema describes, always the same one."""
    known = definitions or schema.get("$defs", {})
    if "$ref" in schema:
        return sample(known[schema["$ref"].rsplit("/", 1)[-1]], known)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "anyOf", "oneOf", "allOf"):
        if key in schema:
            first = schema[key][0]
            return first if key == "enum" else sample(first, known)
    if schema.get("type") == "array":
        return [sample(schema.get("items", {}), known)]
    if schema.get("type") == "object" or "properties" in schema:
        return {name: sample(each, known) for name, each in schema.get("properties", {}).items()}
    return {"integer": 7, "number": 1.5, "boolean": True, "null": None}.get(schema.get("type", ""), "Riyadh")


def _reply(text: str) -> Json:
    return {"role": "assistant", "content": text}


def _whole(body: Json) -> Answer:
    return 200, _JSON, (json.dumps(body).encode(),)


def _refused(message: str, code: str) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "param": "messages", "code": code}
    return 400, _JSON, (json.dumps({"error": error}).encode(),)


def _text(content: Any) -> str:
    """What is said, with a note for each picture."""
    if isinstance(content, str):
        return content
    said = []
    for part in content or ():
        if part["type"] == "text":
            said.append(part["text"])
        else:
            data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            said.append(f"[a picture of {len(data)} bytes]")
    return " ".join(said)


def _wanted_tools(body: Json) -> list[Json]:
    """Those of the tools that are to be called now."""
    tools = [tool["function"] for tool in body.get("tools") or ()]
    choice = body.get("tool_choice") or "auto"
    if choice == "none":
        return []
    if isinstance(choice, dict):
        return [tool for tool in tools if tool["name"] == choice["function"]["name"]]
    # Each once: an agent goes on until its model asks for nothing more.
    called = {call["function"]["name"] for said in body["messages"] for call in said.get("tool_calls") or ()}
    left = [tool for tool in tools if tool["name"] not in called]
    # All at once but for the last, which agents take for the end when it is theirs.
    return (left[:-1] or left) if body.get("parallel_tool_calls") is not False else left[:1]


def _message(body: Json) -> Json:
    tools = _wanted_tools(body)
    if tools:
        calls = [
            {
                "id": f"call_{len(body['messages'])}_{number}",
                "type": "function",
                "function": {"name": tool["name"], "arguments": json.dumps(sample(tool.get("parameters") or {}))},
            }
            for number, tool in enumerate(tools)
        ]
        return {"role": "assistant", "content": None, "tool_calls": calls}
    form = body.get("response_format") or {"type": "text"}
    if form["type"] == "json_schema":
        return _reply(json.dumps(sample(form["json_schema"]["schema"]), ensure_ascii=False))
    if form["type"] == "json_object":
        return _reply('{"city": "Riyadh", "people": 7}')
    last = body["messages"][-1]
    return _reply(f"{'The tool' if last['role'] == 'tool' else 'You'} said: {_text(last['content'])}")


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)


def _tokens(message: Json) -> int:
    return len(_words(message["content"] or "")) or 5 * len(message.get("tool_calls", ()))


def _usage(body: Json, said: int) -> Json:
    prompt = sum(len(_words(_text(message.get("content")))) for message in body["messages"])
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said,
        "total_tokens": prompt + said,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _logprobs(words: Iterable[str]) -> Json:
    return {"content": [{"token": w, "logprob": -0.5, "bytes": [*w.encode()], "top_logprobs": []} for w in words]}


def _chat(body: Json) -> Answer:
    if sum(len(_text(message.get("content"))) for message in body["messages"]) > MOST_PROMPT_CHARACTERS:
        return _refused("This model's maximum context length is 15000 tokens.", "context_length_exceeded")
    message = _message(body)
    if body.get("reasoning_effort"):
        message["reasoning_content"] = "Let me think. "
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    most = body.get("max_completion_tokens") or body.get("max_tokens") or 4096
    if most == LONG_TOKENS and not body.get("stream"):
        time.sleep(1)  # as a model that really says so much: a caller without patience is gone by then
    if reason == "stop" and _tokens(message) > most:
        message["content"], reason = "".join(_words(message["content"])[:most]), "length"
    count = body.get("n") or 1
    head = {"id": "able-1", "created": 1, "model": body["model"], "system_fingerprint": _FINGERPRINT}
    usage = _usage(body, count * _tokens(message))
    if body.get("stream"):
        return 200, _EVENTS, _chat_events(head, body, message, reason, usage)
    choice: Json = {"message": message, "finish_reason": reason}
    if body.get("logprobs"):
        choice["logprobs"] = _logprobs(_words(message["content"] or ""))
    choices = [{"index": index, **choice} for index in range(count)]
    return _whole({**head, "object": "chat.completion", "choices": choices, "usage": usage})


def _deltas(message: Json) -> Iterator[Json]:
    yield {"role": "assistant", "content": "" if message["content"] is not None else None}
    if message.get("reasoning_content"):
        yield {"reasoning_content": message["reasoning_content"]}
    for word in _words(message["content"] or ""):
        yield {"content": word}
    for index, call in enumerate(message.get("tool_calls", ())):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        yield {"tool_calls": [{**call, "index": index, "function": {"name": name, "arguments": ""}}]}
        for at in range(0, len(arguments), 8):
            yield {"tool_calls": [{"index": index, "function": {"arguments": arguments[at : at + 8]}}]}


def _chat_events(head: Json, body: Json, message: Json, reason: str, usage: Json) -> Iterator[bytes]:
    head = {**head, "object": "chat.completion.chunk"}
    for index in range(body.get("n") or 1):
        for delta in _deltas(message):
            choice: Json = {"index": index, "delta": delta, "finish_reason": None}
            if body.get("logprobs") and delta.get("content"):
                choice["logprobs"] = _logprobs([delta["content"]])
            yield _event({**head, "choices": [choice]})
        yield _event({**head, "choices": [{"index": index, "delta": {}, "finish_reason": reason}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _event({**head, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _event(body: Json) -> bytes:
    return b"data: %s\n\n" % json.dumps(body).encode()


def _completion(body: Json) -> Answer:
    prompt = body["prompt"] if isinstance(body["prompt"], str) else body["prompt"][0]
    text = f"{prompt if body.get('echo') else ''} and so on"
    words = _words(text)[: body.get("max_tokens") or 16]
    head = {"id": "able-2", "object": "text_completion", "created": 1, "model": body["model"]}
    said = len(_words(prompt))
    usage = {"prompt_tokens": said, "completion_tokens": len(words), "total_tokens": said + len(words)}
    ending: Json = {"index": 0, "logprobs": None, "finish_reason": "stop"}
    if not body.get("stream"):
        return _whole({**head, "choices": [{**ending, "text": "".join(words)}], "usage": usage})
    pieces = [_event({**head, "choices": [{**ending, "text": word, "finish_reason": None}]}) for word in words]
    pieces.append(_event({**head, "choices": [{**ending, "text": ""}]}))
    pieces.append(_event({**head, "choices": [], "usage": usage}))
    return 200, _EVENTS, (*pieces, b"data: [DONE]\n\n")


def _embeddings(body: Json) -> Answer:
    asked = body["input"]
    # A text, several, or either as numbers of tokens.
    several = [asked] if isinstance(asked, str) or isinstance(asked[0], int) else asked
    data: list[Json] = []
    for index, each in enumerate(several):
        vector = [float(len(each)), -0.5, 0.25]
        data.append({"object": "embedding", "index": index, "embedding": _encoded(vector, body)})
    tokens = sum(len(_words(each)) if isinstance(each, str) else len(each) for each in several)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return _whole({"object": "list", "model": body["model"], "data": data, "usage": usage})


def _encoded(vector: list[float], body: Json) -> Any:
    if body.get("encoding_format") != "base64":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _rerank(body: Json) -> Answer:
    """The longest document first."""
    documents = sorted(enumerate(body["documents"]), key=lambda each: -len(each[1]))
    results = [{"index": index, "relevance_score": len(text) / 100} for index, text in documents]
    tokens = len(_words(body["query"]))
    return _whole(
        {"model": body["model"], "results": results, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    )


def _speech(body: Json) -> Answer:
    """As many bytes as there are characters, word by word."""
    return 200, "audio/mpeg", [bytes(len(word)) for word in _words(body["input"])]


def _transcription(form: Any) -> Answer:
    if not isinstance(form, bytes):
        return _refused("file is required", "invalid_request_error")
    words = f"There are {form.count(b'sea')} seas in it"
    if b"response_format" in form and b"\r\n\r\nsrt\r\n" in form:
        return 200, "application/x-subrip", (f"1\n00:00 --> 00:01\n{words}\n".encode(),)
    if b'name="stream"\r\n\r\ntrue' not in form:
        return _whole({"text": words})
    events = [_event({"type": "transcript.text.delta", "delta": word}) for word in _words(words)]
    return 200, _EVENTS, (*events, _event({"type": "transcript.text.done", "text": words}))


_ROUTES = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _completion,
    "/v1/embeddings": _embeddings,
    "/v1/rerank": _rerank,
    "/v1/audio/speech": _speech,
    "/v1/audio/transcriptions": _transcription,
}

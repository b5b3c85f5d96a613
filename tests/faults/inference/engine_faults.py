"""What engines do wrong, and what becomes of the calls to them."""

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any

BODY = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n\r\n"
SSE = BODY % b"text/event-stream"
JSON = BODY % b"application/json"
COMPRESSED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
STAYS = b""
SECRET = "http://10.9.8.7:8000/v1"
"""What an engine may say of itself and no renter is to read."""


def event(value: Any) -> bytes:
    return b"data: %s\n\n" % json.dumps(value).encode()


def says(text: str, *, raw: bool = False, **choice: Any) -> bytes:
    """An event with a piece of the text, whose letters are escaped or `raw`."""
    value = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None, **choice}]}
    return b"data: %s\n\n" % json.dumps(value, ensure_ascii=not raw).encode()


def used(prompt: Any, made: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": made}


def usage(prompt: Any, made: Any) -> bytes:
    return event({"choices": [], "usage": used(prompt, made)})


def counted(text: str, prompt: int, made: int) -> bytes:
    """A piece of the text with a usage beside it."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return event({"choices": [choice], "usage": {"prompt_tokens": prompt, "completion_tokens": made}})


def numbered(count: int, **delta: Any) -> bytes:
    """An event with a piece of so many answers."""
    return event({"choices": [{"index": number, "delta": delta} for number in range(count)]})


def refused(status: int, body: bytes = b"", *headers: bytes) -> tuple[bytes, ...]:
    lines = b"".join(b"%s\r\n" % header for header in headers)
    said = body or b'{"error":{"message":"%s/models Traceback"}}' % SECRET.encode()
    return (b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n%s\r\n" % (status, len(said), lines), said)


LINES = "Hello\u2028\u2029\x85 you"
STOP = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
ONE = says("Hello")
MORE = says(" you")
USAGE = usage(1, 2)
WHOLE = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello you"}, "finish_reason": "stop"}]}
COUNTED = {**WHOLE, "usage": used(1, 2)}


def message(content: Any, **said: Any) -> dict[str, Any]:
    """An answer in one piece that says something else beside its content, and counts it as two tokens."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **said}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": used(1, 2)}


UNCOUNTED = None
"""Of a prompt that the engine does not count: a token for four bytes."""


@dataclass(frozen=True)
class Fault:
    """What an engine sends, and the status of the call, the text that is told and the tokens that are paid."""

    sent: tuple[bytes, ...]
    status: int = 200
    text: str = "Hello you"
    paid: tuple[int | None, int] | None = (1, 2)
    stream: bool = True
    reads_late: bool = False
    """Whether its caller reads the first event and then nothing before the run has ended."""
    or_lost: bool = False
    """Whether what came before is lost with it where its daemon read both at once."""

    def tokens_of(self, prompt: str) -> tuple[int | None, int | None]:
        """What is paid of a call with that prompt."""
        if self.paid is None:
            return None, None
        counted, made = self.paid
        return (-(-len(prompt) // 4) if counted is UNCOUNTED else counted), made


def whole(value: Any, **of: Any) -> Fault:
    return Fault((JSON, value if isinstance(value, bytes) else json.dumps(value).encode()), stream=False, **of)


def told(*sent: bytes, **of: Any) -> Fault:
    return Fault((SSE, *sent), **of)


GUESS = (UNCOUNTED, 2)
"""What is paid where the engine counts nothing: a token a piece, and of the prompt one for four bytes."""
LOST: dict[str, Any] = {"status": 503, "text": "", "paid": None}
BROKEN: dict[str, Any] = {"text": "Hello", "paid": None}

FAULTS: dict[str, Fault] = {
    # It ends before it should.
    "ends before a status": Fault((), **LOST),
    "ends within the headers": Fault((b"HTTP/1.1 200 OK\r\ncontent-ty",), **LOST),
    "ends after the headers": told(**LOST),
    "ends after a token": told(ONE, **BROKEN),
    "ends within an event": told(ONE, MORE[:20], **BROKEN),
    "ends within a chunk": Fault((CHUNKED, b"%x\r\n%s\r\n" % (len(ONE), ONE), b"ff\r\ndata"), **BROKEN),
    "ends after finish_reason": told(ONE, MORE, STOP, paid=GUESS),
    "breaks after finish_reason": Fault(
        (CHUNKED, *(b"%x\r\n%s\r\n" % (len(each), each) for each in (ONE, MORE, STOP))), paid=GUESS
    ),
    "ends within JSON": whole(b'{"choices": [', **LOST),
    # It says what is no answer.
    "garbage": Fault((b"\x00\xff garbage\r\n\r\n",), **LOST),
    "garbage in a stream": told(ONE, b"data: {garbage}\n\n", **BROKEN),
    "HTML": Fault((BODY % b"text/html", b"<html>%s</html>" % SECRET.encode()), **LOST),
    "JSON is a list": whole([], **LOST),
    "JSON is null": whole(None, **LOST),
    "JSON without an answer": whole({"object": "x"}, **LOST),
    "an empty stream": told(DONE, **LOST),
    "too deep": told(ONE, b"data: %s\n\n" % (b"[" * 100_000), **BROKEN),
    "an error in the stream": told(event({"error": {"message": SECRET}}), **LOST),
    "an error after a token": told(ONE, event({"error": {"message": SECRET}}), **BROKEN),
    "an error with status 400": told(event({"error": {"message": "no", "code": 400}}), **{**LOST, "status": 400}),
    "a text as an error": told(ONE, b'data: "CUDA error"\n\n', **BROKEN),
    # It says the answer in another way.
    "another content type": Fault((BODY % b"text/plain", ONE, MORE, STOP, USAGE, DONE)),
    "no content type": Fault((b"HTTP/1.1 200 OK\r\n\r\n", ONE, MORE, STOP, USAGE, DONE)),
    "JSON for a stream": Fault((JSON, json.dumps(COUNTED).encode())),
    "a stream for JSON": told(ONE, MORE, STOP, USAGE, DONE, stream=False),
    "JSON called a text": Fault((BODY % b"text/plain", json.dumps(COUNTED).encode()), stream=False),
    "a stream called JSON": Fault((JSON, ONE, MORE, STOP, USAGE, DONE)),
    "early hints": Fault((b"HTTP/1.1 103 Early Hints\r\n\r\n", SSE, ONE, MORE, STOP, USAGE, DONE)),
    "no [DONE]": told(ONE, MORE, STOP, USAGE),
    "no finish_reason": told(ONE, MORE, USAGE, DONE),
    "several [DONE]": told(ONE, MORE, STOP, USAGE, DONE, DONE, DONE),
    "more after [DONE]": told(ONE, MORE, STOP, USAGE, DONE, says("!"), b"garbage"),
    "stays after [DONE]": told(ONE, MORE, STOP, USAGE, DONE, STAYS),
    "stays after finish_reason": told(ONE, MORE, STOP, STAYS, paid=GUESS),
    "more after finish_reason": told(ONE, MORE, STOP, says("!"), USAGE, DONE, text="Hello you!"),
    "answers without end": told(ONE, numbered(3_000, content=" you"), STOP, USAGE, DONE),
    "tools without end": told(
        ONE, numbered(1, tool_calls=[{"index": place, "function": {"name": "f"}} for place in range(40_000)]), **BROKEN
    ),
    "no choices": told(event({}), ONE, event({"choices": []}), event({"choices": None}), MORE, STOP, USAGE, DONE),
    "odd choices": told(
        event({"choices": [None, 1, "a", {}]}), ONE, event({"choices": {"a": 1}}), MORE, STOP, USAGE, DONE
    ),
    "odd indices": told(says("", index="x"), ONE, says("", index=-1), says("", index=1e9), MORE, STOP, USAGE, DONE),
    "odd deltas": told(
        event({"choices": [{"delta": None}, {"delta": "x"}, {"delta": [1]}]}), ONE, MORE, STOP, USAGE, DONE
    ),
    "invalid UTF-8": told(says("Hello~").replace(b"~", b"\xff"), MORE, STOP, USAGE, DONE, text="Hello\ufffd you"),
    "half a character": told(says("Hello\ud83d"), MORE, STOP, USAGE, DONE, text="Hello\ufffd you"),
    "a character in two chunks": told(says("Hello\ud83d"), says("\ude00"), STOP, USAGE, DONE, text="Hello\U0001f600"),
    "lines that are none": told(says(LINES, raw=True), STOP, USAGE, DONE, text=LINES),
    "half a character in JSON": whole(
        json.dumps(COUNTED).replace("lo you", "lo\\ud83d you").encode(), text="Hello\ufffd you"
    ),
    "a key twice": told(ONE, b'data: {"id":1,"id":2,"choices":[]}\n\n', MORE, STOP, USAGE, DONE),
    "a long line": told(ONE, b": " + b"x" * 3_000_000 + b"\n", MORE, STOP, USAGE, DONE),
    "a line of 3 MB": told(ONE, says(" you", logprobs={"content": "x" * 3_000_000}), STOP, USAGE, DONE),
    "a word of 3 MB": told(ONE, says("x" * 3_000_000), STOP, USAGE, DONE, **BROKEN, or_lost=True),
    # More than is kept for a caller: what it missed is told of the result.
    "a slow reader": told(
        event({"id": "1", "choices": []}),
        *[says("a", logprobs={"content": "x" * 1_000_000})] * 14,
        STOP,
        usage(1, 14),
        DONE,
        text="a" * 14,
        paid=(1, 14),
        reads_late=True,
    ),
    "endless": told(ONE, *(b": " + b"x" * 5_000_000 + b"\n",) * 14, **BROKEN),
    "an answer of many lines": whole(b'{"choices":[\n' + b" " * 7_000_000 + b"\n" + b" " * 7_000_000 + b"\n]}", **LOST),
    "an endless line": told(ONE, b"data: " + b"x" * 9_000_000, **BROKEN),
    "more tokens than asked for": told(*[says("a")] * 200, text="a" * 21, paid=(7, 20)),
    "one event in two lines": told(ONE, MORE.replace(b'"delta"', b'\ndata: "delta"'), STOP, USAGE, DONE),
    "compressed": Fault((COMPRESSED, gzip.compress(b"".join((ONE, MORE, STOP, USAGE, DONE))))),
    "compressed JSON": Fault((COMPRESSED, zlib.compress(json.dumps(COUNTED).encode())), stream=False),
    "compressed without end": Fault((COMPRESSED, gzip.compress(b": " + b" " * 80_000_000)), **LOST),
    "compressed wrongly": Fault((COMPRESSED, b"no gzip"), **LOST),
    "an error by its event": told(b'event: error\ndata: {"message":"%s"}\n\n' % SECRET.encode(), **LOST),
    "an error by its field": told(ONE, b'error: {"message":"%s"}\n\n' % SECRET.encode(), **BROKEN),
    "an error with its status as text": told(
        event({"error": {"message": "no", "code": "400"}}), **{**LOST, "status": 400}
    ),
    "an error by its type": told(
        event({"error": {"message": "no", "type": "BadRequestError"}}), **{**LOST, "status": 400}
    ),
    "too long by a code in JSON": whole({"error": {"code": "context_length_exceeded"}}, **{**LOST, "status": 400}),
    "a key that is wrong": whole(
        {"error": {"code": "invalid_api_key", "type": "invalid_request_error", "message": SECRET}}, **LOST
    ),
    "garbage after the text": told(ONE, MORE, STOP, USAGE, b"data: [done]\n\n"),
    "an error after the text": told(ONE, MORE, STOP, USAGE, event({"error": {"message": SECRET}})),
    "a message that is null": whole({"choices": [{"index": 0, "message": None}]}, **LOST),
    # It says it in other keys, of which one event has as many bytes as the tokens that are counted.
    "a function called": told(
        numbered(1, function_call={"name": "find", "arguments": "{"}),
        numbered(1, function_call={"arguments": "}"}),
        event({"choices": [{"index": 0, "delta": {}, "finish_reason": "function_call"}]}),
        DONE,
        text="",
        paid=GUESS,
    ),
    "sound": whole(message(None, audio={"data": "UklGRg==", "transcript": "Hello you"}), text="", paid=(1, 2)),
    "thinking beside the text": whole(message("Hello you", thinking="x" * 9), paid=(1, 2)),
    # It counts wrong.
    "usage below zero in JSON": whole({**WHOLE, "usage": used(-1, -2)}, paid=(UNCOUNTED, 3)),
    "usage as text in JSON": whole({**WHOLE, "usage": used("1", "2")}, paid=(UNCOUNTED, 3)),
    "usage of 10^30 in JSON": whole({**WHOLE, "usage": used(10**30, 10**30)}, paid=(UNCOUNTED, 3)),
    "no usage": told(ONE, MORE, STOP, DONE, paid=GUESS),
    "no usage in JSON": whole(WHOLE, paid=(UNCOUNTED, 3)),
    "usage is null": told(ONE, MORE, STOP, event({"choices": [], "usage": None}), DONE, paid=GUESS),
    "usage is a list": told(ONE, MORE, STOP, event({"choices": [], "usage": [1]}), DONE, paid=GUESS),
    "usage below zero": told(ONE, MORE, STOP, usage(-1, -2), DONE, paid=GUESS),
    "usage in fractions": told(ONE, MORE, STOP, usage(1.5, 2.5), DONE, paid=GUESS),
    "usage in every chunk": told(counted("Hello", 1, 1), counted(" you", 1, 2), STOP, DONE),
    "usage of each chunk": told(counted("Hello", 1, 1), counted(" you", 1, 1), STOP, DONE, paid=(1, 1)),
    "usage that shrinks below zero": told(ONE, MORE, STOP, USAGE, usage(-5, -5), DONE, paid=GUESS),
    "usage as text": told(ONE, MORE, STOP, usage("1", "2"), DONE, paid=GUESS),
    "usage as truth": told(ONE, MORE, STOP, usage(True, True), DONE, paid=GUESS),
    "usage of 1e308": told(ONE, MORE, STOP, usage(1e308, 1e308), DONE, paid=GUESS),
    "usage of 1e400": told(ONE, MORE, STOP, USAGE.replace(b"2", b"1e400"), DONE),
    "usage of 10^30": told(ONE, MORE, STOP, usage(10**30, 10**30), DONE, paid=GUESS),
    "usage beyond what was said": told(ONE, MORE, STOP, usage(1000, 1000), DONE, paid=(26, 9)),
    # It refuses.
    **{
        f"status {status}": Fault(
            refused(status), **{**LOST, "status": status if status in (400, 413, 422, 429) else 503}
        )
        for status in (201, 204, 302, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503)
    },
    "429 at an impossible time": Fault(
        refused(429, b"", b"retry-after: Mon, 01 Jan 2024 00:00:00 +99999999999999999"), **{**LOST, "status": 429}
    ),
}

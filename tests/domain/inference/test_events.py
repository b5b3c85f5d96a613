"""Events as daemons send them: what cannot be counted or written again is no event."""

import json

import pytest

from dc1.domain.inference.events import AnswerEvent

DEEP = b"[" * 900 + b"]" * 900


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"choices":[{"delta":{"content":"\\ud800"}}]}',
        b'{"choices":[{"delta":{"content":"\\uDE00"}}]}',
        b'{"\\ud83d":1}',
        b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":' + DEEP + b"}}]}}]}",
        b'{"usage":{"a":' + DEEP + b"}}",
        b'{"usage":{"completion_tokens":1e400}}',
        b'{"id":1,"id":2}',
    ],
)
def test_what_no_reader_could_take_is_no_event(sent: bytes) -> None:
    assert AnswerEvent.read(sent) is None


def test_characters_in_escapes_are_text() -> None:
    event = AnswerEvent.read(b'{"choices":[{"delta":{"content":"\\ud83d\\ude00 \\\\ud83d"}}]}')
    assert event is not None
    assert event.content() == "😀 \\ud83d"


@pytest.mark.parametrize(
    ("text", "reason", "tokens"), [("word " * 100, "stop", 125), ("word", "stop", 1), ("a" * 9, None, 1)]
)
def test_a_text_in_one_piece_that_nobody_counted_is_more_than_a_token(
    text: str, reason: str | None, tokens: int
) -> None:
    said = {"choices": [{"index": 0, "text": text, "finish_reason": reason}]}
    event = AnswerEvent.read(json.dumps(said).encode())
    assert event is not None
    assert event.made() == (text, tokens)


def test_a_whole_within_an_event_may_name_a_key_twice() -> None:
    event = AnswerEvent.read(b'{"type":"message_start","message":{"id":"a","model":"b","id":"c","x":1}}')
    assert event is not None
    assert json.loads(event.told(id="job-1"))["message"] == {"id": "job-1", "model": "b", "x": 1}


@pytest.mark.parametrize("kind", [[], {}, 5, None, "unheard of"])
def test_an_event_of_any_type_costs_nobody_else_anything(kind: object) -> None:
    event = AnswerEvent.read(json.dumps({"type": kind, "delta": kind, "response": {"usage": kind}}).encode())
    assert event is not None
    assert not event.is_end
    assert event.made()[0] == (kind if isinstance(kind, str) else "")
    assert json.loads(event.told(id="job-1"))["type"] == kind


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"function_call": {"name": "find", "arguments": "{}"}}, "find{}"),
        ({"tool_calls": [{"function": {"name": "find", "arguments": {"q": 1}}}]}, 'find{"q":1}'),
        ({"content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": " you"}]}, "Hi you"),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]}, "Hm"),
        ({"content": "Hi", "thinking": "Hm"}, "HiHm"),
        ({"content": "Hi", "reasoning": "Hm", "reasoning_details": [{"text": "Hm"}]}, "HiHm"),
        ({"content": "", "reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]}, "Hm"),
        ({"content": "Hi", "reasoning_content": 5, "reasoning": "Hm"}, "HiHm"),
        ({"content": None, "audio": {"data": "UklGRg==", "transcript": "Hello"}}, "Hello"),
        ({"audio": {"data": "UklGRg=="}}, "UklGRg=="),
        ({"content": 5, "refusal": ["No"], "audio": "x", "function_call": [], "tool_calls": {}}, "No"),
    ],
)
@pytest.mark.parametrize("key", ["delta", "message"])
def test_whatever_a_model_made_is_paid_in_whatever_words_it_is_said(
    said: dict[str, object], text: str, key: str
) -> None:
    event = AnswerEvent.read(json.dumps({"choices": [{"index": 0, key: said}]}).encode())
    assert event is not None
    assert event.made() == (text, 1 if key == "delta" else -(-len(text) // 4))


@pytest.mark.parametrize("content", ["Hi", [{"type": "text", "text": "H"}, {"thinking": "Hm"}, 5, {"text": "i"}]])
def test_a_text_in_parts_is_known_as_what_was_told(content: object) -> None:
    """Otherwise an answer of which a part was lost would be told all over again."""
    event = AnswerEvent.read(json.dumps({"choices": [{"index": 0, "delta": {"content": content}}]}).encode())
    assert event is not None
    assert event.content() == "Hi"


@pytest.mark.parametrize("counted", [-5, 5.5, 5.0, "5", True, 10**30, 0, None])
def test_what_is_no_count_is_taken_for_none(counted: object) -> None:
    said = {"choices": [{"message": {"content": "a" * 9}}], "usage": {"completion_tokens": counted}}
    event = AnswerEvent.read(json.dumps(said).encode())
    assert event is not None
    assert event.made()[1] == 3

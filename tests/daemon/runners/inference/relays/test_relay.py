"""What an engine says reaches the caller as it was said, in whatever pieces it comes."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc1.daemon.runners.base import EngineCall, RunFailed
from dc1.daemon.runners.inference.event_stream import EventReader
from dc1.daemon.runners.inference.relays.relay import EventRelay
from dc1.domain.base.json_types import objects as objects_of
from dc1.domain.inference.events import AnswerEvent
from tests.daemon.runners.inference.json_texts import VALUES, ObjectText, objects

NAMES = {"id": VALUES, "model": VALUES}
ONE_WHOLE = '[{"index": 0, "message": {"role": "assistant"}}]'
LAST = '{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}'
ENDS = st.sampled_from(["\n", "\r", "\r\n"])
EMOJI = '{"choices":[{"index":0,"delta":{"content":"%s"}}]}'


def relayed(pieces: list[bytes], content_type: str, *, stream: bool, n: int = 1) -> tuple[list[str], str]:
    """The events and the text that a daemon tells of an answer in these pieces."""
    events: list[str] = []
    texts: list[str] = []

    async def told(event: str, text: str, _: bool) -> None:
        events.append(event)
        texts.append(text)

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def read() -> None:
        call = EngineCall("/v1/chat/completions", json.dumps({"messages": [], "stream": stream, "n": n}), 0)
        relay = EventRelay(call, "m", told)
        reader = EventReader(body(), content_type)
        async for event in reader.events():
            await relay.take(event)
        await relay.end()

    asyncio.run(read())
    return [event for event in events if event], "".join(texts)


def cut(data: st.DataObject, text: str) -> list[bytes]:
    """The bytes of a text in pieces that end anywhere, also in the midst of a character."""
    said = text.encode()
    at = sorted(data.draw(st.sets(st.integers(0, len(said)), max_size=12)) | {0, len(said)})
    return [said[start:end] for start, end in itertools.pairwise(at)]


def for_caller(event: str) -> str:
    read = AnswerEvent.read(event.encode())
    assert read is not None
    return read.told(id="job-1", model="ours")


@settings(max_examples=40)
@given(st.lists(objects(NAMES | {"choices": VALUES}), max_size=4), st.data())
def test_events_pass_as_they_are(said: list[ObjectText], data: st.DataObject) -> None:
    stream = "".join(
        data.draw(st.sampled_from(["", ": ping\n", "event: x\r\n", "\n", "id: 7\r"]))
        + data.draw(st.sampled_from(["data: ", "data:"]))
        + each.text
        + 2 * data.draw(ENDS)
        for each in said
    )
    end = data.draw(
        st.sampled_from(["data: [DONE]\n\n", "data:[DONE]", "data: [DONE]\r\rdata: [DONE]\r\rdata: {}\r\r"])
    )
    stream += f"data: {LAST}\n\n{end}"
    events, _ = relayed(cut(data, stream), "text/event-stream", stream=True)
    assert events[-1] == LAST
    for event, each in zip(events[:-1], said, strict=True):
        value = json.loads(each.text)
        choices = value.get("choices")
        if isinstance(choices, list) and not objects_of(choices):
            assert event == each.text
            assert for_caller(event) == each.changed({"id": '"job-1"', "model": '"ours"'})
        else:
            # Readers look into the list of every chunk, at what each choice of it adds, and to which answer.
            told = json.loads(event)
            assert {**told, "choices": None} == {**value, "choices": None}
            assert all(isinstance(choice["delta"], dict) for choice in objects_of(told["choices"]))


@settings(max_examples=40)
@given(objects(NAMES | {"choices": st.just(ONE_WHOLE)}, st.text(" \n", max_size=2)), st.data())
def test_a_whole_answer_passes_as_it_is(said: ObjectText, data: st.DataObject) -> None:
    pieces = cut(data, said.text)
    kind = data.draw(st.sampled_from(["application/json", "text/plain", "text/event-stream"]))
    if "choices" not in said.keys:
        with pytest.raises(RunFailed, match="gave no answer"):
            relayed(pieces, kind, stream=False)
        return
    events, _ = relayed(pieces, kind, stream=False)
    assert events == [said.text]
    assert for_caller(events[0]) == said.changed({"id": '"job-1"', "model": '"ours"'}).replace("\n", " ")


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("😀🌍\u2028NaN"), min_size=1), st.data())
def test_characters_in_halves_are_joined(text: str, data: st.DataObject) -> None:
    escaped = "".join(f"\\u{unit:04x}" for unit in memoryview(text.encode("utf-16-le")).cast("H"))
    # Between any two escapes.
    at = sorted({6 * data.draw(st.integers(0, len(escaped) // 6)) for _ in range(4)} | {0, len(escaped)})
    pieces = [EMOJI % escaped[start:end] for start, end in itertools.pairwise(at)]
    stream = "".join(f"data: {piece}\n\n" for piece in pieces) + "data: [DONE]\n\n"
    events, heard = relayed(cut(data, stream), "text/event-stream", stream=True)
    read = [AnswerEvent.read(event.encode()) for event in events]
    assert "".join(event.content() for event in read if event is not None) == heard == text
    assert None not in read


def test_what_stands_beside_half_a_character_stays() -> None:
    said = '{"zz":12345678901234567890,"deep":%s,"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}' % (
        "[" * 40 + "]" * 40
    )
    after = '{"aa": 1.0, "zz":12345678901234567890,"choices":[{"index":0,"delta":{"content":"b"}}]}'
    frames = [f"data: {each}\n\n".encode() for each in (said, EMOJI % "\\ude00", after, "[DONE]")]
    events, text = relayed(frames, "text/event-stream", stream=True)
    assert text == "😀b"
    assert json.loads(events[0])["zz"] == 12345678901234567890
    assert json.loads(events[0])["deep"] == json.loads("[" * 40 + "]" * 40)
    assert events[-1] == after


def test_an_answer_begins_with_who_says_it() -> None:
    """The official client for Node takes no answer without, and llama.cpp leaves it out before an emoji."""
    said = [EMOJI % "\\ud83d", EMOJI % "\\ude00", EMOJI.replace('0,"delta"', '1,"delta"') % "b"]
    events, _ = relayed([f"data: {each}\n\n".encode() for each in said], "text/event-stream", stream=True, n=2)
    roles = [json.loads(event)["choices"][0]["delta"].get("role") for event in events]
    assert roles == ["assistant", None, "assistant"]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_text_may_have_the_words_that_json_has_not(word: str) -> None:
    said = '{"a": 1.00, "choices":[{"index":0,"delta":{"role":"assistant","content":"WORD"}}]}'.replace("WORD", word)
    events, _ = relayed([f"data: {said}\n\n".encode()], "text/event-stream", stream=True)
    assert events == [said]


def test_half_a_character_in_a_whole_answer_is_one_that_every_reader_takes() -> None:
    said = (
        b'{"zz":12345678901234567890,"choices":[{"index":0,"message":{"content":"a\\ud83d"},"finish_reason":"length"}]}'
    )
    events, _ = relayed([said], "application/json", stream=False)
    read = AnswerEvent.read(events[0].encode())
    assert read is not None
    assert read.content() == "a\ufffd"
    assert '"zz":12345678901234567890,' in read.text


@pytest.mark.parametrize(
    "values",
    [b'"%s"' % (b"\xff" * 3_000_000), b"[NaN%s]" % (b",1e15" * 500_000), b"1\n%s" % ((b" " * 5_000_000 + b"\n") * 2)],
)
def test_an_event_that_grows_is_never_larger_than_the_stream_takes(values: bytes) -> None:
    pieces = [b'{"choices":%s,"a":%s}' % (ONE_WHOLE.encode(), values)]
    with pytest.raises(RunFailed, match="more than an answer"):
        relayed(pieces, "application/json", stream=False)


def frames(*said: str) -> list[bytes]:
    return [f"data: {each}\n\n".encode() for each in (*said, LAST, "[DONE]")]


@pytest.mark.parametrize(
    "said", ['"message":{"content":"Hi"}', '"text":"Hi"', '"delta":null,"message":{"content":"Hi"}']
)
def test_a_chunk_says_what_it_adds_where_readers_look_for_it(said: str) -> None:
    events, text = relayed(frames(f'{{"choices":[{{"index":0,{said}}}]}}'), "text/event-stream", stream=True)
    assert text == "Hi"
    assert json.loads(events[0])["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}}]


def test_a_choice_that_adds_nothing_has_a_delta_all_the_same() -> None:
    """Readers look for its content without asking whether there is one."""
    events, _ = relayed(frames('{"choices":[{"index":0,"delta":null}]}'), "text/event-stream", stream=True)
    assert json.loads(events[0])["choices"] == [{"index": 0, "delta": {}}]


def test_a_value_in_several_lines_is_one_event() -> None:
    lines = json.dumps(json.loads(EMOJI % "Hi"), indent=1).replace("\n", "\ndata: ")
    events, text = relayed(frames(lines), "text/event-stream", stream=True)
    assert (len(events), text) == (2, "Hi")


async def test_a_value_in_several_lines_is_no_larger_than_one_in_a_line() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'data: {"a":[\n'
        for _ in range(3):
            yield b'data: "%s",\n' % (b"x" * 3_000_000)
        yield b"data: 1]}\n\n"

    with pytest.raises(RunFailed, match="more than an answer"):
        await anext(EventReader(body()).events())


@pytest.mark.parametrize(
    "said",
    [
        'event: error\ndata: {"message":"boom","code":500}\n\n',
        'error: {"code":500,"message":"boom"}\n\n',
        'event: error\ndata: {"detail":"boom"}\n\n',
        "data: {garbage}\ndata: [DONE]\n\n",
        "data: {garbage}\ndata: {}\n\n",
        "data: {garbage}",
    ],
)
def test_what_is_called_an_error_or_is_no_json_fails_the_answer(said: str) -> None:
    first = f"data: {EMOJI % 'Hi'}\n\n"
    with pytest.raises(RunFailed):
        relayed([first.encode(), said.encode()], "text/event-stream", stream=True)


def piece(**said: object) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [said]}}]})


def test_every_call_of_a_tool_in_a_stream_has_an_id_and_a_type() -> None:
    """Vercel's AI SDK takes none without, and what comes of a call is told by its id."""
    said = (
        piece(index=0, function={"name": "find", "arguments": ""}),
        piece(index=0, id="late", function={"arguments": "{}"}),
        piece(index=1, id="c1", type="function", function={"name": "list", "arguments": {"a": 1}}),
        piece(index=2, id="", type="function", function={"name": "put", "arguments": "{}"}),
    )
    events, _ = relayed(frames(*said), "text/event-stream", stream=True)
    (first,), (late,), (whole,), (last,) = (
        json.loads(each)["choices"][0]["delta"]["tool_calls"] for each in events[:-1]
    )
    assert first["id"]
    assert last["id"]
    assert first["id"] != last["id"]
    assert first["type"] == "function"
    assert "id" not in late
    assert (whole["id"], whole["function"]["arguments"]) == ("c1", '{"a":1}')


def test_a_call_without_arguments_has_an_empty_object_of_them() -> None:
    """Clients take a call of a tool for whole once its arguments can be read, and no text is no JSON."""
    said = (
        piece(index=0, id="c0", type="function", function={"name": "list", "arguments": ""}),
        piece(index=1, id="c1", type="function", function={"name": "find", "arguments": "{}"}),
        piece(index=2, id="c2", type="function", function={"name": "list", "arguments": None}),
    )
    events, _ = relayed(frames(*said), "text/event-stream", stream=True)
    (choice,) = json.loads(events[-1])["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["delta"]["tool_calls"] == [
        {"index": 0, "function": {"arguments": "{}"}},
        {"index": 2, "function": {"arguments": "{}"}},
    ]


@pytest.mark.parametrize("arguments", ["", None, " "])
def test_it_has_them_once_whenever_the_engine_says_that_the_answer_ends(arguments: str | None) -> None:
    """Some say it with the call, and some once more with the usage."""
    call = piece(index=0, id="c0", type="function", function={"name": "list", "arguments": arguments})
    ended = json.loads(call)
    ended["choices"][0]["finish_reason"] = "tool_calls"
    for said in ([call, LAST], [json.dumps(ended)]):
        events, _ = relayed(frames(*said), "text/event-stream", stream=True)
        pieces = [each for event in events for each in json.loads(event)["choices"][0]["delta"].get("tool_calls", ())]
        assert {each["index"] for each in pieces} == {0}
        assert "".join(each["function"]["arguments"] or "" for each in pieces).strip() == "{}"


def test_calls_of_tools_in_one_piece_are_as_clients_read_them() -> None:
    calls = [
        {"function": {"name": "find", "arguments": {"q": 1}}},
        {"id": None, "type": "function", "function": {"name": "find", "arguments": None}},
    ]
    said = {"choices": [{"index": 0, "message": {"content": None, "tool_calls": calls}, "finish_reason": "tool_calls"}]}
    (event,), _ = relayed([json.dumps(said).encode()], "application/json", stream=False)
    message = json.loads(event)["choices"][0]["message"]
    assert message["role"] == "assistant"
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == ['{"q":1}', "{}"]
    assert [call["type"] for call in message["tool_calls"]] == ["function", "function"]
    assert len({call["id"] for call in message["tool_calls"]} - {None, ""}) == 2


@pytest.mark.parametrize("message", ["null", '"Hello"', "{}"])
def test_an_answer_without_a_message_is_none(message: str) -> None:
    said = b'{"choices":[{"index":0,"message":%s,"finish_reason":"stop"}]}' % message.encode()
    with pytest.raises(RunFailed, match="gave no answer"):
        relayed([said], "application/json", stream=False)


@pytest.mark.parametrize(
    "between", [":", ": still there", "data:", "data: ", "id: 7", "retry: 5", "event: chunk", "odd"]
)
def test_what_stands_between_the_lines_of_an_event_does_not_end_it(between: str) -> None:
    said = f'data: {{"choices":\n{between}\ndata: [{{"index":0,"delta":{{"content":"Hi"}}}}]}}\n\ndata: {LAST}\n\ndata: [DONE]\n\n'
    events, text = relayed([said.encode()], "text/event-stream", stream=True)
    assert text == "Hi"
    assert len(events) == 2


def test_an_event_of_several_lines_is_bounded_with_them() -> None:
    said = b'data: {"choices":\n' + b"data:\n" * (8 * 1024 * 1024)
    with pytest.raises(RunFailed, match="more than an answer"):
        relayed([said], "text/event-stream", stream=True)


ODD = '{"choices":[{%s"delta":%s}]}'


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (ODD % ("", '{"content":"Hi"}'), {"content": "Hi"}),
        (ODD % ('"index":0.0,', '{"content":"Hi"}'), {"content": "Hi"}),
        (ODD % ('"index":"0",', '{"content":"Hi"}'), {"content": "Hi"}),
        (ODD % ('"index":0,', '{"content":5}'), {"content": "5"}),
        (ODD % ('"index":0,', '{"content":{"text":"Hi"}}'), {"content": "Hi"}),
        (ODD % ('"index":0,', '{"content":"a\tb\x0bc"}'), {"content": "a\tb\x0bc"}),
        (ODD % ('"index":0,', '{"tool_calls":"x"}'), {"tool_calls": []}),
        (ODD % ('"index":0,', '{"tool_calls":{"id":"c","function":{"name":"f","arguments":"{}"}}}'), {"tool_calls": 1}),
    ],
)
def test_what_no_reader_could_add_up_is_made_such(said: str, told: dict[str, object]) -> None:
    stream = f"data: {said}\n\ndata: {LAST}\n\ndata: [DONE]\n\n"
    events, _ = relayed([stream.encode()], "text/event-stream", stream=True)
    (choice,) = json.loads(events[0])["choices"]
    assert type(choice["index"]) is int
    for name, value in told.items():
        assert choice["delta"][name] == value or len(choice["delta"][name]) == value


@pytest.mark.parametrize(
    ("numbers", "told"), [((0, 1, 2, 3), "abcd"), ((1, 2, 3, 4), "abcd"), ((0, 0, 1, 0), "abd"), ((0, 2, 0, 2), "ac")]
)
def test_an_engine_may_number_its_chunks(numbers: tuple[int, ...], told: str) -> None:
    chunks = [
        json.dumps({"choices": [{"index": number, "delta": {"content": text}}]})
        for number, text in zip(numbers, "abcd", strict=True)
    ]
    events, text = relayed([f"data: {each}\n\n".encode() for each in chunks], "text/event-stream", stream=True)
    assert text == told
    assert {choice["index"] for event in events for choice in json.loads(event)["choices"]} == {0}


@pytest.mark.parametrize("said", ['"delta":{"content":"Hi"}', '"text":"Hi"'])
def test_an_answer_in_one_piece_is_a_message(said: str) -> None:
    events, _ = relayed([f'{{"choices":[{{"index":0,{said}}}]}}'.encode()], "application/json", stream=False)
    assert json.loads(events[0])["choices"][0]["message"] == {"role": "assistant", "content": "Hi"}


def test_half_a_character_comes_before_the_end() -> None:
    pieces = [EMOJI % "a\\ud83d", LAST, "[DONE]"]
    events, text = relayed([f"data: {each}\n\n".encode() for each in pieces], "text/event-stream", stream=True)
    said = [json.loads(event)["choices"][0] for event in events]
    assert [each["delta"].get("content") for each in said] == ["a", "\ufffd"]
    assert [each.get("finish_reason") for each in said] == [None, "stop"]
    assert text == "a\ufffd"

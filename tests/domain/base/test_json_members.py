"""Objects as text: what is changed is changed, and all else stays byte for byte."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc1.domain.base.json_members import members, spliced
from dc1.domain.base.json_types import JsonObject, parse_strictly
from tests.daemon.runners.inference.json_texts import VALUES, ObjectText, objects

SPACE = st.text(" \t\r\n", max_size=3)


@settings(max_examples=50)
@given(objects({"model": VALUES, "stream_options": VALUES}, SPACE), SPACE, SPACE)
def test_only_what_is_changed_changes(whole: ObjectText, before: str, after: str) -> None:
    text = f"{before}{whole.text}{after}"
    changes: JsonObject = {"model": "acme/بحر", "stream_options": {"include_usage": True}}
    expected = whole.changed({"model": '"acme/بحر"', "stream_options": '{"include_usage":true}'})
    assert spliced(text, changes) == f"{before}{expected}{after}"
    assert list(members(text)) == list(json.loads(text))


@settings(max_examples=50)
@given(objects({"model": VALUES}, SPACE))
def test_members_are_what_any_reader_finds(whole: ObjectText) -> None:
    assert {key: member.value for key, member in members(whole.text).items()} == parse_strictly(whole.text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "[]",
        "{",
        '{"a"',
        '{"a":',
        '{"a":1',
        '{"a":1,',
        '{"a":1,}',
        "{}{}",
        "{} x",
        "{1:2}",
        '{"a" 1}',
        '{"a":1 "b":2}',
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":1e400}',
        '{"a":[1e400]}',
        '{"a":' + "1" * 5000 + "}",
        '{"model":1,"model":2}',
        '{"model":1,"mod\\u0065l":2}',
        '{"a":' + "[" * 100_000,
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        '\ufeff{"a":1}',
        '{"a":"\n"}',
        '\xa0{"a":1}',
    ],
)
def test_what_readers_read_differently_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        members(text)


@pytest.mark.parametrize("text", ['{"a":{"url":1,"url":2}}', '{"a":[{"b":[{"x":1,"\\u0078":2}]}]}'])
def test_a_key_that_an_object_within_names_twice_is_found_where_it_matters(text: str) -> None:
    """Of two addresses of a tool one was judged, and an engine may have taken the other."""
    assert members(text)
    with pytest.raises(ValueError, match="twice"):
        members(text, strict=True)
    assert members('{"a":{"b":1},"c":{"b":2}}', strict=True)["c"].value == {"b": 2}

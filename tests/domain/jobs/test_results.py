"""Results of daemons."""

import base64
import json

import pytest

from dc1.domain.base.json_types import JsonValue
from dc1.domain.jobs.results import (
    MAX_RESULT_VALUES,
    ResultType,
    image_bytes,
    image_format,
    parse_result,
    response_text,
    result_type,
    stored_image_format,
)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"response": "ok"}, {"response": "ok"}),
        ("plain text", "plain text"),
        ('{"response":"ok"}', {"response": "ok"}),
        ('log\nDC1_RESULT_JSON:{"a":1}\nmore', {"a": 1}),
        ('DC1_RESULT_JSON: {"a":1}\nDC1_RESULT_JSON: {"a":2}', {"a": 2}),
        ("DC1_RESULT_JSON:{broken", "DC1_RESULT_JSON:{broken"),
        ("  DC1_RESULT_JSON:{}", "  DC1_RESULT_JSON:{}"),
        ("[" * 100_000, "[" * 100_000),
        ('{"a":NaN}', '{"a":NaN}'),
        ('{"a":1e999}', '{"a":1e999}'),
        ('{"a":"\\ud800"}', '{"a":"\\ud800"}'),
        ('{"a":12345678901234567890}', {"a": 1.2345678901234567e19}),
        ("42", "42"),
        ([1, 2.5, {"a": "é"}], '[1,2.5,{"a":"é"}]'),
        (True, "true"),
        ("DC1_RESULT_JSON:[1]", "[1]"),
        (None, None),
    ],
)
def test_parsing(sent: JsonValue, expected: JsonValue) -> None:
    assert parse_result(sent) == expected


@pytest.mark.parametrize(
    ("result", "kind", "text"),
    [
        ("hello", ResultType.TEXT, "hello"),
        ({"type": "text", "response": "hi"}, ResultType.TEXT, "hi"),
        ({"type": "text", "output": "hi"}, ResultType.TEXT, "hi"),
        ({"response": 5}, ResultType.TEXT, ""),
        ({"type": "image", "image_base64": "aGk="}, ResultType.IMAGE, ""),
        ({"gflops": 12}, ResultType.OTHER, ""),
        ([1], ResultType.OTHER, ""),
        (None, ResultType.OTHER, ""),
    ],
)
def test_kinds(result: JsonValue, kind: ResultType, text: str) -> None:
    assert result_type(result) is kind
    assert response_text(result) == text


def test_images() -> None:
    encoded = base64.b64encode(b"\x89PNG").decode()
    assert image_bytes({"image_base64": encoded}) == b"\x89PNG"
    assert image_bytes({"image_base64": f"data:image/png;base64,{encoded}"}) == b"\x89PNG"
    assert image_bytes({"image_base64": "***"}) is None
    assert image_bytes({}) is None
    assert [image_format(name) for name in ("JPG", "jpeg", "png", "webp", "gif")] == [
        "jpeg",
        "jpeg",
        "png",
        "webp",
        None,
    ]
    assert stored_image_format({}) == stored_image_format({"format": "gif"}) == "png"
    assert stored_image_format({"format": "WEBP"}) == "webp"


def test_commas_in_texts_are_no_values() -> None:
    said = {"text": 'a,[{"' * MAX_RESULT_VALUES}
    assert parse_result(json.dumps(said)) == said
    many = json.dumps([0] * (MAX_RESULT_VALUES + 1))
    assert parse_result(f'{{"n":{many}}}') == f'{{"n":{many}}}'

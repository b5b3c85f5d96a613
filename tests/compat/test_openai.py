"""The official client for Python, in the version that the tests are developed with: its features, errors and habits."""

from typing import Any

import pytest

from tests.compat.clients import DEV, report
from tests.compat.conftest import PROMPT, Shop
from tests.compat.features import ECHO, wrong
from tests.faults.engine import MODEL as ABLE

LIMITS = [f"x-ratelimit-{which}-{what}" for which in ("limit", "remaining", "reset") for what in ("requests", "tokens")]
MEGABYTES = 3_000_000


@pytest.fixture(scope="module")
def said(shop: Shop, model: str) -> dict[str, Any]:
    """What the client told of each feature, once for all tests of an engine."""
    return report(DEV, "openai_calls.py", shop.env(model))


@pytest.fixture
def able(model: str) -> bool:
    return model == ABLE


def test_features(said: dict[str, Any], able: bool) -> None:
    paths = ("completion", "streamed_completion", "embeddings", "response", "streamed_response", "parsed_response")
    assert not wrong({name: said[name] for name in paths}, able)
    names = ("chat", "stream", "tools", "structured", "models", "parallel", "wrong_key", "unknown_model", "too_long")
    assert not wrong({name: said[name] for name in names}, able)
    assert said["left_early"]["text"]
    assert len(said["streamed_in_parallel"]["texts"]) == 20
    assert all(said["streamed_in_parallel"]["texts"])


def test_a_tool_that_must_be_called_is_called(said: dict[str, Any], able: bool) -> None:
    assert said["tools"]["finish_reason"] == "tool_calls"
    for (call,) in (said["tools"]["calls"], said["streamed_tools"]["calls"]):
        assert call["name"] == "get_weather"
        assert isinstance(call["args"]["city"], str)
    assert said["streamed_tools"]["joined"] == said["streamed_tools"]["calls"][0]["args"]


def test_several_answers_with_the_likelihood_of_each_token(said: dict[str, Any]) -> None:
    assert len(said["several"]["texts"]) == 2
    assert all(0 < count <= 24 for count in said["several"]["tokens"])


def test_what_an_answer_says_beside_itself(said: dict[str, Any]) -> None:
    headers = said["headers"]
    assert headers["_request_id"] == headers["x-request-id"]
    assert all(headers[name] for name in LIMITS)


def test_a_large_picture_is_seen_or_refused(said: dict[str, Any], able: bool) -> None:
    if able:
        assert said["picture"] == {"text": f"{ECHO} [a picture of {MEGABYTES} bytes]"}
    else:
        assert (said["picture"]["error"], said["picture"]["status"]) == ("BadRequestError", 400)


def test_sound_is_made_and_written_down_or_refused(said: dict[str, Any], able: bool) -> None:
    names = ("speech", "transcription", "transcribed_srt", "streamed_transcription")
    if not able:
        assert {said[name]["status"] for name in names} == {400}
        return
    words = "There are 500 seas in it"
    assert said["speech"] == {"bytes": len(PROMPT), "type": "audio/mpeg"}
    assert said["transcription"] == {"text": words, "tokens": 2}
    assert said["transcribed_srt"] == {"text": f"1\n00:00 --> 00:01\n{words}\n"}
    assert said["streamed_transcription"] == {"joined": words, "text": words}


@pytest.mark.parametrize(
    ("name", "error", "status", "code"),
    [
        ("rate_limited", "RateLimitError", 429, "rate_limit_exceeded"),
        ("wrong_key", "AuthenticationError", 401, "authentication_invalid_key"),
        ("unknown_model", "NotFoundError", 404, "model_not_found"),
        ("odd_value", "BadRequestError", 400, "invalid_request_error"),
        ("too_long", "BadRequestError", 400, "context_length_exceeded"),
        ("no_such_path", "NotFoundError", 404, "not_found"),
        ("time_out", "APITimeoutError", None, None),
    ],
)
def test_errors_are_those_of_the_client(
    said: dict[str, Any], name: str, error: str, status: int | None, code: str | None
) -> None:
    assert (said[name]["error"], said[name]["status"], said[name]["code"]) == (error, status, code)

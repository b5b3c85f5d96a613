"""Requests under /v1 that cannot be understood.

Refused in the OpenAI envelope, by the service or by the edge itself.
"""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.rest import Json
from tests.contract.expect import refused
from tests.contract.inference.chat import CHAT, HELLO, envelope

MIB = 1024 * 1024
FIND: Json = {"type": "function", "function": {"name": "find"}}


@pytest.fixture(scope="module")
def quiet_renter(quiet_market: LocalMarket) -> Renter:
    return quiet_market.add_renter()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Missing required fields: model, messages"),
        ({"model": " ", "messages": None}, "Missing required fields: model, messages"),
        ({"model": 5}, "model must be a string"),
        ({"model": "m" * 201}, "at most 200 characters"),
        ({"messages": []}, "messages must be an array of 1 to 1000 messages"),
        ({"messages": "Hi"}, "messages must be an array"),
        ({"messages": [{"role": "user", "content": "x"}] * 1001}, "messages must be an array of 1 to 1000"),
        ({"messages": ["Hi"]}, "messages.0 must be an object"),
        ({"messages": [{"role": "alien", "content": "x"}]}, "messages.0.role must be one of system"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages.0.role must be one of"),
        ({"messages": [{"role": "user"}]}, "messages.0.content must be a string or an array"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content must be"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content must be"),
        # Otherwise an engine works for an answer that is none, which nobody pays.
        ({"tool_choice": "required"}, "tool_choice must not be required without tools"),
        ({"tools": [], "tool_choice": {"type": "function", "function": {"name": "f"}}}, "must name one of tools"),
        ({"tools": [FIND], "tool_choice": {"type": "function", "function": {"name": "f"}}}, "must name one of tools"),
        ({"functions": [{"name": "g"}], "function_call": {"name": "f"}}, "must name one of functions"),
        ({"max_tokens": 0}, "max_tokens must be an integer from 1 to 8192"),
        ({"max_tokens": 8193}, "max_tokens must be"),
        ({"max_tokens": 1.5}, "max_tokens must be"),
        ({"max_tokens": True}, "max_tokens must be"),
        ({"max_completion_tokens": -1}, "max_completion_tokens must be"),
        ({"temperature": 2.1}, "temperature must be a number from 0 to 2"),
        ({"temperature": "hot"}, "temperature must be"),
        ({"stream": "yes"}, "stream must be true or false"),
        ({"n": 0}, "n must be an integer from 1 to 128"),
        ({"n": 129}, "n must be"),
    ],
)
def test_an_unusable_body(quiet_market: LocalMarket, quiet_renter: Renter, body: Json, said: str) -> None:
    sent = body if body == {} or ("model" in body and "messages" in body) else {**HELLO, **body}
    assert said in envelope(quiet_renter.post(CHAT, sent), 400, "invalid_request_error")["message"]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'"x"',
        b"5",
        b'{"a":1,}',
        b"{'model':1}",
        b'{"model":"\\ud800"}',
        b'{"model":"m","stream":NaN}',
        # Readers take different ones of the two.
        b'{"max_tokens":1,"max_tokens":8192}',
        b'{"a":' + b"[" * 70 + b"]" * 70 + b"}",
    ],
)
def test_a_body_that_is_no_json_object(quiet_renter: Renter, quiet_market: LocalMarket, content: bytes) -> None:
    response = quiet_market.rest.rest("POST", CHAT, key=quiet_renter.key, content=content)
    assert envelope(response, 400, "invalid_request_error")["message"] == "Malformed JSON body"


def test_a_body_in_another_encoding_is_told_so(quiet_renter: Renter, quiet_market: LocalMarket) -> None:
    """Of Windows, where it is JSON to whoever sends it."""
    response = quiet_market.rest.rest("POST", CHAT, key=quiet_renter.key, content='{"model":"é"}'.encode("latin-1"))
    message = envelope(response, 400, "invalid_request_error")["message"]
    assert message == "Validation failed: body must be JSON in UTF-8"


def test_what_the_edge_refuses(quiet_market: LocalMarket, quiet_renter: Renter) -> None:
    rest = quiet_market.rest
    for verb, path in (("GET", "/v1/nope"), ("POST", "/v1/fine-tunes"), ("GET", CHAT), ("DELETE", "/v1/models")):
        envelope(rest.rest(verb, path), 404, "not_found")
    envelope(rest.rest("POST", CHAT + "/", key=quiet_renter.key, json=HELLO), 404, "not_found")
    large = rest.rest("POST", CHAT, key=quiet_renter.key, content=b'{"a":"' + b"x" * 8 * MIB + b'"}')
    envelope(large, 413, "invalid_request_error")
    envelope(rest.get("/v1/models%ff"), 400, "invalid_request_error")


@pytest.mark.parametrize("prefix", ["/api", "/api/dc1"])
def test_v1_is_at_the_root_only(quiet_market: LocalMarket, quiet_renter: Renter, prefix: str) -> None:
    refused(quiet_renter.post(prefix + CHAT, HELLO), 404, "Not found")
    refused(quiet_market.rest.get(prefix + "/v1/models"), 404, "Not found")

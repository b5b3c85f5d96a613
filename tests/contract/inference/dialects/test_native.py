"""Messages and Responses in their own words, where an engine has their paths (contract 6.2)."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dc1.services.inference import completion_stream
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered, show
from tests.contract.inference.chat import CHAT, begin, begin_saying, finish, say_events
from tests.contract.inference.paths import MESSAGES, RESPONSES, having

ASKED: dict[str, Json] = {
    MESSAGES: {
        "model": MODEL,
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
        "zz": {"b": 1, "a": 2},
    },
    RESPONSES: {"model": MODEL, "input": "Hi", "include": ["reasoning.encrypted_content"]},
}
PAID: dict[str, Json] = {
    MESSAGES: {"input_tokens": 2, "output_tokens": 3},
    RESPONSES: {"input_tokens": 2, "output_tokens": 3, "total_tokens": 5},
}
WHOLE: dict[str, Json] = {
    MESSAGES: {
        "id": "m-1",
        "type": "message",
        "model": "its",
        "content": [{"type": "text", "text": "Hello"}],
        "yy": 1.0,
    },
    RESPONSES: {"id": "r-1", "object": "response", "model": "its", "output": [{"content": [{"text": "Hello"}]}]},
}
EVENTS: dict[str, list[Json]] = {
    MESSAGES: [
        {
            "type": "message_start",
            "message": {"id": "m-1", "model": "its", "content": [], "usage": {"input_tokens": 2}},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 99}},
        {"type": "message_stop"},
    ],
    RESPONSES: [
        {"type": "response.created", "response": {"id": "r-1", "model": "its", "output": []}},
        {"type": "response.output_text.delta", "item_id": "i-1", "delta": "Hello"},
        {"type": "response.completed", "response": {"id": "r-1", "model": "its", "usage": {"output_tokens": 99}}},
    ],
}
PATHS = pytest.mark.parametrize("path", ASKED)
COUNTED: Json = {"prompt_tokens": 2, "completion_tokens": 3}


@PATHS
def test_a_call_goes_as_it_is_to_who_has_its_path(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str
) -> None:
    having(daemon, CHAT, path)
    sent = json.dumps(ASKED[path], indent=1).encode()
    call = pool.submit(market.rest.rest, "POST", path, key=renter.key, content=sent)
    offer = daemon.expect("offer")
    assert (offer.assignment.inference_path, offer.assignment.inference_body) == (path, sent)
    lease = daemon.accept(offer).lease
    say_events(daemon, lease, WHOLE[path], is_last=True)
    daemon.finish(lease, {"type": "messages"}, **COUNTED)
    job = renter.job(1)
    assert answered(call.result()) == WHOLE[path] | {"id": job["job_id"], "model": MODEL, "usage": PAID[path]}
    assert show(job, "status", *COUNTED) == {"status": "completed", **COUNTED}


@PATHS
def test_its_events_are_the_engines(renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str) -> None:
    having(daemon, CHAT, path)
    call = pool.submit(renter.post, path, {**ASKED[path], "stream": True})
    lease = begin_saying(daemon, *EVENTS[path])
    say_events(daemon, lease, offset=len(EVENTS[path]), is_last=True)
    daemon.finish(lease, {"type": "messages"}, **COUNTED)
    text = call.result().text
    said: list[Any] = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert [line[7:] for line in text.splitlines() if line.startswith("event: ")] == [each["type"] for each in said]
    names = {"id": renter.job(1)["job_id"], "model": MODEL}
    expected = json.loads(json.dumps(EVENTS[path]))
    for event in expected:
        for outer in ("message", "response"):
            if outer in event:
                event[outer] |= names
    last = next(event for event in expected if event["type"] in ("message_delta", "response.completed"))
    (last if path == MESSAGES else last["response"])["usage"] = PAID[path]
    assert said == expected


@PATHS
def test_a_failure_ends_them_in_their_own_words(
    renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str
) -> None:
    having(daemon, CHAT, path)
    call = pool.submit(renter.post, path, {**ASKED[path], "stream": True})
    daemon.fail(begin_saying(daemon, *EVENTS[path][:2]), "it died", category="engine")
    last = json.loads(call.result().text.split("data: ")[-1])
    assert last["type"] == "error"
    assert renter.balance() == 1000


@PATHS
def test_where_nobody_has_the_path_it_is_a_chat(
    renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str
) -> None:
    having(daemon, CHAT, path, carried=())
    call = pool.submit(renter.post, path, ASKED[path])
    offer = daemon.expect("offer")
    assert offer.assignment.inference_path == CHAT
    finish(daemon, daemon.accept(offer).lease)
    answered(call.result())
    assert "Hello there" in call.result().text


@PATHS
@pytest.mark.parametrize("stream", [False, True])
def test_what_all_who_have_its_path_fail_is_a_chat_of_others(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str, *, stream: bool
) -> None:
    having(daemon, CHAT, path)
    other = market.connect(market.add_provider())
    having(other, CHAT)
    call = pool.submit(renter.post, path, {**ASKED[path], "stream": stream})
    own = daemon.expect("offer")
    assert own.assignment.inference_path == path
    daemon.fail(daemon.accept(own).lease, "it died", category="engine", transient=True)
    offer = other.expect("offer")
    assert offer.assignment.inference_path == CHAT
    finish(other, other.accept(offer).lease)
    answer = call.result()
    assert (answer.status_code, "Hello there" in answer.text, '"type":"error"' in answer.text) == (200, True, False)
    failed, done = renter.job(1), renter.job(2)
    assert (failed["status"], failed["fault"], done["status"]) == ("failed", "provider", "completed")
    assert renter.balance() == 1000 - done["actual_cost_halala"]


@PATHS
def test_who_wants_no_other_is_given_none(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str
) -> None:
    having(daemon, CHAT, path)
    having(market.connect(market.add_provider()), CHAT)
    call = pool.submit(renter.post, path, {**ASKED[path], "provider": {"allow_fallbacks": False}})
    daemon.fail(begin(daemon), "it died", category="engine", transient=True)
    assert call.result().status_code == 503


@PATHS
def test_behind_signs_of_life_a_failure_is_an_event_and_others_are_asked(
    market: LocalMarket,
    renter: Renter,
    daemon: StreamDaemon,
    pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    monkeypatch.setattr(completion_stream, "KEEP_ALIVE_SECONDS", 0.05)
    having(daemon, CHAT, path)

    def fail_one() -> Iterator[str]:
        begun = pool.submit(begin, daemon)
        with market.rest.stream(path, method="POST", key=renter.key, json={**ASKED[path], "stream": True}) as response:
            lines = response.iter_lines()
            yield next(line for line in lines if line)
            daemon.fail(begun.result(), "it died", category="engine", transient=True)
            yield from lines

    assert json.loads([line for line in fail_one() if line.startswith("data: ")][-1][6:])["type"] == "error"
    other = having(market.connect(market.add_provider()), CHAT)
    answering = pool.submit(lambda: finish(other, begin(other)))
    assert "Hello there" in "".join(fail_one())
    answering.result()


def test_what_chat_has_no_words_for_is_for_such_engines_alone(
    renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    tool = {**ASKED[MESSAGES], "tools": [{"type": "bash_20250124", "name": "bash"}], "max_tokens": 32_000}
    having(daemon, CHAT)
    assert renter.post(MESSAGES, tool).status_code == 400
    having(daemon, CHAT, MESSAGES)
    call = pool.submit(renter.post, MESSAGES, tool)
    offer = daemon.expect("offer")
    # No more than is held and paid.
    assert json.loads(offer.assignment.inference_body) == tool | {"max_tokens": 8192}
    lease = daemon.accept(offer).lease
    say_events(daemon, lease, WHOLE[MESSAGES], is_last=True)
    daemon.finish(lease, {"type": "messages"}, **COUNTED)
    answered(call.result())
    kept = renter.post(RESPONSES, {**ASKED[RESPONSES], "previous_response_id": "r-1"})
    assert kept.status_code == 400

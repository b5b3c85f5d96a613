"""Calls beside chats: each goes to whose engine has the path, and is a job like any other."""

import json
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered, show
from tests.contract.inference.chat import CHAT, HELLO, begin, envelope, finish, say_events
from tests.contract.inference.paths import (
    ANSWERS,
    BODIES,
    COMPLETIONS,
    EMBEDDINGS,
    IMAGES,
    RERANK,
    TEXT,
    give,
    having,
    having_all,
)

MADE = {COMPLETIONS: 2, EMBEDDINGS: 0, RERANK: 0, IMAGES: 2000}


@pytest.mark.parametrize("path", BODIES)
def test_an_answer_passes_as_it_is_and_is_paid(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str
) -> None:
    having_all(daemon)
    sent = json.dumps({**BODIES[path], "zz": 12345678901234567890}, indent=1).encode()
    call = pool.submit(market.rest.rest, "POST", path, key=renter.key, content=sent)
    offer = daemon.expect("offer")
    assert (offer.assignment.inference_path, offer.assignment.inference_body) == (path, sent)
    lease = daemon.accept(offer).lease
    say_events(daemon, lease, ANSWERS[path], is_last=True)
    daemon.finish(lease, {"type": "x"}, prompt_tokens=5, completion_tokens=MADE[path])
    job = renter.job(1)
    assert answered(call.result()) == ANSWERS[path] | {"id": job["job_id"], "model": MODEL}
    expected = {"source": "v1", "status": "completed", "prompt_tokens": 5, "completion_tokens": MADE[path]}
    assert show(job, *expected) == expected
    assert (job["actual_cost_halala"], renter.balance()) == (1, 999)


def test_a_text_comes_as_it_is_made(renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    having_all(daemon)
    call = pool.submit(renter.post, COMPLETIONS, {**TEXT, "stream": True})
    lease = begin(daemon)
    chunks: list[Json] = [
        {"object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": reason}]}
        for text, reason in ((" very", None), (" blue", "stop"))
    ]
    say_events(daemon, lease, *chunks, is_last=True)
    daemon.finish(lease, {"type": "text", "response": " very blue"}, prompt_tokens=5, completion_tokens=2)
    *frames, done = [line[6:] for line in call.result().text.splitlines() if line.startswith("data: ")]
    said = [json.loads(frame) for frame in frames]
    assert done == "[DONE]"
    assert [chunk["choices"][0]["text"] for chunk in said] == [" very", " blue"]
    assert [chunk["object"] for chunk in said] == ["text_completion"] * 2
    assert "usage" not in said[0]
    assert said[-1]["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def test_a_call_goes_to_who_has_the_path(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    daemon.beat()
    for path, body in BODIES.items():
        said = envelope(renter.post(path, body), 400, "invalid_request_error")["message"]
        assert said == f"No provider of model '{MODEL}' serves {path}; it answers on {CHAT}"
        envelope(renter.post(path, {**body, "model": "none/none"}), 404, "model_not_found")
    other = having(market.connect(market.add_provider()), EMBEDDINGS)
    call = pool.submit(renter.post, EMBEDDINGS, BODIES[EMBEDDINGS])
    give(other, ANSWERS[EMBEDDINGS])
    answered(call.result())
    # Who has vectors alone is not asked to chat.
    chat = pool.submit(renter.post, CHAT, HELLO)
    finish(daemon, begin(daemon))
    answered(chat.result())


def test_a_call_that_failed_goes_on_to_who_has_the_path_and_no_other(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    having_all(daemon)
    chatting, other = (market.connect(market.add_provider()) for _ in range(2))
    having(chatting, CHAT)
    call = pool.submit(renter.post, EMBEDDINGS, BODIES[EMBEDDINGS])
    lease = begin(daemon)
    having(other, EMBEDDINGS)
    daemon.fail(lease, "the engine gave no embedding", category="engine", transient=True)
    give(other, ANSWERS[EMBEDDINGS])
    assert answered(call.result())["data"] == ANSWERS[EMBEDDINGS]["data"]
    assert renter.job(1)["retry_count"] == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (EMBEDDINGS, ()),
        (EMBEDDINGS, (ANSWERS[EMBEDDINGS], ANSWERS[EMBEDDINGS])),
        (EMBEDDINGS, ({"data": [{"embedding": [1]}]},)),
        (RERANK, ()),
        (RERANK, ({"results": [{"index": at, "relevance_score": 1} for at in (0, 9)]},)),
    ],
)
def test_a_result_without_an_answer_is_the_provider_s_failure(
    renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str, said: tuple[Json, ...]
) -> None:
    having_all(daemon)
    call = pool.submit(renter.post, path, BODIES[path])
    lease = begin(daemon)
    say_events(daemon, lease, *said, is_last=True)
    daemon.finish(lease, {"type": "x"}, prompt_tokens=5, completion_tokens=0)
    envelope(call.result(), 503, "provider_unavailable")
    assert (renter.job(1)["status"], renter.balance()) == ("failed", 1000)


def test_an_answer_that_counts_nothing_is_told_what_is_paid(
    renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    having_all(daemon)
    call = pool.submit(renter.post, EMBEDDINGS, BODIES[EMBEDDINGS])
    give(daemon, {"data": ANSWERS[EMBEDDINGS]["data"]})
    assert answered(call.result())["usage"] == {"prompt_tokens": 5, "total_tokens": 5}


def test_what_models_can_do_is_listed(market: LocalMarket, daemon: StreamDaemon) -> None:
    having(daemon, CHAT, EMBEDDINGS, "/v1/odd", context_length=8192, input_modalities=["text", "image"])
    shown = answered(market.rest.get(f"/v1/models/{MODEL}"))
    expected: Json = {
        "context_length": 8192,
        "architecture": {"input_modalities": ["image", "text"], "output_modalities": ["text"]},
        "capabilities": ["chat", "embeddings", "vision"],
    }
    assert show(shown, *expected) == expected
    assert "max_tokens" in shown["supported_parameters"]
    having(market.connect(market.add_provider()), CHAT, COMPLETIONS, context_length=4096, features=["tools", "odd"])
    (listed,) = answered(market.rest.get("/v1/models"))["data"]
    assert (listed["context_length"], listed["capabilities"]) == (4096, ["chat", "completions", "embeddings"])


def test_the_official_client_reads_them(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    having_all(daemon)
    with openai.OpenAI(base_url=f"{market.edge.url}/v1", api_key=renter.key, max_retries=0, timeout=20) as client:
        giving = pool.submit(give, daemon, ANSWERS[EMBEDDINGS])
        vectors = client.embeddings.create(model=MODEL, input=["sea", "desert"], encoding_format="float")
        assert [each.embedding for each in vectors.data] == [[0.5, -1e-3]] * 2
        # The caller has its answer before the daemon has its receipt, which the next one would take.
        giving.result()
        pool.submit(give, daemon, ANSWERS[COMPLETIONS], 2)
        assert client.completions.create(model=MODEL, prompt="The sea is").choices[0].text == " blue"


@pytest.mark.parametrize(
    ("path", "changes", "said"),
    [
        (COMPLETIONS, {"prompt": None}, "Missing required fields: prompt"),
        (COMPLETIONS, {"prompt": 5}, "prompt must be a string, an array of tokens"),
        (COMPLETIONS, {"prompt": []}, "prompt must be"),
        (COMPLETIONS, {"prompt": ["a", 1]}, "prompt must be"),
        (COMPLETIONS, {"prompt": ["a"] * 129}, "at most 128 answers together"),
        (COMPLETIONS, {"prompt": ["a", "b"], "suffix": "c"}, "suffix must be a string, beside a prompt that is one"),
        (COMPLETIONS, {"best_of": 3}, "best_of must be as many as n"),
        (COMPLETIONS, {"max_tokens": -1}, "max_tokens must be an integer from 0 to 8192"),
        (EMBEDDINGS, {"input": " "}, "Missing required fields: input"),
        (EMBEDDINGS, {"input": []}, "input must be a text, an array of tokens, or an array of 1 to 2048 such"),
        (EMBEDDINGS, {"input": ["a", ""]}, "input must be"),
        (EMBEDDINGS, {"input": ["a"] * 2049}, "input must be"),
        (EMBEDDINGS, {"input": [1.5]}, "input must be"),
        (EMBEDDINGS, {"encoding_format": "hex"}, "encoding_format must be one of float, base64"),
        (EMBEDDINGS, {"dimensions": 0}, "dimensions must be an integer from 1"),
        (RERANK, {"query": ["a"]}, "query must be a string"),
        (RERANK, {"documents": []}, "documents must be an array of 1 to 2048 texts"),
        (RERANK, {"documents": [1]}, "documents must be texts, or objects with a text"),
        (RERANK, {"top_n": 0}, "top_n must be an integer from 1 to 2048"),
        (IMAGES, {"prompt": 7}, "prompt must be a string"),
        (IMAGES, {"n": 11}, "n must be an integer from 1 to 10"),
        (IMAGES, {"response_format": "url"}, "response_format must be b64_json"),
        (IMAGES, {"stream": True}, "stream is not offered for pictures"),
    ],
)
def test_an_unusable_body(
    quiet_market: LocalMarket, renter_of_all: Renter, path: str, changes: Json, said: str
) -> None:
    refused = envelope(renter_of_all.post(path, {**BODIES[path], **changes}), 400, "invalid_request_error")
    assert said in refused["message"]


@pytest.fixture(scope="module")
def renter_of_all(quiet_market: LocalMarket) -> Renter:
    return quiet_market.add_renter()

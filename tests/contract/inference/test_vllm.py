"""Contract 3.1 and 6.2: models and completions under /vllm, as editor extensions ask for them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered, refused, show
from tests.contract.inference.chat import CHAT, HELLO, begin, finish, serve

COMPLETE = "/vllm/complete"
FIGURES = ("status", "providers_online", "vram_gb", "min_gpu_vram_gb", "avg_price_sar_per_min")


@pytest.mark.parametrize("base", ["", "/api", "/api/dc1"])
def test_an_answer_says_what_it_cost(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, base: str
) -> None:
    # The key in the query, as the extension sends it.
    call = pool.submit(market.rest.post, f"{base}{COMPLETE}?key={renter.key}", HELLO)
    serve(daemon)
    answer = answered(call.result())
    job = renter.job(1)
    assert show(answer, "id", "object", "model", "cost_halala") == {
        "id": job["job_id"],
        "object": "chat.completion",
        "model": MODEL,
        "cost_halala": job["actual_cost_halala"],
    }
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hello there"}
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 11, "total_tokens": 13}
    assert (job["source"], job["actual_cost_halala"]) == ("v1", 1)


def test_a_stream_is_that_of_v1(renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    call = pool.submit(renter.post, COMPLETE, {**HELLO, "stream": True})
    lease = begin(daemon, "Hello", " there")
    finish(daemon, lease)
    response = call.result()
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text.rstrip().endswith("data: [DONE]")
    assert "chat.completion.chunk" in response.text


def test_access_and_errors_are_those_of_v1_in_the_shape_of_other_paths(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    refused(market.rest.post(COMPLETE, HELLO), 401, "API key required")
    headers = {"authorization": f"Bearer {provider.key}"}
    refused(market.rest.post(COMPLETE, HELLO, headers=headers), 401, code="WRONG_KEY_TYPE")
    refused(renter.post(COMPLETE, {}), 400)
    for body in ({**HELLO, "model": "none/none"}, {**HELLO, "messages": []}, {**HELLO, "max_tokens": 0}, HELLO):
        here, there = renter.post(COMPLETE, body), renter.post(CHAT, body)
        told, envelope = here.json(), there.json()["error"]
        assert here.status_code == there.status_code == envelope["status"]
        assert envelope["message"].startswith(told["error"])
    narrow = answered(renter.post("/renters/me/keys", {"scopes": ["jobs.read"]}), 201)["key"]
    refused(market.rest.post(COMPLETE, HELLO, key=narrow), 403, code="SCOPE_MISSING")


@pytest.mark.settings(rate_limits_enabled=True, completion_requests_per_minute=4)
def test_both_paths_count_together(renter: Renter, provider: PollDaemon) -> None:
    for path in (COMPLETE, CHAT) * 2:
        assert renter.post(path, {**HELLO, "model": "none/none"}).status_code == 404
    assert [renter.post(path, HELLO).status_code for path in (COMPLETE, CHAT)] == [429, 429]


def test_every_list_of_models_says_the_same_of_one(market: LocalMarket, daemon: StreamDaemon) -> None:
    """By whichever name the list and the model are read."""
    known = answered(market.rest.get("/providers/models"))["models"][0]
    assert (known["status"], known["providers_online"], known["vram_gb"]) == ("available", 1, 24)
    rows = [answered(market.rest.get(f"/v1/models/{MODEL}"))]
    for path in ("/models", "/vllm/models", "/v1/models"):
        body = answered(market.rest.get(path))
        assert body["object"] == "list"
        rows += body["data"]
    assert [row["id"] for row in rows] == [MODEL] * 4
    assert [show(row, *FIGURES) for row in rows] == [show(known, *FIGURES)] * 4

"""What a renter uses under /v1 at one server counts at the others too (6.5)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dc1.testing.people import Renter
from dc1.testing.waiting import eventually
from tests.contract.inference.chat import CHAT, HELLO, begin, envelope, finish, streaming
from tests.contract.inference.keys.test_call_limits import NOBODYS, left
from tests.replicas.pair import Pair


@pytest.mark.settings(rate_limits_enabled=True, completion_requests_per_minute=4, completion_tokens_per_minute=1_000)
def test_calls_and_tokens_at_one_server_are_known_at_the_other(pair: Pair, renter: Renter) -> None:
    at_b = pair.b.renter(renter)
    for _ in range(2):
        envelope(renter.post(CHAT, NOBODYS), 404, "model_not_found")
    # The third to be let in, wherever the first two were.
    eventually(lambda: left(at_b.post(CHAT, NOBODYS).headers, "requests")[1] == "0", "B knowing of A's calls")
    eventually(lambda: renter.post(CHAT, NOBODYS).status_code == 429, "A knowing of B's call")
    # Nobody made any token of calls that were refused.
    eventually(lambda: left(renter.post(CHAT, NOBODYS).headers, "tokens")[1] == "1000", "A knowing of no tokens")


@pytest.mark.settings(rate_limits_enabled=True, completion_streams=1)
def test_streams_at_one_server_are_known_at_the_other(pair: Pair, renter: Renter) -> None:
    provider = pair.add_provider(pair.b)
    daemon = pair.connect(provider, pair.b)
    pair.await_online(provider)
    eventually(lambda: pair.a.rest.get("/v1/models").json()["data"], "the model being known on A")
    at_b = pair.b.renter(renter)

    def status_at_b() -> int:
        return at_b.post(CHAT, {**NOBODYS, "stream": True}).status_code

    with ThreadPoolExecutor(1) as pool:
        beginning = pool.submit(begin, daemon, "One")
        with streaming(pair.a.rest, renter.key) as chunks:
            chunks.say("One")
            eventually(lambda: status_at_b() == 429, "B knowing of A's stream")
            envelope(at_b.post(CHAT, {**HELLO, "stream": True}), 429, "rate_limit_exceeded")
            finish(daemon, beginning.result(), "One")
            assert list(chunks)[-1] == "[DONE]"
        eventually(lambda: status_at_b() == 404, "B knowing that it ended")

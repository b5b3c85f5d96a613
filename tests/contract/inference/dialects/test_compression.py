"""What travels compressed: lists and pages, and nothing in which size could tell a secret (contract 1.1)."""

import gzip

import httpx

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered
from tests.contract.inference.chat import ANSWER, Caller, begin

GZIP = {"accept-encoding": "gzip, br"}
LONG = "word " * 1000


def encoding(response: httpx.Response) -> str | None:
    found: str | None = response.headers.get("content-encoding")
    return found


def test_a_long_answer_travels_compressed_for_who_can_read_it(market: LocalMarket) -> None:
    plain = market.rest.get("/market/summary", headers={"accept-encoding": "identity"})
    with market.rest.stream("/market/summary", headers=GZIP) as squeezed:
        raw = b"".join(squeezed.iter_raw())
    assert (encoding(plain), encoding(squeezed)) == (None, "gzip")
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 3
    for answer in (plain, squeezed):
        assert "accept-encoding" in answer.headers["vary"].lower()


def test_short_answers_and_those_that_show_a_key_are_not(market: LocalMarket, renter: Renter) -> None:
    registration: Json = {"name": "n" * 120, "email": f"{'e' * 60}@example.sa", "organization": "o" * 120}
    for answer in (
        market.rest.get("/health", headers=GZIP),
        market.rest.post("/renters/register", registration, headers=GZIP),
        market.rest.post("/renters/me/keys", {"label": "l" * 100}, key=renter.key, headers=GZIP),
        market.rest.post("/renters/register", {}, headers=GZIP),
    ):
        assert encoding(answer) is None, answer.url
        assert len(answer.content) < 1024


def test_neither_are_streams_nor_what_models_say(market: LocalMarket, daemon: StreamDaemon, caller: Caller) -> None:
    with market.rest.stream("/admin/queue/stream", key=ADMIN_TOKEN, headers=GZIP, params={"once": "true"}) as stream:
        assert stream.read()
    assert encoding(stream) is None
    call = caller.ask()
    daemon.finish(begin(daemon), {**ANSWER, "response": LONG}, prompt_tokens=2, completion_tokens=1000)
    answer = call.result()
    # The client of tests asks for compression by itself.
    assert "gzip" in answer.request.headers["accept-encoding"]
    assert answered(answer)["choices"][0]["message"]["content"] == LONG
    assert encoding(answer) is None

"""An answer ends with the key that asked for it: its reader is told so, and pays for what came (contract 1.2)."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered
from tests.contract.inference.chat import (
    CHAT,
    HELLO,
    begin,
    begin_saying,
    carrying,
    detail,
    envelope,
    finish,
    say_events,
    streaming,
)

INVALID = (401, "authentication_invalid_key")
# Who has a suspended account hears of it by its jobs or by its keys, whichever comes first.
SUSPENDED = {(403, "account_suspended"), (503, "provider_unavailable")}


def made_key(renter: Renter) -> Json:
    made: Json = answered(renter.post("/renters/me/keys", {"scopes": ["inference"]}), 201)
    return made


def word(text: str) -> Json:
    return {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}


def stop(how: str, market: LocalMarket, renter: Renter, admin: Admin, made: Json) -> None:
    match how:
        case "revoked":
            answered(market.rest.rest("DELETE", f"/renters/me/keys/{made['id']}", key=renter.key))
        case "rotated":
            answered(renter.post("/renters/me/rotate-key"))
        case "suspended":
            answered(admin.post(f"/admin/renters/{renter.id}/suspend"))
        case _:
            answered(admin.post("/admin/bulk/renters", {"action": "suspend", "ids": [renter.id]}))


def is_stopped(daemon: StreamDaemon, lease: pb.LeaseRef) -> bool:
    return bool(daemon.expect("stop").lease == lease)


def last_error(frames: list[str]) -> Json:
    """What a stream says of its end; it never looks like a whole answer."""
    assert "[DONE]" not in frames
    error: Json = json.loads(frames[-1])["error"]
    return error


@pytest.mark.parametrize("how", ["revoked", "rotated", "suspended", "suspended with others"])
def test_a_stream_says_that_its_key_has_ended(
    market: LocalMarket, renter: Renter, admin: Admin, daemon: StreamDaemon, pool: ThreadPoolExecutor, how: str
) -> None:
    made = made_key(renter)
    # Before its caller has headers, which come with the first word.
    said = pool.submit(begin, daemon, "Hello")
    with streaming(market.rest, made["key"], max_tokens=50) as thief:
        lease = said.result()
        thief.say("Hello")
        stop(how, market, renter, admin, made)
        error = last_error(list(thief))
    assert is_stopped(daemon, lease)
    job = answered(admin.get(f"/admin/jobs/{lease.job_id}"))["job"]
    if how.startswith("suspended"):
        assert (error["status"], error["code"]) in SUSPENDED
        # Ended by an operator, and free.
        assert (job["status"], job["fault"], job["actual_cost_halala"]) == ("cancelled", "market", 0)
        return
    detail(error, *INVALID)
    # As one that its caller has left: what came is paid.
    assert (job["status"], job["fault"], job["actual_cost_halala"]) == ("cancelled", "renter", 1)
    assert (job["prompt_tokens"], job["completion_tokens"]) == (1, 1)


def test_streams_of_other_keys_go_on(
    market: LocalMarket, renter: Renter, admin: Admin, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    made, said = made_key(renter), pool.submit(begin, daemon, "Hello")
    with streaming(market.rest, renter.key) as owner:
        lease = said.result()
        owner.say("Hello")
        stop("revoked", market, renter, admin, made)
        finish(daemon, lease, "Hello there")
        assert list(owner)[-1] == "[DONE]"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_other_apis_say_it_in_their_own_words(
    market: LocalMarket, renter: Renter, admin: Admin, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str
) -> None:
    made, said = made_key(renter), pool.submit(begin, daemon, "Hello")
    body = {**HELLO, "input": "Hi", "max_tokens": 50, "stream": True}
    with market.rest.stream(path, method="POST", key=made["key"], json=body) as response:
        lease = said.result()
        lines = response.iter_lines()
        assert any("Hello" in line for line in lines)
        stop("revoked", market, renter, admin, made)
        told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert told[-1]["type"] == ("error" if path == "/v1/messages" else "response.failed")
    assert is_stopped(daemon, lease)


@pytest.mark.parametrize("how", ["revoked", "suspended"])
def test_an_answer_in_one_piece_is_refused(
    market: LocalMarket, renter: Renter, admin: Admin, daemon: StreamDaemon, pool: ThreadPoolExecutor, how: str
) -> None:
    made = made_key(renter)
    call = pool.submit(market.rest.rest, "POST", CHAT, key=made["key"], json=HELLO)
    lease = begin(daemon, "Hello")
    stop(how, market, renter, admin, made)
    response: httpx.Response = call.result()
    if how == "revoked":
        envelope(response, *INVALID)
    else:
        assert (response.status_code, response.json()["error"]["code"]) in SUSPENDED
    assert is_stopped(daemon, lease)
    assert answered(admin.get(f"/admin/jobs/{lease.job_id}"))["job"]["actual_cost_halala"] == 0


def test_who_reads_nothing_is_no_reason_to_go_on(
    market: LocalMarket, renter: Renter, admin: Admin, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    """What its caller has not taken keeps neither the call nor the farewell waiting for long."""
    carrying(daemon)
    made, said = made_key(renter), pool.submit(begin_saying, daemon, word("x"))
    with streaming(market.rest, made["key"], max_tokens=8192):
        lease = said.result()
        for offset in range(1, 9):
            say_events(daemon, lease, word("x" * 1_000_000), offset=offset)
        stop("revoked", market, renter, admin, made)
        assert is_stopped(daemon, lease)
        assert answered(admin.get(f"/admin/jobs/{lease.job_id}"))["job"]["status"] == "cancelled"

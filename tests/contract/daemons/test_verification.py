"""Whether a provider's machine is what it says: the three calls that daemons make, all answered with 200."""

import hashlib

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, refused

GPU = {"gpu_name": "NVIDIA GeForce RTX 4090", "vram_mb": 24564}
SOLUTION = hashlib.sha256(b"product").hexdigest()


def challenge(daemon: PollDaemon) -> Json:
    """The challenge that a machine with another GPU is given."""
    answered(daemon.post("/verification/auto", {"gpu_info": {"gpu_name": "NVIDIA A100", "vram_mb": 40960}}))
    return answered(daemon.get("/verification/pending"))


def test_a_machine_that_is_as_it_was(market: LocalMarket, provider: PollDaemon) -> None:
    verdict = answered(market.rest.post("/verification/auto", {"api_key": provider.key, "gpu_info": GPU}))
    assert verdict == {"verdict": "verified", "score": 100, "flags": []}
    assert answered(provider.get("/verification/pending")) == {"pending": False}


@pytest.mark.parametrize(
    ("info", "verdict", "flags"),
    [
        ({"gpu_name": "NVIDIA A100"}, "failed", ["gpu_mismatch"]),
        ({**GPU, "vram_mb": 12000}, "suspicious", ["vram_mismatch"]),
        ({"gpu_name": "RTX 4090 Laptop"}, "verified", []),
        (None, "suspicious", ["no_gpu_info"]),
        ({"gpu_name": 5}, "suspicious", ["no_gpu_info"]),
    ],
)
def test_what_does_not_fit(provider: PollDaemon, info: Json | None, verdict: str, flags: list[str]) -> None:
    answer = answered(provider.post("/verification/auto", {"gpu_info": info}))
    assert (answer["verdict"], answer["flags"]) == (verdict, flags)


def test_a_machine_that_never_reported(market: LocalMarket) -> None:
    answer = answered(market.register_provider().post("/verification/auto", {"gpu_info": GPU}))
    assert (answer["verdict"], answer["flags"]) == ("suspicious", ["never_reported"])


def test_a_challenge_is_solved_once(market: LocalMarket, provider: PollDaemon) -> None:
    given = challenge(provider)
    assert {name: type(value).__name__ for name, value in given.items()} == {
        "pending": "bool",
        "challenge_id": "str",
        "matrix_size": "int",
        "iterations": "int",
        "nonce": "str",
        "expires_at": "str",
    }
    assert challenge(provider) == given
    market.advance(3)
    body = {"challenge_id": given["challenge_id"], "result_hash": SOLUTION, "elapsed_ms": 2800}
    assert answered(provider.post("/verification/submit", body)) == {"verdict": "verified", "score": 100, "flags": []}
    again = answered(provider.post("/verification/submit", body))
    assert again == {"verdict": "failed", "score": 0, "flags": ["unknown_challenge"]}
    assert answered(provider.get("/verification/pending")) == {"pending": False}


@pytest.mark.parametrize(
    ("seconds", "more", "flag"),
    [
        (601, {}, "expired_challenge"),
        (1, {"result_hash": "nope"}, "malformed_result"),
        (1, {"result_hash": None}, "malformed_result"),
        (1, {"elapsed_ms": 60_000}, "impossible_time"),
        (180, {}, "too_slow"),
    ],
)
def test_solutions_that_do_not_hold(
    market: LocalMarket, provider: PollDaemon, seconds: int, more: Json, flag: str
) -> None:
    given = challenge(provider)
    market.advance(seconds)
    body = {"challenge_id": given["challenge_id"], "result_hash": SOLUTION, **more}
    answer = answered(provider.post("/verification/submit", body))
    assert answer["flags"] == [flag]
    assert answer["verdict"] != "verified"


def test_challenges_are_their_providers_own(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    given = challenge(provider)
    other = market.add_provider()
    body = {"challenge_id": given["challenge_id"], "result_hash": SOLUTION}
    assert answered(other.post("/verification/submit", body))["flags"] == ["unknown_challenge"]
    assert answered(other.get("/verification/pending")) == {"pending": False}
    assert answered(provider.get("/verification/pending"))["challenge_id"] == given["challenge_id"]


def test_bad_input_and_strangers(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    refused(provider.post("/verification/auto", {"gpu_info": [1]}), 400, "gpu_info must be an object")
    refused(provider.post("/verification/submit", {}), 400, "Missing required fields: challenge_id")
    refused(provider.post("/verification/submit", {"challenge_id": "x", "elapsed_ms": -1}), 400)
    for path in ("/verification/auto", "/verification/submit"):
        refused(market.rest.post(path, {}), 401, "API key required")
        refused(renter.post(path, {}), 401, "API key required")
        refused(market.rest.post(path, {}, headers={"x-provider-key": renter.key}), 401, code="WRONG_KEY_TYPE")
    refused(market.rest.get("/verification/pending"), 401, "API key required")

"""Whether a provider's machine is what it says: the three calls that daemons make, all answered with 200."""

import time
from collections.abc import Callable

import pytest

from dc1.control.probing import machine_probe
from dc1.domain.probe import rounds
from dc1.domain.probe.rounds import Kind
from dc1.domain.providers.measurements import Device
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.rest import Json
from tests.contract.daemons.challenged_daemon import ChallengedDaemon
from tests.contract.expect import answered, refused

pytestmark = pytest.mark.settings(probe_interval_seconds=86_400)

GPU = {"gpu_name": "NVIDIA GeForce RTX 4090", "vram_mb": 24564}
WITHOUT_GPU: Json = {"gpu_status": {"gpus_present": 0, "daemon_version": "3.3.0"}, "job_types": REPORT["job_types"]}
MADE_UP = "A" * 43 + "="


@pytest.fixture(autouse=True)
def small_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of a size, and patience, for machines that do much else; how fast they are is measured on the stream."""
    for kind, rows in ((Kind.PRODUCTS, 256), (Kind.MEMORY, 2048)):
        monkeypatch.setitem(rounds._ROWS, (Device.CPU, kind), rows)
    monkeypatch.setitem(rounds._GOAL_SECONDS, Device.CPU, 0.1)
    for name in ("_ROUND_SECONDS", "_OPEN_SECONDS"):
        monkeypatch.setattr(machine_probe, name, 60.0)


@pytest.fixture
def challenged(market: LocalMarket) -> ChallengedDaemon:
    """A machine without a GPU, whose daemon polls."""
    return ChallengedDaemon(market.add_provider(WITHOUT_GPU))


def test_a_machine_that_nobody_measured_is_reported_and_no_more(market: LocalMarket, provider: PollDaemon) -> None:
    """Whatever a daemon says of itself, and however many hashes of 64 times `a` it sends."""
    verdict = answered(market.rest.post("/verification/auto", {"api_key": provider.key, "gpu_info": GPU}))
    assert verdict == {"verdict": "reported", "score": 60, "flags": ["not_measured"]}
    # A daemon that does not say that it can is asked nothing.
    assert answered(provider.get("/verification/pending")) == {"pending": False}
    answer = answered(provider.post("/verification/submit", {"challenge_id": "x", "result_hash": "a" * 64}))
    assert answer == {"verdict": "failed", "score": 0, "flags": ["malformed_result"]}


@pytest.mark.parametrize(
    ("info", "flags"),
    [
        ({"gpu_name": "NVIDIA A100"}, ["gpu_mismatch"]),
        ({**GPU, "vram_mb": 12000}, ["vram_mismatch"]),
        (None, ["no_gpu_info"]),
        ({"gpu_name": 5}, ["no_gpu_info"]),
    ],
)
def test_what_does_not_fit(provider: PollDaemon, info: Json | None, flags: list[str]) -> None:
    answer = answered(provider.post("/verification/auto", {"gpu_info": info}))
    assert (answer["verdict"], answer["flags"]) == ("suspicious", [*flags, "not_measured"])


def test_a_gpu_that_cannot_be_has_failed(market: LocalMarket) -> None:
    small = {"gpu_name": "NVIDIA H100", "gpu_vram_mib": 24564}
    provider = market.add_provider({"gpu_status": small})
    said = {"gpu_info": {"gpu_name": "NVIDIA H100", "vram_mb": 24564}}
    verdict = answered(provider.post("/verification/auto", said))
    assert verdict == {"verdict": "failed", "score": 0, "flags": ["impossible_gpu"]}


def test_a_machine_that_never_reported(market: LocalMarket) -> None:
    answer = answered(market.register_provider().post("/verification/auto", {"gpu_info": GPU}))
    assert (answer["verdict"], answer["flags"]) == ("suspicious", ["never_reported", "not_measured"])


def test_a_daemon_that_polls_is_measured_by_its_challenge(market: LocalMarket, challenged: ChallengedDaemon) -> None:
    """Contract 4.8: the probe of the stream, one call at a time."""
    began = time.monotonic()
    outcome = challenged.prove()
    print(f"measured by polling in {time.monotonic() - began:.1f} s: {outcome}")
    assert outcome is not None
    assert outcome.endswith("on the cpu")
    assert challenged.verdict["verdict"] == "verified"
    shown = challenged.daemon.account()
    assert (shown["gpu_source"], shown["probed_at"]) == ("measured", market.now())
    assert shown["tops_int8"] > 0
    # It is known now, and is asked again when chance will have it.
    assert challenged.ask() == {"pending": False}


def test_what_is_asked_is_told_in_the_words_of_before(challenged: ChallengedDaemon) -> None:
    prepare = challenged.ask()
    assert {"pending", "challenge_id", "expires_at", "prepare"} == prepare.keys()
    # Asked again until it is answered: the first answer may have been lost.
    assert challenged.ask(prepare["challenge_id"])["prepare"] == prepare["prepare"]
    assert challenged.ask("that of another server") == {"pending": False}
    answer = challenged.answer(prepare)
    begin = challenged.submit({"challenge_id": prepare["challenge_id"], **(answer or {})})
    assert {"pending", "challenge_id", "expires_at", "matrix_size", "iterations", "nonce", "begin"} == begin.keys()
    assert (begin["matrix_size"], begin["iterations"]) == (begin["begin"]["rows"], begin["begin"]["steps"])
    assert len(begin["nonce"]) == 64


def test_an_answer_that_is_sent_again_takes_the_next_question_from_nobody(challenged: ChallengedDaemon) -> None:
    """Whoever did not hear what followed on it asks by sending it again, and must not be late for that."""
    prepare = challenged.ask()
    body = {"challenge_id": prepare["challenge_id"], **(challenged.answer(prepare) or {})}
    begin = challenged.submit(body)
    assert challenged.submit(body)["begin"] == begin["begin"]
    assert challenged.ask(prepare["challenge_id"])["begin"] == begin["begin"]


def alter_root(answer: Json) -> None:
    for said in (answer.get("roots", {}),):
        said["roots"] = [MADE_UP for _ in said.get("roots", [])]


def alter_row(answer: Json) -> None:
    for leaf in answer.get("leaves", {}).get("leaves", []):
        leaf["content"] = "AAAA" + leaf["content"][4:]


def open_nothing(answer: Json) -> None:
    if "leaves" in answer:
        answer["leaves"]["leaves"] = []


def leave_out_a_step(answer: Json) -> None:
    if "roots" in answer:
        answer["roots"]["roots"].pop()


@pytest.mark.parametrize("lie", [alter_root, alter_row, open_nothing, leave_out_a_step])
def test_a_daemon_that_lies_is_caught(challenged: ChallengedDaemon, lie: Callable[[Json], None]) -> None:
    asked = challenged.ask()
    while asked["pending"]:
        answer = challenged.answer(asked) or {}
        lie(answer)
        asked = challenged.submit({"challenge_id": asked["challenge_id"], **answer})
    assert asked["end"]["outcome"].startswith("failed: ")
    assert challenged.daemon.account()["gpu_source"] == "reported"
    assert challenged.verdict["flags"] == ["not_measured"]


def test_a_gpu_is_measured_by_itself_or_not_at_all(market: LocalMarket, provider: PollDaemon) -> None:
    outcome = ChallengedDaemon(provider).prove()
    assert outcome == "not measured: it reports a GPU and would be measured without it"


def test_work_ends_a_challenge(renter: Renter, challenged: ChallengedDaemon) -> None:
    asked = challenged.ask()
    renter.submit()
    assert challenged.daemon.next()
    asked = challenged.submit({"challenge_id": asked["challenge_id"], **(challenged.answer(asked) or {})})
    while asked["pending"]:
        asked = challenged.ask(asked.get("challenge_id"))
    outcome = asked.get("end", {}).get("outcome", "not measured: the machine got work")
    assert outcome == "not measured: the machine got work"
    assert challenged.daemon.account()["probe_outcome"] == outcome


def test_challenges_are_their_providers_own(market: LocalMarket, challenged: ChallengedDaemon) -> None:
    given = challenged.ask()
    other = ChallengedDaemon(market.register_provider())
    body = {"challenge_id": given["challenge_id"], **(challenged.answer(given) or {})}
    assert answered(other.daemon.post("/verification/submit", body))["flags"] == ["unknown_challenge"]
    # Who was not let in is measured as little.
    assert other.ask() == {"pending": False}
    assert challenged.ask(given["challenge_id"])["challenge_id"] == given["challenge_id"]


def test_bad_input_and_strangers(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    refused(provider.post("/verification/auto", {"gpu_info": [1]}), 400, "gpu_info must be an object")
    refused(provider.post("/verification/submit", {}), 400, "Missing required fields: challenge_id")
    refused(provider.post("/verification/submit", {"challenge_id": "x", "elapsed_ms": -1}), 400)
    for path in ("/verification/auto", "/verification/submit"):
        refused(market.rest.post(path, {}), 401, "API key required")
        refused(renter.post(path, {}), 401, "API key required")
        refused(market.rest.post(path, {}, headers={"x-provider-key": renter.key}), 401, code="WRONG_KEY_TYPE")
    refused(market.rest.get("/verification/pending"), 401, "API key required")

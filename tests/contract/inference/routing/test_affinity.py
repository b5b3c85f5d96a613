"""Calls that belong together go to the same engine while it has room (6.2)."""

from typing import Any

import pytest

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.inference.affinity import affinity_of, preferred, shared_by
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered
from tests.contract.inference.chat import Caller, begin, finish

LONG: list[JsonValue] = [{"role": "system", "content": "You are careful. " * 80}, {"role": "user", "content": "Hi"}]
TOGETHER: list[dict[str, Any]] = [{"prompt_cache_key": "k"}, {"user": "u"}, {"messages": LONG}]


@pytest.fixture
def daemons(market: LocalMarket, daemon: StreamDaemon) -> list[StreamDaemon]:
    """Three daemons whose engines take three calls at once."""
    found = [daemon, *(market.connect(market.add_provider()) for _ in range(2))]
    for each in found:
        each.state.inference_slots = 3
        each.beat()
    return found


@pytest.mark.parametrize("asked", TOGETHER)
def test_it_is_the_same_engine(
    renter: Renter, daemons: list[StreamDaemon], caller: Caller, asked: dict[str, Any]
) -> None:
    params: JsonObject = {"messages": [], **asked}
    affinity = affinity_of(renter.id, shared_by(params))
    assert affinity is not None
    at = preferred(affinity, range(1, 4))
    assert at is not None
    chosen = daemons[at - 1]
    calls, leases = [], []
    for _ in range(3):
        calls.append(caller.ask(**asked))
        leases.append(begin(chosen))
    # It has no room: another one answers.
    rest = [each for each in (1, 2, 3) if each != at]
    second = daemons[(preferred(affinity, rest) or 0) - 1]
    spilt = caller.ask(**asked)
    finish(second, begin(second))
    answered(spilt.result())
    for call, lease in zip(calls, leases, strict=True):
        finish(chosen, lease)
        answered(call.result())


def test_who_belongs_together() -> None:
    short: JsonObject = {"messages": [{"role": "user", "content": "Hi"}]}
    assert affinity_of(1, shared_by(short)) is None
    assert affinity_of(1, shared_by({**short, "user": ""})) is None
    assert affinity_of(1, shared_by({**short, "user": "a"})) == affinity_of(
        1, shared_by({"messages": LONG, "user": "a"})
    )
    assert affinity_of(1, shared_by({**short, "user": "a"})) != affinity_of(2, shared_by({**short, "user": "a"}))
    longer: list[JsonValue] = [*LONG, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "And?"}]
    assert affinity_of(1, shared_by({"messages": LONG})) == affinity_of(1, shared_by({"messages": longer}))
    assert affinity_of(1, shared_by({"messages": LONG})) != affinity_of(2, shared_by({"messages": LONG}))


WORDS = "You are careful. " * 80
ASKED: list[JsonValue] = [{"role": "user", "content": "Hi"}]
OTHERS: list[JsonValue] = [{"role": "user", "content": "And?"}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"messages": LONG}, {"messages": [LONG[0], *OTHERS]}),
        ({"system": WORDS, "messages": ASKED}, {"system": WORDS, "messages": OTHERS}),
        ({"instructions": WORDS, "input": "Hi"}, {"instructions": WORDS, "input": "And?"}),
        ({"instructions": WORDS, "input": ASKED}, {"instructions": WORDS, "input": OTHERS}),
        ({"metadata": {"user_id": "u"}, "messages": ASKED}, {"user": "u", "messages": OTHERS}),
        ({"prompt": f"{WORDS}Hi"}, {"prompt": f"{WORDS}And?"}),
    ],
)
def test_a_long_beginning_is_enough_whatever_is_asked_behind_it(one: JsonObject, other: JsonObject) -> None:
    assert shared_by(one)
    assert shared_by(one) == shared_by(other)
    assert not shared_by({"input": [WORDS, WORDS]})


def test_who_leaves_moves_its_own_calls_only() -> None:
    keys = [b"%d" % each for each in range(1_000)]
    before = [preferred(key, range(10)) for key in keys]
    after = [preferred(key, range(9)) for key in keys]
    moved = [each for each, then in zip(before, after, strict=True) if each != then]
    assert set(moved) == {9}
    # Evenly: each of the ten has about a hundred.
    assert all(60 < before.count(each) < 140 for each in range(10))

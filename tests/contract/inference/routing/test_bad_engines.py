"""A provider whose engine fails call after call is passed over for a while, then tried by one call (6.2)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered
from tests.contract.inference.chat import Caller, begin, finish

# Nobody's fault, so that the reputation stays what it is and the first of equals is asked.
BUSY = {"engine_status": 429}
WORDS = "the engine answered 429: slow down"


@pytest.fixture
def other(market: LocalMarket, daemon: StreamDaemon) -> StreamDaemon:
    """Whose turn comes after that of `daemon`."""
    return market.connect(market.add_provider())


def fail_and_finish(daemon: StreamDaemon, other: StreamDaemon, caller: Caller) -> None:
    call = caller.ask()
    daemon.fail(begin(daemon), WORDS, category="engine_busy", transient=True, refused=BUSY)
    finish(other, begin(other))
    answered(call.result())


def serve_by(daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask()
    finish(daemon, begin(daemon))
    answered(call.result())


def test_a_bad_engine_is_taken_out_and_tried_again(
    market: LocalMarket, daemon: StreamDaemon, other: StreamDaemon, caller: Caller
) -> None:
    for _ in range(3):
        fail_and_finish(daemon, other, caller)
    serve_by(other, caller)
    assert not daemon.beat().offers
    market.advance(6)
    # It fails the call that tries it, and is left alone for twice as long.
    fail_and_finish(daemon, other, caller)
    market.advance(6)
    serve_by(other, caller)
    market.advance(6)
    serve_by(daemon, caller)
    serve_by(daemon, caller)


def test_a_call_that_another_failed_is_not_sent_on_to_a_bad_engine(
    market: LocalMarket, daemon: StreamDaemon, other: StreamDaemon, caller: Caller
) -> None:
    for _ in range(3):
        fail_and_finish(daemon, other, caller)
    third = market.connect(market.add_provider())
    call = caller.ask()
    other.fail(begin(other), WORDS, category="engine_busy", transient=True, refused=BUSY)
    finish(third, begin(third))
    answered(call.result())


def test_who_is_the_only_one_goes_on_being_asked(daemon: StreamDaemon, caller: Caller) -> None:
    for _ in range(4):
        call = caller.ask()
        daemon.fail(begin(daemon), WORDS, category="engine_busy", transient=True, refused=BUSY)
        assert call.result().status_code == 429
    serve_by(daemon, caller)

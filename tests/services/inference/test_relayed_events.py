"""What a daemon passes on of an answer is held while it may be the last of it, and no more than answers have."""

import json

from dc1.control.scheduling.job_feed import TokenChunk
from dc1.domain.inference.events import AnswerEvent
from dc1.domain.inference.kept_events import MOST_CHARACTERS
from dc1.services.inference.relayed_events import RelayedEvents

LARGE = AnswerEvent.read(json.dumps({"usage": {}, "x": "x" * 1_000_000}).encode())
ROUNDS = 40


def said(at: int) -> TokenChunk:
    assert LARGE is not None
    return TokenChunk(1, "", 0, events=(LARGE,), event_offset=at)


def test_a_daemon_that_says_the_end_again_and_again_is_not_heard_out() -> None:
    for events in (RelayedEvents(), RelayedEvents(in_one_piece=True)):
        for at in range(ROUNDS):
            assert events.take(said(at)) == []
        assert sum(len(event.text) for event in events.held) < MOST_CHARACTERS + 2_000_000
        assert events.is_behind
        assert not events.is_whole

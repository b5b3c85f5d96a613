"""What an engine says to one replica is put together again on another."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from dc1.control.cluster import heard_events, waiting_texts
from dc1.control.cluster.heard_events import HeardEvents
from dc1.control.cluster.shared_texts import SharedTexts
from dc1.control.cluster.waiting_texts import WaitingTexts
from dc1.control.config import ControlConfig
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.job_feed import TokenChunk
from dc1.domain.access.call_use import CallUse
from dc1.domain.base.clock import SystemClock
from dc1.domain.inference.events import AnswerEvent
from dc1.storage.cluster.change_feed import Heard, SharedEvent, SharedTokens, read_payload

ROW = 7


def event(content: str) -> AnswerEvent:
    found = AnswerEvent.read(json.dumps({"choices": [{"index": 1, "delta": {"content": content}}]}).encode())
    assert found is not None
    return found


def chunk(*contents: str, offset: int = 0, is_last: bool = False) -> TokenChunk:
    events = tuple(map(event, contents))
    return TokenChunk(2, "".join(contents), 3, 0, events, event_offset=offset, is_last=is_last)


def notified(texts: WaitingTexts) -> list[Heard]:
    """What another replica reads of all that waits, by notifications that PostgreSQL takes."""
    heard: list[Heard] = []
    while taken := texts.take():
        told = {"from": "a", "tokens": [], "events": []}
        for item in taken:
            name = "tokens" if isinstance(item, SharedTokens) else "events"
            told[name].append([getattr(item, field) for field in item.__slots__])  # type: ignore[attr-defined]
        payload = json.dumps(told)
        assert len(payload) < 8_000
        heard += read_payload(payload)[1]
    return heard


def put_together(heard: list[Heard], events: HeardEvents) -> list[TokenChunk]:
    found = (events.take(item) for item in heard if isinstance(item, SharedEvent))
    return [each for each in found if each is not None]


@pytest.mark.parametrize("content", ["a", '"\\\n' * 9_000, "\U0001f600م" * 9_000])
def test_events_come_as_they_were_said(content: str) -> None:
    texts, said = WaitingTexts(), chunk("first", content, is_last=True)
    texts.add(ROW, said)
    heard = notified(texts)
    chunks = put_together(heard, HeardEvents())
    assert tuple(each.events[0].text for each in chunks) == tuple(each.text for each in said.events)
    assert [(each.event_offset, each.is_last) for each in chunks] == [(0, False), (1, True)]
    # An older server has nothing but this.
    assert "".join(item.text for item in heard if isinstance(item, SharedTokens)) == said.text


def test_words_for_one_server_wait_for_words_for_all_and_for_nothing_else() -> None:
    core = Core.empty(cast(Any, None), SystemClock(), ControlConfig())
    hearers: set[str | None] = {None}
    texts = SharedTexts(core, lambda row_id: hearers)

    def taken() -> list[tuple[str | None, list[str]]]:
        return [(name, [type(each).__name__ for each in said]) for name, said in texts.take({"b", "c"})]

    texts.share(ROW, TokenChunk(1, "a" * 20_000, 1, 0))
    hearers = {"b"}
    texts.share(ROW, TokenChunk(1, "b", 1, 20_000))
    order = [taken() for _ in range(8)]
    found = [name for each in order for name, _ in each]
    assert found == [None] * (len(found) - 1) + ["b"]
    assert not texts
    for _ in range(100):
        texts.share_use(CallUse("a", "renter-1", 1, 1, 0, 0, 0))
    texts.share(ROW, TokenChunk(1, "c", 1, 20_001))
    (_, (name, said)) = taken()
    assert (name, said) == ("b", ["SharedTokens"])
    assert texts, "the rest of what was used goes next"


def test_the_end_comes_without_an_event_too() -> None:
    texts = WaitingTexts()
    texts.add(ROW, TokenChunk(2, "", 0, event_offset=5, is_last=True))
    (end,) = put_together(notified(texts), HeardEvents())
    assert (end.events, end.event_offset, end.is_last) == ((), 5, True)


def test_an_event_that_lacks_a_part_is_dropped_and_the_next_is_whole() -> None:
    texts, events = WaitingTexts(), HeardEvents()
    texts.add(ROW, chunk("x" * 10_000, "y" * 10_000))
    heard = [item for item in notified(texts) if isinstance(item, SharedEvent)]
    for missing in (0, 1):
        (found,) = put_together([*heard[:missing], *heard[missing + 1 :]], events)
        assert found.event_offset == 1
    assert events._length == 0


def test_what_never_ends_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard_events, "MOST_CHARACTERS", 100)
    events, part = HeardEvents(), SharedEvent(0, 1, 0, 0, "x" * 30, is_end=False, is_last=False)
    for row in range(50):
        events.take(replace(part, row_id=row))
    assert len(events._begun) == 3


def test_the_largest_answer_waits_whole() -> None:
    texts = WaitingTexts()
    texts.add(ROW, chunk('"\n' * (2 * 1024 * 1024), is_last=True))
    (found,) = put_together(notified(texts), HeardEvents())
    assert found.is_last


def test_events_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_texts, "MOST_BYTES", 20_000)
    texts = WaitingTexts()
    for number in range(50):
        texts.add(ROW, chunk("x" * 2_000, offset=number))
    assert texts._size <= 20_000
    newest = put_together(notified(texts), HeardEvents())[-1]
    assert newest.event_offset == 49
    assert texts._size == 0

"""Text that waits for notifications."""

import json
from dataclasses import astuple
from typing import Any

from dc1.control.cluster.waiting_texts import MOST_PIECES, WaitingTexts
from dc1.control.scheduling.job_feed import TokenChunk
from dc1.domain.inference.usage import NOTHING_RELAYED
from dc1.storage.cluster.change_feed import SharedTokens


def test_text_is_taken_in_order_and_in_pieces_that_fit_a_notification() -> None:
    texts, text = WaitingTexts(), "".join(chr(0x627 + number % 20) for number in range(5_000))
    texts.add(1, TokenChunk(2, text, 7, offset=100))
    pieces: list[Any] = []
    while taken := texts.take():
        assert len(json.dumps([astuple(piece) for piece in taken])) <= 7_000
        pieces += taken
    assert "".join(piece.text for piece in pieces) == text
    assert [piece.count for piece in pieces] == [7] + [0] * (len(pieces) - 1)
    starts = [sum(len(piece.text) for piece in pieces[:number]) for number in range(len(pieces))]
    assert [piece.offset for piece in pieces] == [100 + start for start in starts]


def test_it_is_known_of_which_jobs_text_waits() -> None:
    texts = WaitingTexts()
    texts.add(1, TokenChunk(1, "بحر" * 3_000, 1))
    texts.add(2, TokenChunk(1, "sea", 1))
    assert (texts.has_of(1), texts.has_of(2), texts.has_of(3)) == (True, True, False)
    while texts:
        texts.take()
    assert not (texts.has_of(1))
    assert not (texts.has_of(2))


def test_what_nobody_takes_is_bounded_and_the_newest_is_kept() -> None:
    texts = WaitingTexts()
    for number in range(3 * MOST_PIECES):
        texts.add(1, TokenChunk(1, f"{number} ", 1))
    assert len(texts) == MOST_PIECES
    (oldest, *_) = texts.take()
    assert isinstance(oldest, SharedTokens)
    assert oldest.text == f"{2 * MOST_PIECES} "


def test_what_follows_on_what_waits_is_told_in_one_piece_and_counts_the_same() -> None:
    texts, said = WaitingTexts(), ["The ", "sea ", "", "is ", "بحر"]
    counts, heard, offset = [1, 9, 0, 0, 1], NOTHING_RELAYED, 0
    for text, count in zip(said, counts, strict=True):
        texts.add(1, TokenChunk(1, text, count, offset=offset))
        texts.add(2, TokenChunk(1, "x", 1, offset=offset))
        heard = heard.plus(text, count) if text else heard
        offset += len(text)
    pieces = [piece for piece in texts.take() if isinstance(piece, SharedTokens) and piece.row_id == 1]
    assert [(piece.text, piece.offset) for piece in pieces] == [("".join(said), 0)]
    assert NOTHING_RELAYED.plus(pieces[0].text, pieces[0].count) == heard
    assert not texts.take()


def test_text_of_another_attempt_or_behind_a_gap_is_a_piece_of_its_own() -> None:
    texts = WaitingTexts()
    for attempt, offset in ((1, 0), (2, 1), (2, 5)):
        texts.add(1, TokenChunk(attempt, "x", 1, offset=offset))
    assert [piece.text for piece in texts.take() if isinstance(piece, SharedTokens)] == ["x"] * 3

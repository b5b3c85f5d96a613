"""Text that waits for notifications."""

from dc1.control.cluster.waiting_texts import MOST_PIECES, WaitingTexts
from dc1.control.scheduling.job_feed import TokenChunk


def test_text_is_taken_in_order_and_in_pieces_that_fit_a_notification() -> None:
    texts, text = WaitingTexts(), "".join(chr(0x627 + number % 20) for number in range(5_000))
    texts.add(1, TokenChunk(2, text, 7, offset=100))
    pieces = []
    while taken := texts.take():
        assert sum(len(piece.text) * 12 + 64 for piece in taken) <= 7_000
        pieces += taken
    assert "".join(piece.text for piece in pieces) == text
    assert [piece.count for piece in pieces] == [7] + [0] * (len(pieces) - 1)
    assert [piece.offset for piece in pieces] == [100 + 578 * number for number in range(len(pieces))]


def test_what_nobody_takes_is_bounded_and_the_newest_is_kept() -> None:
    texts = WaitingTexts()
    for number in range(3 * MOST_PIECES):
        texts.add(1, TokenChunk(1, f"{number} ", 1))
    assert len(texts) == MOST_PIECES
    assert texts.take()[0].text == f"{2 * MOST_PIECES} "

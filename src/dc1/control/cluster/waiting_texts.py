"""Generated text that waits to be shown to readers on other replicas."""

from collections import deque

from dc1.control.scheduling.job_feed import TokenChunk
from dc1.storage.cluster.change_feed import SharedTokens

# PostgreSQL limits a notification to 8000 bytes; escaped as JSON, a character takes up to twelve.
_LARGEST_PAYLOAD = 7_000
_ESCAPED_LENGTH = 12
_ENVELOPE_LENGTH = 64
_LARGEST_TEXT = (_LARGEST_PAYLOAD - _ENVELOPE_LENGTH) // _ESCAPED_LENGTH
MOST_PIECES = 10_000
"""What waits for a database that is slow; the oldest go, for the result has everything."""


class WaitingTexts:
    """Pieces in order, each of which fits a notification."""

    def __init__(self) -> None:
        self._pieces: deque[SharedTokens] = deque(maxlen=MOST_PIECES)

    def __len__(self) -> int:
        return len(self._pieces)

    def add(self, row_id: int, tokens: TokenChunk) -> None:
        """Put a job's text last, in as many pieces as it takes."""
        for start in range(0, len(tokens.text), _LARGEST_TEXT):
            piece = tokens.text[start : start + _LARGEST_TEXT]
            offset = None if tokens.offset is None else tokens.offset + start
            count = tokens.count if start == 0 else 0
            self._pieces.append(SharedTokens(row_id, tokens.attempt, piece, count, offset))

    def take(self) -> list[SharedTokens]:
        """Take out as many of the oldest as one notification carries."""
        taken: list[SharedTokens] = []
        size = 0
        while self._pieces:
            size += len(self._pieces[0].text) * _ESCAPED_LENGTH + _ENVELOPE_LENGTH
            if taken and size > _LARGEST_PAYLOAD:
                break
            taken.append(self._pieces.popleft())
        return taken

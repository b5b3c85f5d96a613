"""What waits to be told to other replicas: generated text for readers there, and what callers used of their limits."""

import json
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dc1.control.scheduling.job_feed import TokenChunk
from dc1.domain.access.call_use import CallUse
from dc1.domain.inference.usage import RelayedText
from dc1.storage.cluster.change_feed import Shared, SharedEvent, SharedTokens

# PostgreSQL limits a notification to 8000 bytes; escaped as JSON, a character takes up to twelve.
_LARGEST_PAYLOAD = 7_000
_ESCAPED_LENGTH = 12
_ENVELOPE_LENGTH = 64
_LARGEST_TEXT = (_LARGEST_PAYLOAD - _ENVELOPE_LENGTH) // _ESCAPED_LENGTH
_LARGEST_PART = 3_000
_USE_LENGTH = 160
_QUOTES_LENGTH = 2
MOST_PIECES = 10_000
MOST_BYTES = 24 * 1024 * 1024
"""What waits for a database that is slow; the oldest go, for the result has everything but further answers."""


@dataclass(slots=True)
class _Piece:
    """What fits a notification, and how much of it that takes."""

    shared: Shared
    size: int


class WaitingTexts:
    """Pieces in order, each of which fits a notification; what follows on the last of a job waits in one with it."""

    def __init__(self) -> None:
        self._pieces: deque[_Piece] = deque()
        self._last: dict[int, _Piece] = {}
        """The piece of each job that the next text of its may be put to."""
        self._of_job: Counter[int] = Counter()
        self._size = 0

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def has_text(self) -> bool:
        """Whether something waits that any run said."""
        return bool(self._of_job)

    def has_of(self, row_id: int) -> bool:
        """Tell whether something waits that a job's run said."""
        return row_id in self._of_job

    def add(self, row_id: int, tokens: TokenChunk) -> None:
        """Put what a job's run said last, in as many pieces as it takes."""
        # What the engine says goes before the text in it: whoever reads the one passes over the other, and an older
        # server knows the text alone.
        for part in _parts(row_id, tokens):
            self._put(part)
            # Text that comes after it must not be told before it.
            self._last.pop(row_id, None)
        start = 0
        for text in _fitting(tokens.text):
            offset = None if tokens.offset is None else tokens.offset + start
            self._put(SharedTokens(row_id, tokens.attempt, text, tokens.count if start == 0 else 0, offset))
            start += len(text)

    def add_use(self, use: CallUse) -> None:
        """Put what was used of a limit."""
        self._put(use)

    def _put(self, piece: Shared) -> None:
        size = _USE_LENGTH if isinstance(piece, CallUse) else _size(piece.text)
        if isinstance(piece, SharedTokens):
            last = self._last.get(piece.row_id)
            if last is not None and (joined := _joined(last.shared, piece)) is not None:
                last.shared = joined
                more = size - _ENVELOPE_LENGTH - _QUOTES_LENGTH
                last.size += more
                self._size += more
                return
        waiting = _Piece(piece, size)
        if isinstance(piece, SharedTokens):
            self._last[piece.row_id] = waiting
        self._pieces.append(waiting)
        self._size += size
        if not isinstance(piece, CallUse):
            self._of_job[piece.row_id] += 1
        while len(self._pieces) > MOST_PIECES or self._size > MOST_BYTES:
            self._pop()

    def take(self) -> list[Shared]:
        """Take out as many of the oldest as one notification carries."""
        taken: list[Shared] = []
        size = 0
        while self._pieces:
            size += self._pieces[0].size
            if taken and size > _LARGEST_PAYLOAD:
                break
            taken.append(self._pop())
        return taken

    def _pop(self) -> Shared:
        waiting = self._pieces.popleft()
        piece = waiting.shared
        self._size -= waiting.size
        if not isinstance(piece, CallUse):
            if self._last.get(piece.row_id) is waiting:
                del self._last[piece.row_id]
            self._of_job[piece.row_id] -= 1
            if not self._of_job[piece.row_id]:
                del self._of_job[piece.row_id]
        return piece


def _joined(last: Shared, piece: SharedTokens) -> SharedTokens | None:
    """Return two pieces of text as one, None where the second does not follow on the first or they are too long."""
    if not isinstance(last, SharedTokens) or last.offset is None or last.attempt != piece.attempt:
        return None
    text = last.text + piece.text
    if piece.offset != last.offset + len(last.text) or len(text) > _LARGEST_TEXT:
        return None
    # Counted as whoever hears them counts each: one at least, and no more than it has bytes.
    return replace(
        last, text=text, count=sum(RelayedText().plus(each.text, each.count).tokens for each in (last, piece))
    )


def _size(text: str) -> int:
    return len(json.dumps(text)) + _ENVELOPE_LENGTH


def _parts(row_id: int, tokens: TokenChunk) -> Iterator[SharedEvent]:
    for number, event in enumerate(tokens.events):
        offset, is_last = tokens.event_offset + number, tokens.is_last and number == len(tokens.events) - 1
        texts = [*_fitting(event.text)]
        start = 0
        for at, text in enumerate(texts, 1):
            is_end = at == len(texts)
            yield SharedEvent(row_id, tokens.attempt, offset, start, text, is_end, is_end and is_last)
            start += len(text)
    if tokens.is_last and not tokens.events:
        yield SharedEvent(row_id, tokens.attempt, tokens.event_offset, 0, "", is_end=False, is_last=True)


def _fitting(text: str) -> Iterator[str]:
    """Yield the parts of a text, in order."""
    # By the length that most have: a printable character of ASCII takes two at the most.
    for start in range(0, len(text), _LARGEST_PART):
        part = text[start : start + _LARGEST_PART]
        if _size(part) <= _LARGEST_PAYLOAD:
            yield part
        else:
            yield from (part[at : at + _LARGEST_TEXT] for at in range(0, len(part), _LARGEST_TEXT))

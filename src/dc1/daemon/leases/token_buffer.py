"""What a run generates, until it is sent."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from dc1.daemon.leases.token_pace import TokenPace

MAX_TOKEN_CHARS = 200_000
"""Generated text kept for a server that cannot be reached; the oldest goes first, for the result has it all."""

_MOST_EVENT_CHARS: Final = 16 * 1024 * 1024
"""The same of what an engine said, of which one event may have 8 MiB."""

_BATCH_CHARS: Final = 512 * 1024
"""Events of one batch: a message that is larger for one event alone still fits the stream."""


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Generated text, how many tokens it is, and how many characters the run generated before it.

    `events` is what the engine said meanwhile, `event_offset` how many came before, and `is_last` that none follows.
    """

    text: str
    count: int
    offset: int = 0
    events: tuple[str, ...] = ()
    event_offset: int = 0
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    event: str


class TokenBuffer:
    """Generated text that was not sent yet."""

    def __init__(self, max_chars: int = MAX_TOKEN_CHARS) -> None:
        self._max_chars = max_chars
        self._pieces: deque[_Piece] = deque()
        self._chars = self._event_chars = 0
        self._offset = self._event_offset = 0
        self._is_last = False
        self.pace = TokenPace()
        self._opened_at = 0.0
        self._taken_at = float("-inf")

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def append(self, text: str, now: float, event: str = "", *, is_last: bool = False) -> None:
        """Add a token, and what the engine said with it."""
        if not self._pieces:
            self._opened_at = now
        self._pieces.append(_Piece(text, event))
        self._chars += len(text)
        self._event_chars += len(event)
        self._is_last = self._is_last or is_last
        while self._chars > self._max_chars or self._event_chars > _MOST_EVENT_CHARS:
            self._pass(self._pieces.popleft())

    def due_at(self) -> float | None:
        """Return when the text may be sent; None without any."""
        # Text is due at once; what is made while the stream is written to, or under load, goes together.
        return max(self._opened_at, self._taken_at + self.pace.pause_seconds) if self._pieces else None

    def take(self, now: float) -> TokenBatch:
        """Return the text and forget it; where the engine said very much, the rest is for the next time."""
        offset, event_offset = self._offset, self._event_offset
        taken: list[_Piece] = []
        size = 0
        while self._pieces and (not taken or size + len(self._pieces[0].event) <= _BATCH_CHARS):
            piece = self._pieces.popleft()
            size += len(piece.event)
            self._pass(piece)
            taken.append(piece)
        self.pace.sent(now)
        if self._offset or self._event_offset > len(taken):
            # What is said first is often no word yet, which a caller waits for.
            self._taken_at = now
        return TokenBatch(
            text="".join(piece.text for piece in taken),
            count=sum(bool(piece.text) for piece in taken),
            offset=offset,
            events=tuple(piece.event for piece in taken if piece.event),
            event_offset=event_offset,
            is_last=self._is_last and not self._pieces,
        )

    def _pass(self, piece: _Piece) -> None:
        # The offsets grow by what goes, sent or dropped, so that the server can tell a gap from a repetition.
        self._chars -= len(piece.text)
        self._offset += len(piece.text)
        self._event_chars -= len(piece.event)
        self._event_offset += bool(piece.event)

"""The events of an answer that its daemon passes on: in order, and none after a gap."""

from collections.abc import Iterator, Sequence

from dc1.control.scheduling.job_feed import TokenChunk
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.inference.events import AnswerEvent
from dc1.domain.inference.kept_events import MOST_CHARACTERS
from dc1.domain.inference.typed_answers import usage_in


class RelayedEvents:
    """Those of one answer. `is_behind` once one is missing, or too much of what may be the last is `held`."""

    def __init__(self, *, in_one_piece: bool = False) -> None:
        """`in_one_piece` is set for an answer that is told once all of it is there, whatever it says of its end."""
        self._in_one_piece = in_one_piece
        self.is_behind = False
        self.held: list[AnswerEvent] = []
        self._held_size = 0
        self._is_over = False
        self._taken = 0
        self._attempt = 0

    @property
    def is_used(self) -> bool:
        """Whether the daemon passes on events at all; one that does not sends the text alone."""
        return self._taken > 0 or self._is_over or self.is_behind

    @property
    def is_whole(self) -> bool:
        """Whether everything has come."""
        return self._is_over and not self.is_behind

    def take(self, chunk: TokenChunk) -> list[AnswerEvent]:
        """Return what can be told now; what says how the answer ends is told when it is known to be paid."""
        if not (chunk.events or chunk.is_last or chunk.event_offset):
            return []
        if chunk.attempt != self._attempt:
            # A call that failed before anything of it was told is made again, elsewhere.
            self.is_behind = self.is_behind or self._taken > len(self.held)
            self._attempt, self._taken, self._is_over, self.held, self._held_size = chunk.attempt, 0, False, [], 0
        self.is_behind = self.is_behind or chunk.event_offset != self._taken or self._held_size > MOST_CHARACTERS
        if self.is_behind:
            return []
        self._taken += len(chunk.events)
        self._is_over = chunk.is_last
        ready: list[AnswerEvent] = []
        for event in chunk.events:
            self.held.append(event)
            self._held_size += len(event.text)
            # Of several answers one may end while others go on.
            if not (event.is_end or self._in_one_piece):
                ready += self.held
                self.held, self._held_size = [], 0
        return ready

    def heal(self, attempt: int, said: Sequence[str]) -> list[AnswerEvent]:
        """Return what can be told now that all that was said is known, from wherever a part was lost."""
        told = self._taken if attempt == self._attempt else 0
        events = AnswerEvent.read_all([text.encode() for text in said[told:]])
        self.is_behind = False
        return self.take(TokenChunk(attempt, "", 0, events=events, event_offset=told, is_last=True))

    def last_chunks(self, names: JsonObject, usage: JsonObject, *, wants_usage: bool) -> Iterator[str]:
        """Yield what was held of a stream, with the tokens that are paid where its caller looks for them."""
        told = self.held if wants_usage else [event for event in self.held if event.choices]
        bearers = [event for event in told if usage_in(event.values)] or told[-1:]
        for event in told:
            yield event.told(**names, **(_paid(event, usage) if event in bearers else {}))

    def whole(self, names: JsonObject, usage: JsonObject) -> str | None:
        """Return an answer that came in one piece, with the tokens that are paid."""
        if not self.is_whole or len(self.held) != 1:
            return None
        return self.held[0].told(**names, **_paid(self.held[0], usage))


def _paid(event: AnswerEvent, usage: JsonObject) -> JsonObject:
    """Return what to change of an event so that it says what is paid: nothing where the engine says the same."""
    said = usage_in(event.values) or {}
    return {} if all(_says(said.get(name), usage[name]) for name in usage) else {"usage": said | usage}


def _says(said: JsonValue, paid: JsonValue) -> bool:
    """Tell whether an engine says what is paid, of details whatever else they have beside it."""
    if isinstance(said, dict) and isinstance(paid, dict):
        return all(said.get(name) == count for name, count in paid.items())
    return said == paid

"""What engines said to other servers, put together again from the parts that notifications carry."""

from dataclasses import dataclass, field

from dc1.control.scheduling.job_feed import TokenChunk
from dc1.domain.inference.events import AnswerEvent
from dc1.storage.cluster.change_feed import SharedEvent

MOST_CHARACTERS = 32 * 1024 * 1024
"""What waits for its rest, which never comes where a server died in between: the oldest go."""


@dataclass(slots=True)
class _Begun:
    attempt: int
    offset: int
    parts: list[str] = field(default_factory=list)
    length: int = 0


class HeardEvents:
    """Of each job the event that has not come in full."""

    def __init__(self) -> None:
        self._begun: dict[int, _Begun] = {}
        self._length = 0

    def take(self, item: SharedEvent) -> TokenChunk | None:
        """Return what is complete with this part; an event that is missing one is dropped, which leaves a gap."""
        if not item.text:
            return _chunk(item, ())
        begun = self._begun.get(item.row_id)
        if item.start == 0:
            self._drop(item.row_id)
            begun = self._begun[item.row_id] = _Begun(item.attempt, item.offset)
        if begun is None or (begun.attempt, begun.offset, begun.length) != (item.attempt, item.offset, item.start):
            self._drop(item.row_id)
            return None
        begun.parts.append(item.text)
        begun.length += len(item.text)
        self._length += len(item.text)
        if item.is_end:
            self._drop(item.row_id)
            event = AnswerEvent.read("".join(begun.parts).encode("utf-8", "surrogatepass"))
            return None if event is None else _chunk(item, (event,))
        while self._length > MOST_CHARACTERS:
            self._drop(next(iter(self._begun)))
        return None

    def _drop(self, row_id: int) -> None:
        begun = self._begun.pop(row_id, None)
        if begun is not None:
            self._length -= begun.length


def _chunk(item: SharedEvent, events: tuple[AnswerEvent, ...]) -> TokenChunk:
    return TokenChunk(item.attempt, "", 0, events=events, event_offset=item.offset, is_last=item.is_last)

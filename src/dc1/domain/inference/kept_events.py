"""What an engine said of a call whose caller waits at another server, for when notifications of it are lost."""

from collections.abc import Sequence

from dc1.domain.base.json_types import JsonValue
from dc1.domain.inference.events import AnswerEvent
from dc1.domain.inference.kinds import needs_bodies
from dc1.domain.jobs.results import tool_calls

MOST_CHARACTERS = 9 * 1024 * 1024
"""As much as a caller's buffer has; of a longer answer nothing is kept."""


class KeptEvents:
    """All events of one answer, or none once one is missing."""

    def __init__(self) -> None:
        self._texts: list[str] | None = []
        self._size = 0
        self._has_several = False

    def add(self, events: Sequence[AnswerEvent], offset: int) -> None:
        """Keep what follows what is kept."""
        if self._texts is None:
            return
        self._size += sum(len(event.text) for event in events)
        if offset != len(self._texts) or self._size > MOST_CHARACTERS:
            self._texts = None
            return
        self._texts += (event.text for event in events)
        self._has_several = self._has_several or any(
            choice.get("index") not in (0, None) for event in events for choice in event.choices
        )

    def beside(self, result: JsonValue, path: str | None) -> list[str] | None:
        """Return what is to be stored beside a result; None where that says all that a caller may be told of it."""
        is_wanted = needs_bodies(path, {}) or self._has_several or bool(tool_calls(result))
        return self._texts if is_wanted and self._texts else None

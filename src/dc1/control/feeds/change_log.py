"""Which things changed since a moment: one entry a thing, however often it changed."""

from collections import OrderedDict
from itertools import takewhile
from typing import Generic, TypeVar

K = TypeVar("K")


class ChangeLog(Generic[K]):
    """Things in the order in which they last changed. Moments are numbers that only grow.

    A reader remembers the moment up to which it knows everything, so a slow one costs nothing and is told less: what
    changed ten times meanwhile is told once, as it is when it is told.
    """

    def __init__(self) -> None:
        self._changed_at: OrderedDict[K, int] = OrderedDict()
        self.moment = 0

    def note(self, thing: K) -> None:
        """Note that a thing changed just now."""
        self.moment += 1
        self._changed_at[thing] = self.moment
        self._changed_at.move_to_end(thing)

    def changed_at(self, thing: K) -> int:
        """Return the moment of a thing's last change; 0 for one that never changed."""
        return self._changed_at.get(thing, 0)

    def since(self, moment: int) -> list[K]:
        """Return what changed after a moment, the latest first; costs what changed, not what there is."""
        latest_first = reversed(self._changed_at.items())
        return [thing for thing, _ in takewhile(lambda entry: entry[1] > moment, latest_first)]

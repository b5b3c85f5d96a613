"""The streams under `/v1` that a server tells, and how closely daemons are to say what they generate for them."""

from collections.abc import Iterator
from contextlib import contextmanager

_MANY = 32
"""So many streams have each token at once, however fast their engines are."""

_TOLD_A_SECOND = 1_000
"""Batches that all callers of a server are told in a second beyond that: each costs by itself, whatever it holds."""

_MOST_SECONDS = 0.25
"""What a reader does not take for a stop."""


class ToldStreams:
    """Counts them; the more there are, the more daemons say at a time.

    By their number and not by how late the server is: it would be in time again as soon as daemons say less often, and
    a pace that swings would be no help.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._streams = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one stream while it lasts."""
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    @property
    def gather_seconds(self) -> float:
        """Least time between two batches of what one run generates, 0 to 0.25; a run's first goes at once."""
        return min(_MOST_SECONDS, self._streams / _TOLD_A_SECOND) if self._streams > _MANY else 0.0

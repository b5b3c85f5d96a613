"""Streams that are open, counted by method, for operators to see."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from dc1.services.api.refusals import short_name


class OpenStreams:
    """Counts by method: those of daemons and readers, and of standard health and reflection."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @contextmanager
    def counted(self, method: str) -> Iterator[None]:
        """Count a stream of `/package.Service/Method` while the block runs."""
        name = short_name(method)
        self._counts[name] += 1
        try:
            yield
        finally:
            self._counts[name] -= 1

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Yield `Service/Method` and how many are open, of those that have any."""
        yield from sorted((name, count) for name, count in self._counts.items() if count)

"""Streams that are open, counted by method, for operators to see."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager

from dc1.services.api.refusals import short_name


class OpenStreams:
    """Counts by method: those of daemons and readers, and of standard health and reflection."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def counted(self, method: str) -> AbstractContextManager[None]:
        """Count a stream of `/package.Service/Method` while the block runs."""
        return _Counted(self._counts, short_name(method))

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Yield `Service/Method` and how many are open, of those that have any."""
        yield from sorted((name, count) for name, count in self._counts.items() if count)


class _Counted(AbstractContextManager[None]):
    """One more while the block runs; no generator, which would stay in memory with each of ten thousand."""

    __slots__ = ("_counts", "_name")

    def __init__(self, counts: Counter[str], name: str) -> None:
        self._counts = counts
        self._name = name

    def __enter__(self) -> None:
        self._counts[self._name] += 1

    def __exit__(self, *_: object) -> None:
        self._counts[self._name] -= 1

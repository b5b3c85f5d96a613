"""Who waits to hear that a key has changed: streams, which must not outlast the key that opened them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class KeyWatch:
    """Watchers by key, because there may be many streams of one; an account's are found by who holds the key."""

    def __init__(self) -> None:
        self._watched: dict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def watching(self, key_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever a key, or the account behind one, may have changed."""
        changed = asyncio.Event()
        self._watched[key_id].add(changed)
        try:
            yield changed
        finally:
            self._watched[key_id].discard(changed)
            if not self._watched[key_id]:
                del self._watched[key_id]

    def tell(self, key_id: str) -> None:
        """Wake whoever watches a key."""
        for changed in self._watched.get(key_id, ()):
            changed.set()

    def tell_all(self) -> None:
        """Wake everybody."""
        for events in self._watched.values():
            for changed in events:
                changed.set()

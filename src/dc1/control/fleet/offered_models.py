"""Which models providers offer, and which were ever offered."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from heapq import nlargest

_MOST_MODELS = 100_000
"""How many names are kept for ever: a daemon that makes names up must not fill the memory."""

MOST_OF_PROVIDER = 1_000
"""How many of them one provider may bring, so that none keeps the others from naming theirs."""


class OfferedModels:
    """Who offers each model by the last report, and when it was first offered, by its name in any case."""

    def __init__(self) -> None:
        self._first_ms: dict[str, int] = {}
        self._unsaved: dict[str, int] = {}
        self._models: dict[int, frozenset[str]] = {}
        self._providers: defaultdict[str, set[int]] = defaultdict(set)
        self._brought: Counter[int] = Counter()

    def load(self, stored: Mapping[str, int]) -> None:
        """Take over what is stored, by name in lower case."""
        self._first_ms |= stored

    def note(self, provider_id: int, models: Iterable[str], now_ms: int) -> None:
        """Note what an approved provider offers from now on."""
        # Daemons spell names as their runtimes do; callers must find a model however they spell it.
        names = frozenset(model.lower() for model in models)
        before = self._models.get(provider_id, frozenset())
        self._models[provider_id] = names
        for name in before - names:
            self._providers[name].discard(provider_id)
            if not self._providers[name]:
                del self._providers[name]
        for name in names - before:
            self._providers[name].add(provider_id)
            if name not in self._first_ms and self._has_room_for(provider_id):
                self._brought[provider_id] += 1
                self._first_ms[name] = self._unsaved[name] = now_ms

    def _has_room_for(self, provider_id: int) -> bool:
        return len(self._first_ms) < _MOST_MODELS and self._brought[provider_id] < MOST_OF_PROVIDER

    def providers_of(self, model: str) -> Collection[int]:
        """Return the ids of the providers whose last report lists a model, whether or not they are there."""
        return self._providers.get(model.lower(), ())

    def most_offered(self, count: int) -> list[str]:
        """Return the models that most providers list, in lower case."""
        return nlargest(count, self._providers, key=lambda name: (len(self._providers[name]), name))

    def first_ms(self, model: str) -> int | None:
        """Return when a model was first offered, or None when it never was as far as is known here."""
        return self._first_ms.get(model.lower())

    def take_unsaved(self) -> dict[str, int]:
        """Return what is not stored yet, and count it as stored."""
        unsaved, self._unsaved = self._unsaved, {}
        return unsaved

    def keep_unsaved(self, models: Mapping[str, int]) -> None:
        """Put models back that could not be stored."""
        self._unsaved |= models

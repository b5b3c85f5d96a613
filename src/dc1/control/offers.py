"""Which models approved providers ever offered."""

from collections.abc import Iterable, Mapping

_MOST_MODELS = 100_000
"""How many names are kept: a daemon that makes names up must not fill the memory."""


class OfferedModels:
    """When each model was first offered, in epoch milliseconds, by its name in any case."""

    def __init__(self) -> None:
        self._first_ms: dict[str, int] = {}
        self._unsaved: dict[str, int] = {}

    def load(self, stored: Mapping[str, int]) -> None:
        """Take over what is stored, by name in lower case."""
        self._first_ms |= stored

    def note(self, models: Iterable[str], now_ms: int) -> None:
        """Note that models are offered now."""
        for model in models:
            name = model.lower()
            if name not in self._first_ms and len(self._first_ms) < _MOST_MODELS:
                self._first_ms[name] = self._unsaved[name] = now_ms

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

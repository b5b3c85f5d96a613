"""Which providers may have a renter's work, as a key or a call says it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dc1.domain.base.json_types import JsonValue

MOST_PROVIDERS = 100
"""How many a list names at most."""

_MOST_ID = 2**31 - 1
_ID = re.compile("[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """Providers that may have work: those of `only`, where it is said, and none of `ignore`."""

    only: frozenset[int] | None = None
    ignore: frozenset[int] = frozenset()

    @classmethod
    def stored(cls, kept: Mapping[str, Any] | None) -> Self:
        """Return the choice that was stored; nobody is allowed by a list that cannot be read."""
        if kept is None:
            return cls()
        only = kept.get("only")
        return cls(None if only is None else _ids(only), _ids(kept.get("ignore")))

    def to_store(self) -> dict[str, list[int]] | None:
        """Return what is stored of it, None where everybody may have the work."""
        if self.is_open:
            return None
        only = {} if self.only is None else {"only": sorted(self.only)}
        return {**only, "ignore": sorted(self.ignore)}

    @property
    def is_open(self) -> bool:
        """Whether everybody may have the work."""
        return self.only is None and not self.ignore

    def allows(self, provider_id: int) -> bool:
        """Tell whether a provider may have the work."""
        return provider_id not in self.ignore and (self.only is None or provider_id in self.only)

    def within(self, other: Self) -> Self:
        """Return whom both allow."""
        lists = [each for each in (self.only, other.only) if each is not None]
        return type(self)(frozenset.intersection(*lists) if lists else None, self.ignore | other.ignore)


ANY_PROVIDER = ProviderChoice()


def is_provider_ids(sent: JsonValue, *, as_text: bool = False) -> bool:
    """Tell whether somebody sent a list that names providers, by numbers or, where that is usual, also by texts."""
    if not isinstance(sent, list) or not 1 <= len(sent) <= MOST_PROVIDERS:
        return False
    return all(_is_id(each) or (as_text and isinstance(each, str) and bool(_ID.fullmatch(each))) for each in sent)


def provider_ids(sent: JsonValue) -> tuple[int, ...]:
    """Return the ids of a list that names providers, nobody's of none."""
    return tuple(int(str(each)) for each in sent) if isinstance(sent, list) else ()


def _is_id(sent: JsonValue) -> bool:
    return type(sent) is int and 1 <= sent <= _MOST_ID


def _ids(kept: Any) -> frozenset[int]:
    return frozenset(each for each in kept if type(each) is int) if isinstance(kept, list) else frozenset()

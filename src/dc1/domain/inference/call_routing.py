"""What a call says of who should answer it: the `provider` of its body, in the words of OpenRouter's API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from dc1.domain import errors
from dc1.domain.access.provider_choice import ANY_PROVIDER, ProviderChoice, is_provider_ids, provider_ids
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.errors import FieldViolation
from dc1.domain.jobs.placement import Speed

FIELD = "provider"
PREFER = "prefer"
"""The word that jobs have for what a call says by `sort`; of other values it is some engine's own key."""

_LISTS = ("order", "only", "ignore")
_KNOWN = (*_LISTS, "sort", "allow_fallbacks")


class Sort(StrEnum):
    """What a call prefers; all providers of a model cost the same, so that the price never decides between two."""

    PRICE = "price"
    LATENCY = "latency"
    THROUGHPUT = "throughput"


_PREFERENCES = frozenset({*Sort, "reputation"})
_SPEEDS: Mapping[Sort, Speed] = {Sort.LATENCY: Speed.LATENCY, Sort.THROUGHPUT: Speed.THROUGHPUT}


@dataclass(frozen=True, slots=True)
class CallRouting:
    """Who may answer a call, who is asked first, in `order`, and by which speed others are chosen.

    Without `may_fall_back` nobody but those of the order is asked; without an order, nobody after the first.
    """

    choice: ProviderChoice = ANY_PROVIDER
    order: tuple[int, ...] = ()
    speed: Speed | None = None
    may_fall_back: bool = True

    @property
    def may_be_retried(self) -> bool:
        """Whether it goes to another provider when the first one fails it."""
        return self.may_fall_back or bool(self.order)

    @classmethod
    def read(cls, body: JsonObject) -> Self:
        """Return what a body says.

        Raises:
            validation_failed: It says it wrongly, or something that is not known here and would go unheeded.
        """
        said = body.get(FIELD)
        preferred = body.get(PREFER)
        if said is None:
            return cls(speed=_speed(preferred))
        faults = list(_faults(said))
        if faults or not isinstance(said, dict):
            raise errors.validation_failed(faults)
        order, only, ignore = (provider_ids(said.get(name)) for name in _LISTS)
        may_fall_back = said.get("allow_fallbacks") is not False
        choice = ProviderChoice(frozenset(only) or None, frozenset(ignore))
        if order and not may_fall_back:
            choice = choice.within(ProviderChoice(frozenset(order)))
        sort = said.get("sort")
        return cls(choice, order, _speed(preferred if sort is None else sort), may_fall_back)


ANYWHERE = CallRouting()


def own_keys(body: JsonObject) -> Iterator[str]:
    """Yield the keys of a body that say who should answer it, which no engine is sent."""
    if FIELD in body:
        yield FIELD
    said = body.get(PREFER)
    if isinstance(said, str) and said in _PREFERENCES:
        yield PREFER


def _speed(sort: JsonValue) -> Speed | None:
    return _SPEEDS.get(Sort(sort)) if isinstance(sort, str) and sort in [*Sort] else None


def _faults(said: JsonValue) -> Iterator[FieldViolation]:
    if not isinstance(said, dict):
        yield FieldViolation(FIELD, "must be an object")
        return
    for name in said:
        if name not in _KNOWN:
            yield FieldViolation(f"{FIELD}.{name}", f"is not known, only {', '.join(_KNOWN)}")
    for name in _LISTS:
        if said.get(name) is not None and not is_provider_ids(said[name], as_text=True):
            yield FieldViolation(f"{FIELD}.{name}", "must be an array of 1 to 100 ids of providers")
    if said.get("sort") is not None and said["sort"] not in [*Sort]:
        yield FieldViolation(f"{FIELD}.sort", f"must be one of {', '.join(Sort)}")
    if not isinstance(said.get("allow_fallbacks"), bool | None):
        yield FieldViolation(f"{FIELD}.allow_fallbacks", "must be true or false")

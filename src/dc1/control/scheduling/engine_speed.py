"""How fast engines answer, by what was relayed of their last calls: what callers who prefer speed are placed by."""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from dc1.control.feeds.run_counts import RunCounts
from dc1.domain.base.clock import Clock
from dc1.domain.inference.relayed_pace import RelayedPace
from dc1.domain.jobs.placement import Speed
from dc1.storage.cluster.news import ToldSpeed

CALLS = 31
"""So many of its last calls tell an engine's speed: what it was before them is forgotten."""

LEAST_CALLS = 3
"""Fewer may be luck."""

STALE_MS = 3_600_000
"""An engine of which nothing was heard for so long is not known any more."""

_FRESH_MS = STALE_MS // 60
"""So much later at most a list shows that an engine is not known any more."""

_EQUAL = 1.1
"""A tenth is no difference: all callers who prefer speed would be in each other's way at one engine."""

_MOST_REMEMBERED = 10_000
_MOST_TOLD_BYTES = 5_000
_NUMBERS_BYTES = 80
"""How much of a notification speeds may take, and each beside the name of its model."""


@dataclass(frozen=True, slots=True)
class SpeedFigures:
    """Medians of the last calls: time to the first token, and tokens a second from there on."""

    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    calls: int = 0


UNKNOWN = SpeedFigures()


@dataclass(slots=True)
class _Record:
    ttfts_ms: deque[int] = field(default_factory=lambda: deque(maxlen=CALLS))
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=CALLS))
    heard_ms: int = 0
    figures: SpeedFigures = UNKNOWN


class EngineSpeeds:
    """Speeds by model and provider, in memory: those of the calls that this server relayed, and what others tell.

    Of a machine its server tells, as all calls of the machine pass there.
    """

    def __init__(self, clock: Clock, run_counts: RunCounts) -> None:
        self._clock = clock
        self._run_counts = run_counts
        self._records: dict[tuple[str, int], _Record] = {}
        self._of_model: dict[str, dict[int, _Record]] = {}
        self._changes = 0
        self._untold: dict[tuple[str, int], None] = {}

    @property
    def version(self) -> tuple[int, int]:
        """Which version the figures of all are now; they go stale in time as well."""
        return self._changes, self._clock.now_ms() // _FRESH_MS

    def note(self, provider_id: int, model: str, pace: RelayedPace, *, is_here: bool) -> None:
        """Take over what was seen of a call; `is_here` tells whether its daemon is on a stream of this server."""
        if pace.ttft_ms is None:
            return
        # The server of its caller saw it pass as well.
        if is_here:
            self._run_counts.paced(model.lower(), pace)
        record = self._record(provider_id, model.lower())
        record.ttfts_ms.append(pace.ttft_ms)
        if pace.tokens_per_second is not None:
            record.rates.append(pace.tokens_per_second)
        record.heard_ms = self._clock.now_ms()
        # Here and not where it is asked for: there are many who look, at every call.
        if is_here or len(record.ttfts_ms) >= record.figures.calls:
            record.figures = SpeedFigures(_median(record.ttfts_ms), _median(record.rates), len(record.ttfts_ms))
        self._changes += 1
        if is_here:
            self._untold[model.lower(), provider_id] = None

    def take_untold(self) -> tuple[ToldSpeed, ...]:
        """Return speeds of machines that are served here which have changed since they were told, some at a time."""
        found: list[ToldSpeed] = []
        size = 0
        while self._untold and size < _MOST_TOLD_BYTES:
            model, provider_id = key = next(iter(self._untold))
            more = len(json.dumps(model)) + _NUMBERS_BYTES
            if found and size + more > _MOST_TOLD_BYTES:
                break
            del self._untold[key]
            record = self._records.get(key)
            if record is not None and more < _MOST_TOLD_BYTES:
                size += more
                figures = record.figures
                found.append(ToldSpeed(provider_id, model, figures.ttft_ms, figures.tokens_per_second, figures.calls))
        return tuple(found)

    def hear(self, told: ToldSpeed) -> None:
        """Take over what another server has seen of at least as many calls as passed here."""
        record = self._record(told.provider_id, told.model)
        if told.calls >= len(record.ttfts_ms):
            record.figures = SpeedFigures(told.ttft_ms, told.tokens_per_second, told.calls)
            record.heard_ms = self._clock.now_ms()
            self._changes += 1

    def of(self, provider_id: int, model: str) -> SpeedFigures:
        """Return what is known of a provider's engine."""
        record = self._of_model.get(model.lower(), {}).get(provider_id)
        return UNKNOWN if record is None or self._is_stale(record) else record.figures

    def of_model(self, model: str) -> SpeedFigures:
        """Return what is known of all engines of a model: the medians of theirs."""
        known = [self.of(provider_id, model) for provider_id in self._of_model.get(model.lower(), {})]
        return SpeedFigures(
            _middle(each.ttft_ms for each in known),
            _middle(each.tokens_per_second for each in known),
            sum(each.calls for each in known),
        )

    def of_provider(self, provider_id: int, models: Iterable[str]) -> dict[str, SpeedFigures]:
        """Return what is known of a provider's models, of those of which anything is."""
        found = {model: self.of(provider_id, model) for model in models}
        return {model: figures for model, figures in found.items() if figures.calls}

    def fastest(self, model: str, provider_ids: Iterable[int], speed: Speed) -> frozenset[int]:
        """Return who of these is the fastest, with all who are hardly slower; nobody where nothing is known."""
        costs = {each: _cost(self.of(each, model), speed) for each in provider_ids}
        known = {each: cost for each, cost in costs.items() if cost is not None}
        least = min(known.values(), default=0.0)
        return frozenset(each for each, cost in known.items() if cost <= least * _EQUAL)

    def _is_stale(self, record: _Record) -> bool:
        return self._clock.now_ms() - record.heard_ms > STALE_MS

    def _record(self, provider_id: int, model: str) -> _Record:
        record = self._records.pop((model, provider_id), None) or _Record()
        # Back at the end: who was not heard of for longest is forgotten first.
        self._records[model, provider_id] = record
        self._of_model.setdefault(model, {})[provider_id] = record
        if len(self._records) > _MOST_REMEMBERED:
            self._forget(*next(iter(self._records)))
        return record

    def _forget(self, model: str, provider_id: int) -> None:
        del self._records[model, provider_id]
        # A server that is alone tells nobody, and would keep it for ever.
        self._untold.pop((model, provider_id), None)
        del self._of_model[model][provider_id]
        if not self._of_model[model]:
            del self._of_model[model]


def _cost(figures: SpeedFigures, speed: Speed) -> float | None:
    """Return what is less the faster it is: time to the first token, or of a token."""
    if speed is Speed.LATENCY:
        return figures.ttft_ms
    return None if figures.tokens_per_second is None else 1 / figures.tokens_per_second


def _median(values: deque[int] | deque[float]) -> float | None:
    return median(values) if len(values) >= LEAST_CALLS else None


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None

"""What daemons report of their machines: into memory at once, into storage with the next flush."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import TypeAlias, TypeVar

from dc1.control.fleet.offered_models import OfferedModels
from dc1.control.fleet.provider import Provider
from dc1.control.fleet.telemetry import Telemetry
from dc1.domain.base.clock import Clock
from dc1.domain.providers.gpu_sources import GpuSource
from dc1.domain.providers.liveness import Approval
from dc1.domain.providers.reports import Report

K = TypeVar("K")
Listed: TypeAlias = tuple[str, GpuSource]
"""A GPU model by its canonical name, and by whose word machines have it."""


class GpuCounts:
    """Counts that follow each provider, because the dashboard must not walk the fleet."""

    def __init__(self) -> None:
        self._counted: dict[int, tuple[Listed, str | None]] = {}
        self._providers: Counter[Listed] = Counter()
        self._types: Counter[str] = Counter()

    def update(self, provider: Provider) -> None:
        """Count a provider for the model it has now, and no longer for another."""
        before = self._counted.get(provider.id)
        now = ((provider.gpu_name or "", provider.gpu_source), _offered_type(provider))
        if before == now:
            return
        before_listed, before_type = before or (None, None)
        _move(self._providers, before_listed, now[0])
        _move(self._types, before_type, now[1])
        self._counted[provider.id] = now

    @property
    def types(self) -> Collection[str]:
        """The types that daemons of approved providers report, by which orders may name them."""
        return self._types.keys()

    def __len__(self) -> int:
        return len(self._providers)

    def most_common(self) -> list[tuple[Listed, int]]:
        """Return the models, by whose word they are known, and their providers' number, most first."""
        return self._providers.most_common()


def _description(provider: Provider) -> tuple[object, ...]:
    """Return what a report may say of a machine beside what it measured."""
    return provider.hardware_reported, provider.facts, provider.cached_models, provider.vllm_models


def _offered_type(provider: Provider) -> str | None:
    # What anybody may claim is no type of the market: it would be in the refusal that lists them.
    is_offered = provider.approval is Approval.APPROVED and provider.has_gpu
    return provider.gpu_type if is_offered else None


def _move(counts: Counter[K], old: K | None, new: K | None) -> None:
    if old is not None:
        counts[old] -= 1
        # Not kept at 0: anybody may register, and name another model with every beat.
        if not counts[old]:
            del counts[old]
    if new is not None:
        counts[new] += 1


class Reports:
    """Folds heartbeats in, and remembers whose are not stored yet.

    A heartbeat costs no SQL statement: thousands of daemons beat every few seconds, and one flush a second stores what
    all of them said.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offered = OfferedModels()
        self.telemetry = Telemetry()
        self.gpu_counts = GpuCounts()
        self._unstored: dict[int, Provider] = {}

    def take(self, provider: Provider, report: Report, now_ms: int, *, streamed: bool = False) -> bool:
        """Fold a report in, which came by POST unless it was `streamed`; tell whether it says more than measurements.

        The first one does that this server hears: what it loaded was judged by another one, or one of before.
        """
        is_first = not provider.last_beat_slot
        before = _description(provider)
        provider.take_report(report, streamed=streamed)
        is_news = is_first or _description(provider) != before
        if report.gpu_status is not None:
            provider.cards.take(report.gpu_status, now_ms)
        provider.count_beat(now_ms)
        # Most beats list no models; going through those of the last one again would cost more than all the rest.
        if report.cached_models is not None or report.vllm_models is not None:
            self.note_models(provider)
        # A row for each minute, which nobody looks at before the machine is approved.
        if report.gpu_status is not None and provider.approval is Approval.APPROVED:
            self.telemetry.fold(provider.id, report.gpu_status, now_ms)
        if is_news:
            provider.judge(now_ms)
            self.gpu_counts.update(provider)
        self.note_unstored(provider)
        return is_news

    def note_models(self, provider: Provider) -> None:
        """Note what a provider offers, once it is approved: names that anybody may make up are not kept for ever."""
        if provider.approval is Approval.APPROVED:
            self.offered.note(provider.id, provider.models, self._clock.now_ms())

    def note_unstored(self, provider: Provider) -> None:
        """Have a provider's report stored with the next flush."""
        self._unstored[provider.id] = provider

    def take_unstored(self) -> list[Provider]:
        """Return the providers whose reports are to be stored, and count them as stored."""
        unstored, self._unstored = self._unstored, {}
        return list(unstored.values())

    def keep_unstored(self, providers: Iterable[Provider]) -> None:
        """Put providers back whose flush failed."""
        self._unstored.update((provider.id, provider) for provider in providers)

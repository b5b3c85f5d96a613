"""Providers as anybody may see them."""

from decimal import Decimal
from typing import Any, TypeAlias

from google.api import httpbody_pb2

from dc1.control.fleet.provider import Provider
from dc1.domain import errors
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import JsonValue, compact
from dc1.domain.jobs.placement import vram_gb
from dc1.domain.money.pricing import quote
from dc1.domain.providers import liveness, reputation
from dc1.domain.providers.hardware import canonical_gpu_type, is_of_gpu_type
from dc1.domain.providers.telemetry import PERIODS, Rollup
from dc1.services.api.call import current_call
from dc1.services.api.paging import sliced
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.values import message_json, row_id, time_value, to_value
from dc1.services.market.offered import minute_rates
from dc1.services.market.public_rows import PublicRows
from dc1.services.providers.messages import price_per_hour_sar, public_fields
from dc1.services.public.kept_answers import KeptAnswers
from dc1.storage.providers import telemetry
from dcp.v1 import market_service_pb2 as pb

_Wanted: TypeAlias = pb.ListMarketProvidersRequest | pb.ListPublicProvidersRequest | pb.ListAvailableProvidersRequest
_DEFAULT_PERIOD = "24h"
# Contract 8; as long as the pause between two heartbeats by POST, within which little changes.
_PUBLIC_CACHING = "public, max-age=30"


class ListedProviderCalls(ServicerPart):
    """Answers without a credential, on providers."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._rows = PublicRows(parts.plane, self._available_provider)
        self._market_rows = PublicRows(parts.plane, self._market_provider)
        self._lists: KeptAnswers[pb.ListAvailableProvidersResponse] = KeptAnswers()
        self._arrays: KeptAnswers[httpbody_pb2.HttpBody] = KeptAnswers()
        self._markets: KeptAnswers[pb.ListMarketProvidersResponse] = KeptAnswers()

    async def ListMarketProviders(
        self, request: pb.ListMarketProvidersRequest, context: Any
    ) -> pb.ListMarketProvidersResponse:
        """List the providers that can be given work now, with their record and their prices."""
        now_ms = self._plane.clock.now_ms()

        def build() -> pb.ListMarketProvidersResponse:
            found = self._found(request)
            shown = sliced(found, request)
            answer = pb.ListMarketProvidersResponse(
                providers=self._market_rows.of(shown), total=len(found), timestamp=iso(now_ms)
            )
            for row, provider in zip(answer.providers, shown, strict=True):
                # 0 and not null: whoever is in this list has been heard (contract 4.4).
                row.heartbeat_age_seconds = provider.presence.age_seconds(now_ms) or 0
            answer.online_count = sum(row.is_live for row in answer.providers)
            # Bookable is online or degraded and nothing else (contract 4.4).
            answer.degraded_count = len(shown) - answer.online_count
            return answer

        # Once a second, for the ages in it: a beat changes one of them, and nobody counts those by less.
        return self._markets.answer((self._market_rows.version, now_ms // 1000), request, build)

    def _available_provider(self, provider: Provider) -> pb.AvailableProvider:
        return pb.AvailableProvider(**public_fields(self._plane, provider))

    def _market_provider(self, provider: Provider) -> pb.MarketProvider:
        now_ms, rates = self._plane.clock.now_ms(), minute_rates(self._plane)
        shared = public_fields(self._plane, provider)
        price_bps = provider.price_bps(self._plane.fleet.prices)
        score = shared["reliability_score"]
        done, failed = provider.completed_jobs, provider.failed_jobs
        since_ms = liveness.degraded_since_ms(provider.presence, now_ms, self._plane.fleet.thresholds)
        return pb.MarketProvider(
            **shared,
            degraded_since=time_value(since_ms),
            run_mode=provider.run_mode,
            reputation_score=score,
            reputation_tier=reputation.tier(score, done + failed),
            uptime_pct=provider.uptime_pct,
            job_success_rate=round(provider.record.success_percent, 1),
            total_jobs_completed=done,
            # Whole halala in this map, rounded up as a bill of one minute is.
            cost_rates_halala_per_min={name: quote(rate, 1, Decimal(1), price_bps) for name, rate in rates.items()},
        )

    async def ListPublicProviders(self, request: pb.ListPublicProvidersRequest, context: Any) -> httpbody_pb2.HttpBody:
        """List the providers that can be given work now as a plain array."""

        def build() -> httpbody_pb2.HttpBody:
            # Bytes, because a message is always an object in JSON and this route has a bare array (contract 8).
            listed: list[JsonValue] = [
                message_json(row) for row in self._rows.of(sliced(self._found(request), request))
            ]
            return httpbody_pb2.HttpBody(content_type="application/json", data=compact(listed).encode())

        current_call().headers["cache-control"] = _PUBLIC_CACHING
        return self._arrays.answer(self._rows.version, request, build)

    async def ListAvailableProviders(
        self, request: pb.ListAvailableProvidersRequest, context: Any
    ) -> pb.ListAvailableProvidersResponse:
        """List the providers that can be given work now."""

        def build() -> pb.ListAvailableProvidersResponse:
            found = self._found(request)
            return pb.ListAvailableProvidersResponse(providers=self._rows.of(sliced(found, request)), total=len(found))

        return self._lists.answer(self._rows.version, request, build)

    def _found(self, wanted: _Wanted) -> list[Provider]:
        """Return the providers that may be given work and that a request lets through, on all pages."""
        gpu_type = canonical_gpu_type(wanted.gpu_type or wanted.gpu_model)
        place = (wanted.location or wanted.region).lower()
        model = wanted.model.lower()

        def is_wanted(provider: Provider) -> bool:
            return (
                (gpu_type is None or is_of_gpu_type(provider.gpu_type, gpu_type))
                # Rounded as it is shown: a card of 24 GB reports a little less.
                and vram_gb(provider.vram_mib or 0) >= wanted.min_vram_gb
                and place in (provider.location or "").lower()
                and wanted.gpu_source in {"", provider.gpu_source}
                and (not model or model in (name.lower() for name in provider.models))
                and (
                    not wanted.HasField("max_price_per_hour_sar")
                    or price_per_hour_sar(self._plane, provider) <= wanted.max_price_per_hour_sar
                )
            )

        return [provider for provider in self._plane.fleet.lists.available() if is_wanted(provider)]

    async def GetProviderLiveness(
        self, request: pb.GetProviderLivenessRequest, context: Any
    ) -> pb.GetProviderLivenessResponse:
        """Show whether a provider is alive."""
        provider = await self._plane.find_provider(row_id(request.provider_id, errors.provider_not_found))
        presence = provider.presence
        return pb.GetProviderLivenessResponse(
            provider_id=provider.id,
            liveness_status=self._plane.fleet.presence.liveness(provider),
            last_heartbeat=time_value(presence.last_heartbeat_ms),
            heartbeat_age_seconds=to_value(presence.age_seconds(self._plane.clock.now_ms())),
        )

    async def GetProviderMetrics(
        self, request: pb.GetProviderMetricsRequest, context: Any
    ) -> pb.GetProviderMetricsResponse:
        """Show a provider's telemetry, that of the running minute included."""
        provider = await self._plane.find_provider(row_id(request.provider_id, errors.provider_not_found))
        name = request.period or _DEFAULT_PERIOD
        period, now_ms = PERIODS[name], self._plane.clock.now_ms()
        spans = await self._plane.db.read_history(lambda conn: telemetry.read(conn, provider.id, period, now_ms))
        for at_ms, rollup in self._plane.fleet.telemetry.of(provider.id, period, now_ms).items():
            spans.setdefault(at_ms, Rollup()).add(rollup)
        return pb.GetProviderMetricsResponse(
            provider_id=provider.id, period=name, points=[_point(at_ms, spans[at_ms]) for at_ms in sorted(spans)]
        )


def _point(at_ms: int, rollup: Rollup) -> pb.MetricsPoint:
    means = {metric: to_value(mean) for metric, mean in rollup.means().items()}
    return pb.MetricsPoint(at=iso(at_ms), **means)

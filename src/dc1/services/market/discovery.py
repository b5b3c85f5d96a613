"""DiscoveryService: what anybody may know of the market."""

from dataclasses import dataclass
from typing import Any

from google.api import httpbody_pb2

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.domain import errors
from dc1.domain.base import versions
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import JsonValue, compact
from dc1.domain.jobs.states import JOB_TYPES
from dc1.domain.jobs.templates import TEMPLATES, Template
from dc1.domain.money.pricing import halala_to_sar
from dc1.domain.providers import liveness, reputation
from dc1.domain.providers.liveness import Approval, ProviderStatus
from dc1.domain.providers.telemetry import PERIODS, Rollup
from dc1.services.api.call import current_call
from dc1.services.api.values import message_json, row_id, time_value, to_struct, to_value
from dc1.services.providers.rows import provider_row
from dc1.storage.operations import catalog
from dc1.storage.providers import telemetry
from dcp.v1 import discovery_service_pb2 as pb
from dcp.v1 import renter_service_pb2
from dcp.v1.discovery_service_pb2_grpc import DiscoveryServiceServicer

_DEFAULT_PERIOD = "24h"
_PUBLIC_CACHING = "public, max-age=30"


class DiscoveryServicer(DiscoveryServiceServicer):
    """Answers without a credential."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    async def ListMarketProviders(
        self, request: pb.ListMarketProvidersRequest, context: Any
    ) -> pb.ListMarketProvidersResponse:
        """List the providers that can be given work now, with their record and their prices."""
        rates = self._rates()
        rows = [self._market_provider(provider, rates) for provider in self._plane.fleet.lists.available()]
        online = sum(row.is_live for row in rows)
        return pb.ListMarketProvidersResponse(
            providers=rows,
            total=len(rows),
            online_count=online,
            degraded_count=len(rows) - online,
            timestamp=iso(self._plane.clock.now_ms()),
        )

    def _market_provider(self, provider: Provider, rates: dict[str, int]) -> pb.MarketProvider:
        now_ms = self._plane.clock.now_ms()
        row = provider_row(self._plane, provider)
        score = row["reliability_score"]
        done, failed = provider.completed_jobs, provider.failed_jobs
        since_ms = liveness.degraded_since_ms(provider.presence, now_ms, self._plane.fleet.thresholds)
        return pb.MarketProvider(
            **row,
            heartbeat_age_seconds=provider.presence.age_seconds(now_ms) or 0,
            degraded_since=time_value(since_ms),
            run_mode=provider.run_mode,
            reputation_score=score,
            reputation_tier=reputation.tier(score, done + failed),
            uptime_pct=provider.uptime_pct,
            job_success_rate=round(float(reputation.success_percent(done, failed)), 1),
            total_jobs_completed=done,
            cost_rates_halala_per_min=rates,
        )

    async def ListPublicProviders(self, request: pb.ListPublicProvidersRequest, context: Any) -> httpbody_pb2.HttpBody:
        """List the providers that can be given work now as a plain array."""
        available = self._plane.fleet.lists.available()
        rows: list[JsonValue] = [
            message_json(renter_service_pb2.AvailableProvider(**provider_row(self._plane, item))) for item in available
        ]
        current_call().headers["cache-control"] = _PUBLIC_CACHING
        return httpbody_pb2.HttpBody(content_type="application/json", data=compact(rows).encode())

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        """List the models that approved providers have on disk or serve."""
        offers = sorted(self._offers().values(), key=lambda offer: (-offer.online, offer.model.lower()))
        return pb.ListModelsResponse(models=[_model(offer) for offer in offers], total=len(offers))

    def _offers(self) -> dict[str, "_Offer"]:
        now_ms, thresholds = self._plane.clock.now_ms(), self._plane.fleet.thresholds
        offers: dict[str, _Offer] = {}
        for provider in self._plane.fleet:
            if provider.approval is not Approval.APPROVED or provider.suspended:
                continue
            online = provider.status(now_ms, thresholds) is ProviderStatus.ONLINE
            for name, model in {model.lower(): model for model in provider.models}.items():
                offer = offers.setdefault(name, _Offer(model))
                offer.total += 1
                offer.online += online
        return offers

    async def GetProviderMetrics(
        self, request: pb.GetProviderMetricsRequest, context: Any
    ) -> pb.GetProviderMetricsResponse:
        """Show a provider's telemetry, that of the running minute included."""
        provider = await self._plane.provider(row_id(request.provider_id, errors.provider_not_found))
        name = request.period or _DEFAULT_PERIOD
        period, now_ms = PERIODS[name], self._plane.clock.now_ms()
        spans = await self._plane.db.read(lambda conn: telemetry.read(conn, provider.id, period, now_ms))
        for at_ms, rollup in self._plane.fleet.telemetry.of(provider.id, period, now_ms).items():
            spans.setdefault(at_ms, Rollup()).add(rollup)
        return pb.GetProviderMetricsResponse(
            provider_id=provider.id, period=name, points=[_point(at_ms, spans[at_ms]) for at_ms in sorted(spans)]
        )

    async def GetPricing(self, request: pb.GetPricingRequest, context: Any) -> pb.GetPricingResponse:
        """Show the rates that billing uses."""
        rates = self._rates()
        config = self._plane.config
        return pb.GetPricingResponse(
            success=True,
            pricing=[
                pb.JobRate(job_type=job_type, rate_halala_per_minute=rate, rate_sar_per_hour=halala_to_sar(rate * 60))
                for job_type, rate in rates.items()
            ],
            class_multipliers={name: float(factor) for name, factor in config.class_multipliers.items()},
            platform_fee_bps=config.fee_bps,
            count=len(rates),
            timestamp=iso(self._plane.clock.now_ms()),
        )

    def _rates(self) -> dict[str, int]:
        """Return what a minute of each kind of work costs, in halala."""
        return {job_type.value: self._plane.catalog.rate(job_type) for job_type in JOB_TYPES}

    async def ListContainerImages(
        self, request: pb.ListContainerImagesRequest, context: Any
    ) -> pb.ListContainerImagesResponse:
        """List the container images that jobs may name, by name."""
        images = sorted(await self._plane.db.read(catalog.list_images), key=lambda image: image.image_ref)
        return pb.ListContainerImagesResponse(
            images=[
                pb.ContainerImage(
                    id=image.id,
                    image_ref=image.image_ref,
                    image_type=image.image_type,
                    description=image.description,
                    approved_at=iso(image.approved_at_ms),
                )
                for image in images
            ],
            total=len(images),
        )

    async def ListTemplates(self, request: pb.ListTemplatesRequest, context: Any) -> pb.ListTemplatesResponse:
        """List ready-made jobs to start from."""
        return pb.ListTemplatesResponse(templates=[_template(item) for item in TEMPLATES], total=len(TEMPLATES))

    async def GetDaemonVersion(self, request: pb.GetDaemonVersionRequest, context: Any) -> pb.GetDaemonVersionResponse:
        """Name the newest version of the daemon and the oldest that is still good."""
        config = self._plane.config
        return pb.GetDaemonVersionResponse(version=config.daemon_latest_version, min_version=config.daemon_min_version)

    async def GetDaemonDownload(
        self, request: pb.GetDaemonDownloadRequest, context: Any
    ) -> pb.GetDaemonDownloadResponse:
        """Say which daemon to install and where it is."""
        config = self._plane.config
        return pb.GetDaemonDownloadResponse(
            version=versions.plain_version(config.daemon_latest_version),
            min_version=versions.plain_version(config.daemon_min_version),
            download_url=f"{config.installer_base_url.rstrip('/')}/providers/download/daemon",
        )


@dataclass(slots=True)
class _Offer:
    """A model as some provider spells it, and how many providers have it."""

    model: str
    online: int = 0
    total: int = 0


def _model(offer: _Offer) -> pb.OfferedModel:
    return pb.OfferedModel(
        model=offer.model,
        model_id=offer.model,
        display_name=offer.model.rpartition("/")[2] or offer.model,
        providers_online=offer.online,
        providers_total=offer.total,
        providers_count=offer.total,
    )


def _point(at_ms: int, rollup: Rollup) -> pb.MetricsPoint:
    means = {metric: to_value(mean) for metric, mean in rollup.means().items()}
    return pb.MetricsPoint(at=iso(at_ms), **means)


def _template(template: Template) -> pb.JobTemplate:
    return pb.JobTemplate(
        id=template.id,
        name=template.name,
        description=template.description,
        job_type=template.job_type,
        image_type=template.image_type,
        min_vram_gb=template.min_vram_gb,
        duration_minutes=template.duration_minutes,
        params=to_struct(template.params),
        tags=template.tags,
    )

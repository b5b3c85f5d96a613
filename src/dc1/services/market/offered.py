"""What the market offers: models, prices, images, templates, the queue, and the daemon to install."""

from typing import Any

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.model_offers import ModelOffer, model_offers, offered_by
from dc1.domain import errors
from dc1.domain.base import versions
from dc1.domain.base.clock import iso
from dc1.domain.jobs.states import JOB_TYPES, JobType
from dc1.domain.jobs.templates import TEMPLATES, Template
from dc1.domain.money.pricing import halala_to_sar
from dc1.services.api.paging import sliced
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.values import to_struct
from dc1.services.inference.models import model_figures
from dc1.services.public.kept_answers import KeptAnswers
from dc1.services.public.machine_facts import MachineFacts
from dc1.storage.admin import catalog
from dc1.storage.admin.catalog import ImageRow
from dcp.v1 import market_service_pb2 as pb


class OfferedCalls(ServicerPart):
    """Answers without a credential, on everything but providers."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        fleet, clock = self._plane.fleet, self._plane.clock
        self._offered = MachineFacts(self._plane, lambda provider: offered_by(fleet, provider, clock.now_ms()))
        self._models: KeptAnswers[pb.ListModelsResponse] = KeptAnswers()

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        """List the models that approved providers have on disk or serve."""
        rate = self._plane.catalog.rate(JobType.LLM_INFERENCE)

        def build() -> pb.ListModelsResponse:
            offers = model_offers(self._plane.fleet, self._plane.clock.now_ms()).values()
            found = sorted(offers, key=lambda offer: (-offer.online, offer.model.lower()))
            models = [_model(offer, rate) for offer in sliced(found, request)]
            # Twice: some clients read `models`, others `data`, as the OpenAI API has it (contract 8).
            return pb.ListModelsResponse(object="list", models=models, data=models, total=len(found))

        return self._models.answer((self._offered.version, rate), request, build)

    async def GetPricing(self, request: pb.GetPricingRequest, context: Any) -> pb.GetPricingResponse:
        """Show the rates that billing uses."""
        rates = minute_rates(self._plane)
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

    async def ListImageNames(self, request: pb.ListImageNamesRequest, context: Any) -> pb.ListImageNamesResponse:
        """List the names of the images that jobs may name, with what is known of each beside them."""
        images = await self._images()
        details = [_image(image) for image in sliced(images, request)]
        names = [image.image_ref for image in details]
        return pb.ListImageNamesResponse(images=names, details=details, total=len(images))

    async def ListContainerImages(
        self, request: pb.ListContainerImagesRequest, context: Any
    ) -> pb.ListContainerImagesResponse:
        """List the container images that jobs may name, by name."""
        images = await self._images()
        return pb.ListContainerImagesResponse(
            images=[_image(image) for image in sliced(images, request)], total=len(images)
        )

    async def _images(self) -> list[ImageRow]:
        # From the table, as ids, descriptions and dates are not kept in memory.
        return sorted(await self._plane.db.read(catalog.list_images), key=lambda image: image.image_ref)

    async def ListTemplates(self, request: pb.ListTemplatesRequest, context: Any) -> pb.ListTemplatesResponse:
        """List ready-made jobs to start from."""
        tag = request.tag.lower()
        found = [item for item in TEMPLATES if not tag or tag in item.tags]
        listed = [self._template(item) for item in sliced(found, request)]
        return pb.ListTemplatesResponse(templates=listed, total=len(found), count=len(found))

    async def GetTemplate(self, request: pb.GetTemplateRequest, context: Any) -> pb.JobTemplate:
        """Show one ready-made job."""
        for item in TEMPLATES:
            if item.id == request.template_id:
                return self._template(item)
        raise errors.template_not_found()

    def _template(self, template: Template) -> pb.JobTemplate:
        rate = self._plane.catalog.rate(template.job_type)
        return pb.JobTemplate(
            id=template.id,
            name=template.name,
            description=template.description,
            job_type=template.job_type,
            image_type=template.image_type,
            image=template.image or template.image_type,
            min_vram_gb=template.min_vram_gb,
            duration_minutes=template.duration_minutes,
            estimated_price_sar_per_hour=halala_to_sar(rate * 60),
            params=to_struct(template.params),
            tags=template.tags,
        )

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
            # Dotted numbers only, as contract 8 wants it here; `/daemon/latest-version` shows the setting as it is.
            version=versions.plain_version(config.daemon_latest_version),
            min_version=versions.plain_version(config.daemon_min_version),
            download_url=f"{config.installer_base_url.rstrip('/')}/install.sh",
        )

    async def GetQueueStatus(self, request: pb.GetQueueStatusRequest, context: Any) -> pb.GetQueueStatusResponse:
        """Show how many jobs wait and for how long."""
        # Memory, not the table: anybody may ask (contract 8), so it costs no query.
        waiting = self._plane.dispatcher.queue
        buckets = waiting.buckets(self._plane.clock.now_ms())
        return pb.GetQueueStatusResponse(
            queued_total=len(waiting),
            buckets=[
                pb.QueueBucket(
                    pricing_class=bucket.pricing_class,
                    compute_type=bucket.compute_type,
                    depth=bucket.depth,
                    avg_wait_seconds=bucket.avg_wait_seconds,
                    p95_wait_seconds=bucket.p95_wait_seconds,
                )
                for bucket in buckets
            ],
        )


def minute_rates(plane: ControlPlane) -> dict[str, int]:
    """Return what a minute of each kind of work costs, in halala."""
    return {job_type.value: plane.catalog.rate(job_type) for job_type in JOB_TYPES}


def _model(offer: ModelOffer, rate_halala_per_minute: int) -> pb.OfferedModel:
    return pb.OfferedModel(
        model=offer.model,
        # Under the names of contract 3.1 and those that older clients read (contract 8).
        id=offer.model,
        model_id=offer.model,
        display_name=offer.model.rpartition("/")[2] or offer.model,
        providers_total=offer.total,
        providers_count=offer.total,
        **model_figures(offer, rate_halala_per_minute),
    )


def _image(row: ImageRow) -> pb.ContainerImage:
    return pb.ContainerImage(
        id=row.id,
        image_ref=row.image_ref,
        image_type=row.image_type,
        description=row.description,
        approved_at=iso(row.approved_at_ms),
        pinned=row.is_pinned,
    )

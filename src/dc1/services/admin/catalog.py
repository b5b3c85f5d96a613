"""What the market sells and at which price, as admins set it; submissions follow at once."""

from typing import Any

from dc1.domain.base.clock import iso
from dc1.domain.errors import image_not_found, invalid_field
from dc1.domain.money.machine_prices import HUNDRED, hundredths
from dc1.domain.money.token_prices import TokenPrices
from dc1.domain.providers.hardware import gpu_name
from dc1.services.api.parts import ServicerPart
from dc1.services.api.values import row_id
from dc1.storage.admin import catalog
from dc1.storage.admin.catalog import GpuFactorRow, PriceRow, TokenPriceRow
from dcp.v1 import admin_finance_service_pb2 as pb
from dcp.v1 import admin_service_pb2


class PriceCalls(ServicerPart):
    """Prices."""

    async def ListPrices(self, request: pb.ListPricesRequest, context: Any) -> pb.ListPricesResponse:
        """List the rates."""
        rows = await self._plane.db.read(catalog.list_prices)
        return pb.ListPricesResponse(prices=[pb.Price(**_price(row)) for row in rows])

    async def SetPrice(self, request: pb.SetPriceRequest, context: Any) -> pb.SetPriceResponse:
        """Set a rate."""
        row = await self._plane.catalog.set_price(request.job_type, request.rate_halala)
        return pb.SetPriceResponse(**_price(row))


class GpuFactorCalls(ServicerPart):
    """The factors of GPU models."""

    async def ListGpuFactors(self, request: pb.ListGpuFactorsRequest, context: Any) -> pb.ListGpuFactorsResponse:
        """List the factors."""
        rows = await self._plane.db.read(catalog.list_gpu_factors)
        return pb.ListGpuFactorsResponse(factors=[pb.GpuFactor(**_factor(row)) for row in rows])

    async def SetGpuFactor(self, request: pb.SetGpuFactorRequest, context: Any) -> pb.SetGpuFactorResponse:
        """Set a factor."""
        # By what placement calls the model, or the factor would be nobody's.
        name = gpu_name(request.gpu_model)
        factor = hundredths(request.factor)
        if name is None or factor is None:
            field = "gpu_model" if name is None else "factor"
            raise invalid_field(field, "must name a model" if name is None else "must have at most two decimals")
        return pb.SetGpuFactorResponse(**_factor(await self._plane.catalog.set_gpu_factor(name, factor)))


def _factor(row: GpuFactorRow) -> dict[str, Any]:
    return {"gpu_model": row.gpu_model, "factor": row.factor_pct / HUNDRED, "updated_at": iso(row.updated_at_ms)}


def _price(row: PriceRow) -> dict[str, Any]:
    return {"job_type": row.job_type, "rate_halala": row.rate_halala, "updated_at": iso(row.updated_at_ms)}


class TokenPriceCalls(ServicerPart):
    """What tokens cost under /v1."""

    async def ListTokenPrices(self, request: pb.ListTokenPricesRequest, context: Any) -> pb.ListTokenPricesResponse:
        """List the models that have prices of their own."""
        rows = await self._plane.db.read(catalog.list_token_prices)
        return pb.ListTokenPricesResponse(
            prices=[pb.ModelTokenPrices(**_token_prices(row)) for row in rows],
            default_halala_per_1m_tokens=self._plane.config.token_price_halala,
        )

    async def SetTokenPrices(self, request: pb.SetTokenPricesRequest, context: Any) -> pb.SetTokenPricesResponse:
        """Set the prices of a model."""
        prices = TokenPrices.of(
            request.prompt_halala,
            request.completion_halala if request.HasField("completion_halala") else None,
            request.cached_halala if request.HasField("cached_halala") else None,
        )
        # The hold is for a prompt that nobody has read before, and must be the dearest end of a call.
        if prices.cached_halala > prices.prompt_halala:
            raise invalid_field("cached_halala", "must be at most prompt_halala")
        return pb.SetTokenPricesResponse(
            **_token_prices(await self._plane.catalog.set_token_prices(request.model, prices))
        )


def _token_prices(row: TokenPriceRow) -> dict[str, Any]:
    return {
        "model": row.model,
        "prompt_halala": row.prompt_halala,
        "completion_halala": row.completion_halala,
        "cached_halala": row.cached_halala,
        "updated_at": iso(row.updated_at_ms),
    }


class ImageCalls(ServicerPart):
    """Images that jobs may name."""

    async def ApproveImage(
        self, request: admin_service_pb2.ApproveImageRequest, context: Any
    ) -> admin_service_pb2.ApproveImageResponse:
        """Let jobs name an image."""
        row = await self._plane.catalog.approve_image(
            request.image_ref,
            request.image_type if request.HasField("image_type") else None,
            request.description if request.HasField("description") else None,
        )
        return admin_service_pb2.ApproveImageResponse(
            id=row.id,
            image_ref=row.image_ref,
            image_type=row.image_type,
            description=row.description,
            approved_at=iso(row.approved_at_ms),
            pinned=row.is_pinned,
        )

    async def RemoveImage(
        self, request: admin_service_pb2.RemoveImageRequest, context: Any
    ) -> admin_service_pb2.RemoveImageResponse:
        """Take an image back."""
        row = await self._plane.catalog.remove_image(row_id(request.image_id, image_not_found))
        return admin_service_pb2.RemoveImageResponse(success=True, id=row.id, image_ref=row.image_ref)

"""CatalogService: what the market sells and at which price."""

from typing import Any

from dc1.control.control_plane import ControlPlane
from dc1.domain.base.clock import iso
from dc1.storage.operations import catalog
from dc1.storage.operations.catalog import PriceRow
from dcp.v1 import catalog_service_pb2 as pb
from dcp.v1.catalog_service_pb2_grpc import CatalogServiceServicer


class CatalogServicer(CatalogServiceServicer):
    """Prices and images, as admins set them; submissions follow at once."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    async def ListPrices(self, request: pb.ListPricesRequest, context: Any) -> pb.ListPricesResponse:
        """List the rates."""
        rows = await self._plane.db.read(catalog.list_prices)
        return pb.ListPricesResponse(prices=[pb.Price(**_price(row)) for row in rows])

    async def SetPrice(self, request: pb.SetPriceRequest, context: Any) -> pb.SetPriceResponse:
        """Set a rate."""
        row = await self._plane.catalog.set_price(request.job_type, request.rate_halala)
        return pb.SetPriceResponse(**_price(row))

    async def ApproveImage(self, request: pb.ApproveImageRequest, context: Any) -> pb.ApproveImageResponse:
        """Let jobs name an image."""
        row = await self._plane.catalog.approve_image(
            request.image_ref,
            request.image_type if request.HasField("image_type") else None,
            request.description if request.HasField("description") else None,
        )
        return pb.ApproveImageResponse(
            id=row.id,
            image_ref=row.image_ref,
            image_type=row.image_type,
            description=row.description,
            approved_at=iso(row.approved_at_ms),
        )


def _price(row: PriceRow) -> dict[str, Any]:
    return {"job_type": row.job_type, "rate_halala": row.rate_halala, "updated_at": iso(row.updated_at_ms)}

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
        now_ms = self._plane.clock.now_ms()
        row = await self._plane.db.write(
            lambda conn: catalog.set_price(conn, request.job_type, request.rate_halala, now_ms)
        )
        await self._plane.job_commands.load()
        return pb.SetPriceResponse(**_price(row))

    async def ApproveImage(self, request: pb.ApproveImageRequest, context: Any) -> pb.ApproveImageResponse:
        """Let jobs name an image."""
        now_ms = self._plane.clock.now_ms()
        row = await self._plane.db.write(
            lambda conn: catalog.approve_image(
                conn,
                request.image_ref,
                now_ms,
                image_type=request.image_type if request.HasField("image_type") else None,
                description=request.description if request.HasField("description") else None,
            )
        )
        await self._plane.job_commands.load()
        return pb.ApproveImageResponse(
            id=row.id,
            image_ref=row.image_ref,
            image_type=row.image_type,
            description=row.description,
            approved_at=iso(row.approved_at_ms),
        )


def _price(row: PriceRow) -> dict[str, Any]:
    return {"job_type": row.job_type, "rate_halala": row.rate_halala, "updated_at": iso(row.updated_at_ms)}

"""What operators look at and decide, and what anybody may know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from dc1.client.asynchronous.paging import by_offset, by_page
from dc1.client.asynchronous.transport import AsyncTransport
from dc1.client.calls import path

if TYPE_CHECKING:
    from dcp import rest_types as rest


class AsyncOperations:
    """The market as its operators have it."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def dashboard(self) -> rest.GetDashboardResponse:
        """Return the market at a glance."""
        body: Any = (await self._transport.get("/admin/dashboard")).body
        dashboard: rest.GetDashboardResponse = body
        return dashboard

    def alerts(self) -> AsyncIterator[rest.FleetAlert]:
        """Yield what somebody should look at of the machines, oldest first."""
        return by_page(self._transport, "/admin/fleet/alerts", "alerts", size=200)

    async def metrics(self) -> rest.GetMetricsResponse:
        """Return the figures of this minute."""
        body: Any = (await self._transport.get("/admin/metrics")).body
        metrics: rest.GetMetricsResponse = body
        return metrics

    async def books(self) -> rest.GetTrialBalanceResponse:
        """Check the market's books."""
        body: Any = (await self._transport.get("/admin/finance/books")).body
        books: rest.GetTrialBalanceResponse = body
        return books

    def providers(self, *, status: str | None = None, search: str | None = None) -> AsyncIterator[rest.AdminProvider]:
        """Yield the machines, newest first."""
        where = "/admin/providers"
        return by_page(self._transport, where, "providers", size=100, status=status, search=search)

    def renters(self, *, status: str | None = None, search: str | None = None) -> AsyncIterator[rest.AdminRenter]:
        """Yield the renters, newest first."""
        return by_page(self._transport, "/admin/renters", "renters", size=100, status=status, search=search)

    def jobs(self, **query: Any) -> AsyncIterator[rest.AdminJob]:
        """Yield everybody's jobs, newest first, as `GET /admin/jobs` filters them."""
        return by_page(self._transport, "/admin/jobs", "jobs", size=100, **query)

    def images(self) -> AsyncIterator[rest.ContainerImage]:
        """Yield the approved images."""
        return by_offset(self._transport, "/containers/registry", "details", size=100)

    async def approve(self, provider_id: int) -> None:
        """Approve a machine: from now on it is given work."""
        await self._transport.patch(path("admin", "providers", provider_id, "approve"))

    async def reject(self, provider_id: int, reason: str) -> None:
        """Reject a machine; its owner reads the reason."""
        await self._transport.patch(path("admin", "providers", provider_id, "reject"), {"reason": reason})

    async def credit(
        self, renter_id: int, halala: int, reason: str, *, idempotency_key: str | None = None
    ) -> rest.CreditRenterResponse:
        """Add to a renter's wallet, once however often it is sent."""
        where, credit = path("admin", "renters", renter_id, "credit"), {"amount_halala": halala, "reason": reason}
        body: Any = (await self._transport.post_once(where, credit, idempotency_key=idempotency_key)).body
        credited: rest.CreditRenterResponse = body
        return credited


class AsyncMarketplace:
    """What anybody may know of the market, without a key."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def providers(self, **query: Any) -> AsyncIterator[rest.AvailableProvider]:
        """Yield the machines that can be given work now, as `GET /renters/available-providers` filters them."""
        return by_offset(self._transport, "/renters/available-providers", "providers", size=100, **query)

    async def models(self) -> list[rest.ServedModel]:
        """Return the models that can be called now, with their prices."""
        models: list[rest.ServedModel] = (await self._transport.get("/v1/models")).body["data"]
        return models

    async def pricing(self) -> rest.GetPricingResponse:
        """Return what work costs."""
        body: Any = (await self._transport.get("/renters/pricing")).body
        pricing: rest.GetPricingResponse = body
        return pricing

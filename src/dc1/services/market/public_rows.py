"""What anybody may know of the machines that can be given work: a row each, written anew when it changes."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.domain.providers.liveness import bookable
from dc1.services.market.offered import minute_rates
from dc1.services.public.machine_facts import MachineFacts
from dcp.v1 import market_service_pb2 as pb

R = TypeVar("R", pb.AvailableProvider, pb.MarketProvider)


class PublicRows(Generic[R]):
    """Rows by provider. `version` grows with each change that anybody could see, and with nothing else."""

    def __init__(self, plane: ControlPlane, row: Callable[[Provider], R]) -> None:
        self._plane = plane
        self._row: Callable[[Provider], R] = row
        self._rows: MachineFacts[R] = MachineFacts(plane, self._row_of_bookable)
        self._rates: dict[str, int] = {}

    @property
    def version(self) -> int:
        """Which version the rows are now."""
        rates = minute_rates(self._plane)
        if rates != self._rates:
            # Every row has a price in it.
            self._rates = rates
            self._rows.look_again()
        return self._rows.version

    def of(self, providers: Sequence[Provider]) -> list[R]:
        """Return the rows of providers that can be given work, as the last look at the version found them."""
        return [self._rows.get(provider.id) or self._row(provider) for provider in providers]

    def _row_of_bookable(self, provider: Provider) -> R | None:
        status = provider.status(self._plane.clock.now_ms(), self._plane.fleet.thresholds)
        return self._row(provider) if bookable(provider.approval, status) else None

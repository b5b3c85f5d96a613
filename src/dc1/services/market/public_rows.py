"""What anybody may know of the machines that can be given work: a row each, written anew when it changes."""

from collections.abc import Sequence

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.domain.providers.liveness import bookable
from dc1.services.market.offered import minute_rates
from dc1.services.providers.messages import public_fields
from dcp.v1 import market_service_pb2 as pb


class PublicRows:
    """Rows by provider. `version` grows with each change that anybody could see, and with nothing else.

    A beat changes nothing of them as a rule, and there are a hundred a second of a thousand machines: whose machine was
    heard since the last look is looked at, and nobody else.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._moment = -1
        self._rates: dict[str, int] = {}
        self._rows: dict[int, pb.AvailableProvider] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """Which version the rows are now."""
        fleet = self._plane.fleet
        # Silence changes rows too, and schedules do.
        fleet.presence.age()
        changes, rates = fleet.availability.changes, minute_rates(self._plane)
        if rates != self._rates:
            # Every row has a price in it.
            self._moment, self._rates = -1, rates
        if changes.moment != self._moment:
            changed = [self._follow(provider_id) for provider_id in changes.since(self._moment)]
            self._moment = changes.moment
            self._version += any(changed)
        return self._version

    def of(self, providers: Sequence[Provider]) -> list[pb.AvailableProvider]:
        """Return the rows of providers that can be given work, as the last look at the version found them."""
        return [self._rows.get(provider.id) or self._row(provider) for provider in providers]

    def _follow(self, provider_id: int) -> bool:
        """Write the row of a provider anew, and tell whether anybody could see that."""
        before, provider = self._rows.pop(provider_id, None), self._plane.fleet.get(provider_id)
        now_ms = self._plane.clock.now_ms()
        if provider is None or not bookable(provider.approval, provider.status(now_ms, self._plane.fleet.thresholds)):
            return before is not None
        row = self._rows[provider_id] = self._row(provider)
        return row != before

    def _row(self, provider: Provider) -> pb.AvailableProvider:
        return pb.AvailableProvider(**public_fields(self._plane, provider))

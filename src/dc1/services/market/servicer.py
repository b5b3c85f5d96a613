"""MarketService, put together."""

from dc1.services.market.offered import OfferedCalls
from dc1.services.market.providers import ListedProviderCalls
from dcp.v1.market_service_pb2_grpc import MarketServiceServicer


class MarketServicer(ListedProviderCalls, OfferedCalls, MarketServiceServicer):
    """What anybody may read."""

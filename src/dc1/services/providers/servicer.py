"""ProviderService, put together."""

from dc1.services.providers.accounts import ProviderAccountCalls
from dc1.services.providers.earnings import EarningsCalls
from dc1.services.providers.providers import ProviderCalls
from dcp.v1.provider_service_pb2_grpc import ProviderServiceServicer


class ProviderServicer(ProviderCalls, ProviderAccountCalls, EarningsCalls, ProviderServiceServicer):
    """Providers, for their owners."""

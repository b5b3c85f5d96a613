"""Providers' accounts and the calls of daemons that speak HTTP only."""

from dc1.control.background.provider_upkeep import ProviderUpkeep
from dc1.server.assembly import Service
from dc1.server.wiring.parts import Parts, Wiring
from dc1.services.daemons.daemons import DaemonServicer
from dc1.services.providers.accounts import ProviderAccountServicer
from dcp.v1 import (
    daemon_service_pb2,
    daemon_service_pb2_grpc,
    provider_account_service_pb2,
    provider_account_service_pb2_grpc,
)


def wire(parts: Parts) -> Wiring:
    """Return these services and the timers of providers' accounts."""
    market = parts.market
    return Wiring(
        services=[
            Service(
                provider_account_service_pb2.DESCRIPTOR.services_by_name["ProviderAccountService"],
                provider_account_service_pb2_grpc.add_ProviderAccountServiceServicer_to_server,
                ProviderAccountServicer(market),
            ),
            Service(
                daemon_service_pb2.DESCRIPTOR.services_by_name["DaemonService"],
                daemon_service_pb2_grpc.add_DaemonServiceServicer_to_server,
                DaemonServicer(market),
            ),
        ],
        background=[ProviderUpkeep(market.db, market.clock, market.fleet, market.sessions)],
    )

"""Discovery, prices, earnings, withdrawals and the market's money; inference by the token."""

from dc1.control.background.telemetry_upkeep import TelemetryUpkeep
from dc1.server.assembly import Service
from dc1.server.wiring.parts import Parts, Wiring
from dc1.services.admin.finance import FinanceServicer
from dc1.services.api.call import Hooks
from dc1.services.inference.openai import STREAMED, OpenAIServicer
from dc1.services.market.discovery import DiscoveryServicer
from dc1.services.providers.earnings import EarningsServicer
from dcp.v1 import (
    discovery_service_pb2,
    discovery_service_pb2_grpc,
    earnings_service_pb2,
    earnings_service_pb2_grpc,
    finance_service_pb2,
    finance_service_pb2_grpc,
    openai_service_pb2,
    openai_service_pb2_grpc,
)


def wire(parts: Parts) -> Wiring:
    """Return these services."""
    market = parts.market
    return Wiring(
        services=[
            Service(
                discovery_service_pb2.DESCRIPTOR.services_by_name["DiscoveryService"],
                discovery_service_pb2_grpc.add_DiscoveryServiceServicer_to_server,
                DiscoveryServicer(market),
            ),
            Service(
                earnings_service_pb2.DESCRIPTOR.services_by_name["EarningsService"],
                earnings_service_pb2_grpc.add_EarningsServiceServicer_to_server,
                EarningsServicer(market, parts.idempotent),
            ),
            Service(
                finance_service_pb2.DESCRIPTOR.services_by_name["FinanceService"],
                finance_service_pb2_grpc.add_FinanceServiceServicer_to_server,
                FinanceServicer(market),
            ),
            Service(
                openai_service_pb2.DESCRIPTOR.services_by_name["OpenAIService"],
                openai_service_pb2_grpc.add_OpenAIServiceServicer_to_server,
                OpenAIServicer(market),
            ),
        ],
        hooks=Hooks(streamed=STREAMED),
        background=[TelemetryUpkeep(market.db, market.clock, market.fleet.telemetry)],
    )

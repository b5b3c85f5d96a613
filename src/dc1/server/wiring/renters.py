"""Renters' accounts, keys, wallets and webhooks, and their administration."""

from functools import partial

from dc1.control.background.renter_upkeep import RenterUpkeep
from dc1.control.background.webhook_sender import WebhookSender
from dc1.control.background.webhook_targets import Targets
from dc1.domain.access.secret_box import SecretBox
from dc1.server.assembly import Background, Service
from dc1.server.secret_key import has_secret_key, load_secret_key
from dc1.server.wiring.parts import Parts, Wiring
from dc1.services.admin.renters import AdminRenterServicer
from dc1.services.renters.accounts import RenterAccountServicer
from dc1.services.renters.wallets import WalletServicer
from dc1.services.renters.webhooks import WebhookServicer
from dcp.v1 import (
    admin_renter_service_pb2,
    admin_renter_service_pb2_grpc,
    renter_account_service_pb2,
    renter_account_service_pb2_grpc,
    wallet_service_pb2,
    wallet_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)


def wire(parts: Parts) -> Wiring:
    """Return these services, the sender of webhooks and the timers of renters' data."""
    market, credentials, settings = parts.market, parts.foundation.credentials, parts.foundation.settings
    upkeep = RenterUpkeep(market.db, market.clock, credentials)
    targets = Targets(allow_private=settings.webhook_allow_private)
    vault = SecretBox(partial(load_secret_key, settings))
    background: list[Background] = [upkeep]
    if has_secret_key(settings):
        background.append(WebhookSender(market.db, market.clock, targets, vault))
    return Wiring(
        services=[
            Service(
                renter_account_service_pb2.DESCRIPTOR.services_by_name["RenterAccountService"],
                renter_account_service_pb2_grpc.add_RenterAccountServiceServicer_to_server,
                RenterAccountServicer(market, upkeep, targets, vault),
            ),
            Service(
                wallet_service_pb2.DESCRIPTOR.services_by_name["WalletService"],
                wallet_service_pb2_grpc.add_WalletServiceServicer_to_server,
                WalletServicer(market),
            ),
            Service(
                webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"],
                webhook_service_pb2_grpc.add_WebhookServiceServicer_to_server,
                WebhookServicer(market),
            ),
            Service(
                admin_renter_service_pb2.DESCRIPTOR.services_by_name["AdminRenterService"],
                admin_renter_service_pb2_grpc.add_AdminRenterServiceServicer_to_server,
                AdminRenterServicer(market, parts.idempotent),
            ),
        ],
        background=background,
    )

"""RenterService, put together."""

from dc1.services.renters.accounts import RenterAccountCalls
from dc1.services.renters.jobs import RenterJobCalls
from dc1.services.renters.renters import RenterCalls
from dc1.services.renters.wallets import WalletCalls
from dc1.services.renters.webhooks import WebhookCalls
from dcp.v1.renter_service_pb2_grpc import RenterServiceServicer


class RenterServicer(RenterCalls, RenterAccountCalls, WalletCalls, RenterJobCalls, WebhookCalls, RenterServiceServicer):
    """Renters, for themselves."""

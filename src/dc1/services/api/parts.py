"""What servicers are built from."""

from dataclasses import dataclass
from decimal import Decimal

from dc1.control.background.renter_upkeep import RenterUpkeep
from dc1.control.control_plane import ControlPlane
from dc1.control.delivery.webhook_targets import Targets
from dc1.domain.access.secret_box import SecretBox
from dc1.services.api.edge_refusals import EdgeRefusals
from dc1.services.api.idempotency import IdempotentCalls
from dc1.services.api.open_streams import OpenStreams
from dc1.services.api.output_budget import OutputBudget
from dc1.services.api.refusals import RefusalCounts


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a servicer may use; each takes what it needs. Built once, by the server's registry."""

    plane: ControlPlane
    idempotent: IdempotentCalls
    renter_upkeep: RenterUpkeep
    webhook_targets: Targets
    secret_box: SecretBox
    sends_mail: bool
    sar_per_usd: Decimal
    refusals: RefusalCounts
    edge_refusals: EdgeRefusals
    open_streams: OpenStreams
    output_budget: OutputBudget


class ServicerPart:
    """Some methods of a service.

    A servicer inherits its parts and, last, the generated base, whose methods answer UNIMPLEMENTED.
    """

    def __init__(self, parts: Parts) -> None:
        self._plane = parts.plane

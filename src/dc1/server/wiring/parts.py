"""What servicers are built from, and what they add to the server."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dc1.control.control_plane import ControlPlane
from dc1.server.assembly import Background, Foundation, Service
from dc1.services.api.call import Hooks
from dc1.services.api.idempotency import IdempotentCalls


@dataclass(frozen=True, slots=True)
class Parts:
    """What servicers are built from."""

    foundation: Foundation
    market: ControlPlane
    idempotent: IdempotentCalls


@dataclass(frozen=True, slots=True)
class Wiring:
    """What one side of the market adds to the server."""

    services: Sequence[Service]
    hooks: Hooks = field(default_factory=Hooks)
    background: Sequence[Background] = ()

"""Which objects make up the server: the one place where services and control are put together."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any, Protocol, Self

from google.protobuf.descriptor import ServiceDescriptor

from dc1.control.background.market_sampler import MarketSampler
from dc1.control.background.market_watch import MarketWatch
from dc1.control.background.provider_upkeep import ProviderUpkeep
from dc1.control.background.records_upkeep import RecordsUpkeep
from dc1.control.background.renter_upkeep import RenterUpkeep
from dc1.control.background.telemetry_upkeep import TelemetryUpkeep
from dc1.control.control_plane import ControlPlane
from dc1.control.delivery.mailer import Mailer
from dc1.control.delivery.notifier import Notifier
from dc1.control.delivery.webhook_sender import WebhookSender
from dc1.control.delivery.webhook_targets import Targets
from dc1.control.operations.credentials import Credentials
from dc1.domain.access.secret_box import SecretBox
from dc1.domain.base.clock import Clock
from dc1.edge.config import EdgeConfig
from dc1.metrics.calls import CallMetrics
from dc1.server.control_config import control_config
from dc1.server.process.secret_key import has_secret_key, load_secret_key
from dc1.server.watching.market_gauges import MarketGauges
from dc1.server.watching.metrics_server import MetricsServer
from dc1.services.api.edge_refusals import EdgeRefusals
from dc1.services.api.idempotency import IdempotentCalls
from dc1.services.api.open_streams import OpenStreams
from dc1.services.api.output_budget import OutputBudget
from dc1.services.api.parts import Parts
from dc1.services.api.refusals import RefusalCounts
from dc1.services.inference.openai import OpenAIServicer
from dc1.services.notifications.channels import NotificationServicer
from dc1.services.servicers import (
    AdminFinanceServicer,
    AdminJobServicer,
    AdminProviderServicer,
    AdminRenterServicer,
    AdminServicer,
    DaemonServicer,
    JobServicer,
    MarketServicer,
    ProviderServicer,
    RenterServicer,
)
from dc1.services.system.system import SystemServicer
from dc1.settings.settings import Settings
from dc1.storage.engine.database import Database

SERVICERS: Sequence[Callable[[Parts], object]] = (
    JobServicer,
    ProviderServicer,
    RenterServicer,
    DaemonServicer,
    MarketServicer,
    OpenAIServicer,
    NotificationServicer,
    AdminServicer,
    AdminProviderServicer,
    AdminRenterServicer,
    AdminJobServicer,
    AdminFinanceServicer,
    SystemServicer.of,
)
"""Every service of the server. A new one is one more line."""

_GENERATED = "_pb2_grpc"


class Background(Protocol):
    """Something that lives as long as the server."""

    async def start(self) -> None:
        """Load what it needs and begin; no call is accepted before every start has returned."""
        ...

    async def stop(self) -> None:
        """End its tasks and write what is unwritten."""
        ...


@dataclass(frozen=True, slots=True)
class Foundation:
    """What everything is built on."""

    settings: Settings
    clock: Clock
    database: Database
    credentials: Credentials
    idempotent: IdempotentCalls
    refusals: RefusalCounts
    output_budget: OutputBudget
    edge_refusals: EdgeRefusals
    open_streams: OpenStreams
    call_metrics: CallMetrics = field(default_factory=CallMetrics)


@dataclass(frozen=True, slots=True)
class Service:
    """A servicer, how the generated code adds it to a server, and the descriptor of its service."""

    descriptor: ServiceDescriptor
    add: Callable[[Any, Any], None]
    servicer: object

    @classmethod
    def of(cls, servicer: object, base: type | None = None) -> Self:
        """Return the service that `servicer` answers.

        Its generated `base` class says which, and where the rest of it is.
        """
        if base is None:
            base = next(base for base in type(servicer).__mro__ if base.__module__.endswith(_GENERATED))
        # Generated code imports the files of the messages, not that of the service when it holds none of them; but only
        # a file that was imported is in the pool, where the options of methods are looked up.
        described = import_module(base.__module__.removesuffix("_grpc"))
        descriptor = described.DESCRIPTOR.services_by_name[base.__name__.removesuffix("Servicer")]
        return cls(descriptor, getattr(sys.modules[base.__module__], f"add_{base.__name__}_to_server"), servicer)


async def _never() -> None:
    # For a server without background parts, whose end nobody has to wait for.
    await asyncio.Event().wait()


async def _nothing() -> None:
    """Do nothing, for a server without calls that daemons answer."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The parts of a server.

    Background parts start in order and stop in reverse. `has_others` tells whether other servers share the database.
    `drain` sends readers elsewhere when a stop begins, `stop_calls` ends what daemons still answer after the grace, and
    `release` sends the daemons elsewhere, where no other server is there to the next one, which is in so many seconds.
    `ended` waits until a background part ends by itself, which none should.
    """

    services: Sequence[Service]
    background: Sequence[Background] = ()
    has_others: Callable[[], bool] = lambda: False
    drain: Callable[[], None] = lambda: None
    stop_calls: Callable[[], Awaitable[None]] = _nothing
    release: Callable[[float], None] = lambda next_seconds: None
    ended: Callable[[], Awaitable[None]] = _never


def build(foundation: Foundation) -> Registry:
    """Return every part of the server, built on `foundation`."""
    settings, credentials = foundation.settings, foundation.credentials
    plane = ControlPlane.build(foundation.database, foundation.clock, control_config(settings), credentials)
    parts = Parts(
        plane=plane,
        idempotent=foundation.idempotent,
        renter_upkeep=RenterUpkeep(plane.db, plane.clock, credentials),
        webhook_targets=Targets(allow_private=settings.webhook_allow_private),
        secret_box=SecretBox(partial(load_secret_key, settings)),
        sends_mail=settings.mail_server is not None,
        sar_per_usd=settings.sar_per_usd,
        refusals=foundation.refusals,
        edge_refusals=foundation.edge_refusals,
        open_streams=foundation.open_streams,
        output_budget=foundation.output_budget,
    )
    return Registry(
        services=[Service.of(make(parts)) for make in SERVICERS],
        background=[*_background(parts, settings), *_metrics(parts, settings, foundation.call_metrics)],
        has_others=lambda: bool(plane.replicas.others),
        drain=plane.drain,
        stop_calls=plane.stop_calls,
        release=plane.release,
        ended=plane.ended,
    )


def _background(parts: Parts, settings: Settings) -> list[Background]:
    """Return what lives beside the servicers; the control plane is first, as all others read what it loads."""
    plane = parts.plane
    background: list[Background] = [plane, plane.credentials.operators, parts.renter_upkeep]
    # Without a key no delivery could be signed.
    if has_secret_key(settings):
        # The notifier first: who stops last ends the look-ups of both.
        sends = plane.db, plane.clock, plane.outboxes, parts.webhook_targets, parts.secret_box
        background.append(WebhookSender(*sends))
        background.append(Notifier(*sends, None if settings.mail_server is None else Mailer(settings.mail_server)))
    return [
        *background,
        ProviderUpkeep(plane.db, plane.clock, plane.fleet, plane.sessions),
        MarketSampler(plane.db, plane.clock, plane.fleet, plane.catalog),
        TelemetryUpkeep(plane.db, plane.clock, plane.fleet.telemetry),
        RecordsUpkeep(
            plane.db, plane.clock, audit_days=settings.audit_days, documents_days=settings.job_documents_days
        ),
    ]


def _metrics(parts: Parts, settings: Settings, calls: CallMetrics) -> list[Background]:
    """Return what serves the metrics, where an address is set for them."""
    if (address := settings.resolved_metrics_address) is None:
        return []
    plane = parts.plane
    watch = MarketWatch(plane.db, plane.clock, plane.fleet, plane.sessions, plane.alert_watch, plane.run_counts)
    gauges = MarketGauges(plane, watch, parts.refusals, parts.open_streams)
    groups = (
        calls,
        plane.run_counts.jobs,
        plane.run_counts.inference,
        plane.fleet.presence.metrics,
        plane.db.metrics,
        plane.sessions.pace.loop,
    )
    counted = [each for group in groups for each in group.all()]
    return [MetricsServer(address, watch, gauges, counted, EdgeConfig.from_settings(settings, ()).admin_socket)]

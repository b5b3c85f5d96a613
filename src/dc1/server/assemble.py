"""Puts services and control together. A new servicer is one more `Service` here."""

from importlib.metadata import version

from dc1.assets import asset
from dc1.control.market import Market
from dc1.control.policy import Policy
from dc1.domain.liveness import Thresholds
from dc1.domain.money import PricingClass
from dc1.server.assembly import Assembly, Foundation, Service
from dc1.services.admin import AdminServicer
from dc1.services.call import Hooks
from dc1.services.idempotent import IdempotentCalls
from dc1.services.jobs import JobServicer
from dc1.services.providers import ProviderServicer
from dc1.services.renters import RenterServicer
from dc1.services.shapes import SHAPE_CHECKS
from dc1.services.submissions import NORMALISERS
from dc1.services.system import SystemServicer, Vitals
from dc1.settings import Settings
from dc1.storage import totals
from dc1.storage.submission import Limits
from dcp.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    job_service_pb2,
    job_service_pb2_grpc,
    provider_service_pb2,
    provider_service_pb2_grpc,
    renter_service_pb2,
    renter_service_pb2_grpc,
    system_service_pb2,
    system_service_pb2_grpc,
)


def assemble(foundation: Foundation) -> Assembly:
    """Return the parts of the server, built on `foundation`."""
    market = Market.build(foundation.database, foundation.clock, policy_of(foundation.settings))
    if market.replication is not None:
        market.replication.key_changed = foundation.credentials.invalidate
        market.replication.account_changed = foundation.credentials.invalidate_account
    idempotent = IdempotentCalls(market.db, market.clock, market.policy.idempotency_ttl_seconds)
    return Assembly(
        services=[
            Service(
                renter_service_pb2.DESCRIPTOR.services_by_name["RenterService"],
                renter_service_pb2_grpc.add_RenterServiceServicer_to_server,
                RenterServicer(market, idempotent),
            ),
            Service(
                provider_service_pb2.DESCRIPTOR.services_by_name["ProviderService"],
                provider_service_pb2_grpc.add_ProviderServiceServicer_to_server,
                ProviderServicer(market),
            ),
            Service(
                job_service_pb2.DESCRIPTOR.services_by_name["JobService"],
                job_service_pb2_grpc.add_JobServiceServicer_to_server,
                JobServicer(market, idempotent),
            ),
            Service(
                admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
                admin_service_pb2_grpc.add_AdminServiceServicer_to_server,
                AdminServicer(market),
            ),
            Service(
                system_service_pb2.DESCRIPTOR.services_by_name["SystemService"],
                system_service_pb2_grpc.add_SystemServiceServicer_to_server,
                _system(foundation, market),
            ),
        ],
        hooks=Hooks(normalisers=NORMALISERS, shape_checks=SHAPE_CHECKS),
        background=[market],
        drain=market.sessions.drain,
    )


def policy_of(settings: Settings) -> Policy:
    """Return what the operator chose, as the layers below the server take it."""
    return Policy(
        limits=Limits(
            daily_jobs=settings.quota_daily_jobs,
            monthly_halala=settings.quota_monthly_halala,
            queue_deadline_seconds=round(settings.queue_deadline_seconds),
            max_retries=settings.max_retries,
        ),
        thresholds=Thresholds(
            online_seconds=settings.online_seconds,
            offline_seconds=settings.offline_seconds,
            stream_grace_seconds=settings.stream_grace_seconds,
        ),
        class_multipliers={PricingClass(name): factor for name, factor in settings.class_multipliers.items()},
        fee_bps=settings.platform_fee_bps,
        starter_credit_halala=settings.starter_credit_halala,
        topup_enabled=settings.topup_enabled,
        idempotency_ttl_seconds=settings.idempotency_ttl_hours * 3600,
        offer_timeout_seconds=settings.offer_timeout_seconds,
        beat_interval_seconds=settings.beat_interval_seconds,
        daemon_latest_version=settings.daemon_latest_version,
        daemon_min_version=settings.resolved_daemon_min_version,
        installer_base_url=settings.installer_base_url,
    )


def _system(foundation: Foundation, market: Market) -> SystemServicer:
    async def read_vitals() -> Vitals:
        counts = await foundation.database.read(totals.read)
        return Vitals(len(market.fleet), market.fleet.online(), counts.jobs_queued, counts.jobs_running)

    return SystemServicer(foundation.clock, version("dc1"), read_vitals, asset("gen/openapi.yaml").read_bytes())

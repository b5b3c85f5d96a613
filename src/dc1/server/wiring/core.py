"""The services that the market's main job needs."""

from importlib.metadata import version

from dc1.assets import asset
from dc1.server.assembly import Service
from dc1.server.wiring.parts import Parts, Wiring
from dc1.services.admin.admin import AdminServicer
from dc1.services.api.call import Hooks
from dc1.services.api.shapes import SHAPE_CHECKS
from dc1.services.jobs.commands import JobServicer
from dc1.services.jobs.submissions import NORMALISERS
from dc1.services.providers.providers import ProviderServicer
from dc1.services.renters.renters import RenterServicer
from dc1.services.system.system import SystemServicer, Vitals
from dc1.storage.money import counters
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


def wire(parts: Parts) -> Wiring:
    """Return the services of the main job."""
    market = parts.market
    return Wiring(
        services=[
            Service(
                renter_service_pb2.DESCRIPTOR.services_by_name["RenterService"],
                renter_service_pb2_grpc.add_RenterServiceServicer_to_server,
                RenterServicer(market, parts.idempotent),
            ),
            Service(
                provider_service_pb2.DESCRIPTOR.services_by_name["ProviderService"],
                provider_service_pb2_grpc.add_ProviderServiceServicer_to_server,
                ProviderServicer(market),
            ),
            Service(
                job_service_pb2.DESCRIPTOR.services_by_name["JobService"],
                job_service_pb2_grpc.add_JobServiceServicer_to_server,
                JobServicer(market, parts.idempotent),
            ),
            Service(
                admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
                admin_service_pb2_grpc.add_AdminServiceServicer_to_server,
                AdminServicer(market),
            ),
            Service(
                system_service_pb2.DESCRIPTOR.services_by_name["SystemService"],
                system_service_pb2_grpc.add_SystemServiceServicer_to_server,
                _system(parts),
            ),
        ],
        hooks=Hooks(normalisers=NORMALISERS, shape_checks=SHAPE_CHECKS),
    )


def _system(parts: Parts) -> SystemServicer:
    market = parts.market

    async def read_vitals() -> Vitals:
        counts = await market.db.read(counters.read)
        return Vitals(len(market.fleet), market.fleet.lists.online(), counts.jobs_queued, counts.jobs_running)

    return SystemServicer(market.clock, version("dc1"), read_vitals, asset("gen/openapi.yaml").read_bytes())

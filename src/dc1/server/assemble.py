"""Puts services and control together. A new servicer is one more `Service` here."""

from importlib.metadata import version

from dc1.assets import asset
from dc1.server.assembly import Assembly, Foundation, Service
from dc1.services.call import Hooks
from dc1.services.shapes import SHAPE_CHECKS
from dc1.services.system import SystemServicer, Vitals
from dc1.storage import totals
from dcp.v1 import system_service_pb2, system_service_pb2_grpc


def assemble(foundation: Foundation) -> Assembly:
    """Return the parts of the server, built on `foundation`."""

    async def read_vitals() -> Vitals:
        counts = await foundation.database.read(totals.read)
        return Vitals(0, 0, counts.jobs_queued, counts.jobs_running)

    system = SystemServicer(foundation.clock, version("dc1"), read_vitals, asset("gen/openapi.yaml").read_bytes())
    return Assembly(
        services=[
            Service(
                system_service_pb2.DESCRIPTOR.services_by_name["SystemService"],
                system_service_pb2_grpc.add_SystemServiceServicer_to_server,
                system,
            ),
        ],
        hooks=Hooks(shape_checks=SHAPE_CHECKS),
    )

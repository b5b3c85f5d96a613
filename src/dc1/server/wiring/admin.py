"""Administration of providers and jobs, monitoring and audit."""

from dc1.server.assembly import Service
from dc1.server.wiring.parts import Parts, Wiring
from dc1.services.admin.audit import AuditServicer
from dc1.services.admin.jobs import AdminJobServicer
from dc1.services.admin.monitoring import MonitoringServicer
from dc1.services.admin.providers import AdminProviderServicer
from dcp.v1 import (
    admin_job_service_pb2,
    admin_job_service_pb2_grpc,
    admin_provider_service_pb2,
    admin_provider_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    monitoring_service_pb2,
    monitoring_service_pb2_grpc,
)


def wire(parts: Parts) -> Wiring:
    """Return these services."""
    market = parts.market
    return Wiring(
        services=[
            Service(
                admin_provider_service_pb2.DESCRIPTOR.services_by_name["AdminProviderService"],
                admin_provider_service_pb2_grpc.add_AdminProviderServiceServicer_to_server,
                AdminProviderServicer(market),
            ),
            Service(
                admin_job_service_pb2.DESCRIPTOR.services_by_name["AdminJobService"],
                admin_job_service_pb2_grpc.add_AdminJobServiceServicer_to_server,
                AdminJobServicer(market),
            ),
            Service(
                monitoring_service_pb2.DESCRIPTOR.services_by_name["MonitoringService"],
                monitoring_service_pb2_grpc.add_MonitoringServiceServicer_to_server,
                MonitoringServicer(market),
            ),
            Service(
                audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"],
                audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
                AuditServicer(market),
            ),
        ]
    )

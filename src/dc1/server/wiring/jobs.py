"""Job lists, queues, live streams and outcomes; the catalogue and the verification of machines."""

from dc1.server.assembly import Service
from dc1.server.wiring.parts import Parts, Wiring
from dc1.services.jobs.history import JobHistoryServicer
from dc1.services.jobs.outcomes import JobOutcomeServicer
from dc1.services.jobs.progress import JobProgressServicer
from dc1.services.jobs.queues import JobQueueServicer
from dc1.services.market.catalog import CatalogServicer
from dc1.services.providers.verification import VerificationServicer
from dcp.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    job_history_service_pb2,
    job_history_service_pb2_grpc,
    job_outcome_service_pb2,
    job_outcome_service_pb2_grpc,
    job_progress_service_pb2,
    job_progress_service_pb2_grpc,
    job_queue_service_pb2,
    job_queue_service_pb2_grpc,
    verification_service_pb2,
    verification_service_pb2_grpc,
)


def wire(parts: Parts) -> Wiring:
    """Return these services."""
    market = parts.market
    return Wiring(
        services=[
            Service(
                job_history_service_pb2.DESCRIPTOR.services_by_name["JobHistoryService"],
                job_history_service_pb2_grpc.add_JobHistoryServiceServicer_to_server,
                JobHistoryServicer(market),
            ),
            Service(
                job_queue_service_pb2.DESCRIPTOR.services_by_name["JobQueueService"],
                job_queue_service_pb2_grpc.add_JobQueueServiceServicer_to_server,
                JobQueueServicer(market),
            ),
            Service(
                job_progress_service_pb2.DESCRIPTOR.services_by_name["JobProgressService"],
                job_progress_service_pb2_grpc.add_JobProgressServiceServicer_to_server,
                JobProgressServicer(market, parts.foundation.settings.sar_per_usd),
            ),
            Service(
                job_outcome_service_pb2.DESCRIPTOR.services_by_name["JobOutcomeService"],
                job_outcome_service_pb2_grpc.add_JobOutcomeServiceServicer_to_server,
                JobOutcomeServicer(market),
            ),
            Service(
                catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"],
                catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server,
                CatalogServicer(market),
            ),
            Service(
                verification_service_pb2.DESCRIPTOR.services_by_name["VerificationService"],
                verification_service_pb2_grpc.add_VerificationServiceServicer_to_server,
                VerificationServicer(market),
            ),
        ]
    )

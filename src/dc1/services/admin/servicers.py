"""The services of the market's operators, put together."""

from dc1.services.admin.approvals import ApprovalCalls
from dc1.services.admin.audit import AuditCalls
from dc1.services.admin.catalog import ImageCalls, PriceCalls
from dc1.services.admin.dashboard import DashboardCalls
from dc1.services.admin.finance import FinanceCalls
from dc1.services.admin.jobs import SupervisedJobCalls
from dc1.services.admin.monitoring import MonitoringCalls
from dc1.services.admin.providers import SupervisedProviderCalls
from dc1.services.admin.renters import SupervisedRenterCalls
from dcp.v1.admin_finance_service_pb2_grpc import AdminFinanceServiceServicer
from dcp.v1.admin_job_service_pb2_grpc import AdminJobServiceServicer
from dcp.v1.admin_provider_service_pb2_grpc import AdminProviderServiceServicer
from dcp.v1.admin_renter_service_pb2_grpc import AdminRenterServiceServicer
from dcp.v1.admin_service_pb2_grpc import AdminServiceServicer


class AdminServicer(DashboardCalls, MonitoringCalls, AuditCalls, ImageCalls, AdminServiceServicer):
    """The market as a whole."""


class AdminProviderServicer(ApprovalCalls, SupervisedProviderCalls, AdminProviderServiceServicer):
    """Providers."""


class AdminRenterServicer(SupervisedRenterCalls, AdminRenterServiceServicer):
    """Renters."""


class AdminJobServicer(SupervisedJobCalls, AdminJobServiceServicer):
    """Jobs."""


class AdminFinanceServicer(FinanceCalls, PriceCalls, AdminFinanceServiceServicer):
    """Money."""

"""The services that are put together from several parts; those in one piece are in `inference` and `system`."""

from dc1.services.admin.approvals import ApprovalCalls
from dc1.services.admin.audit import AuditCalls
from dc1.services.admin.catalog import GpuFactorCalls, ImageCalls, PriceCalls, TokenPriceCalls
from dc1.services.admin.dashboard import DashboardCalls
from dc1.services.admin.finance import FinanceCalls
from dc1.services.admin.jobs import SupervisedJobCalls
from dc1.services.admin.monitoring import MonitoringCalls
from dc1.services.admin.operators import OperatorCalls
from dc1.services.admin.providers import SupervisedProviderCalls
from dc1.services.admin.renters import SupervisedRenterCalls
from dc1.services.daemons.machine import MachineCalls
from dc1.services.daemons.runs import RunCalls
from dc1.services.daemons.verification import VerificationCalls
from dc1.services.jobs.commands import JobCommandCalls
from dc1.services.jobs.history import JobHistoryCalls
from dc1.services.jobs.outcomes import JobOutcomeCalls
from dc1.services.jobs.progress import JobProgressCalls
from dc1.services.jobs.queues import JobQueueCalls
from dc1.services.jobs.reading import JobReadingCalls
from dc1.services.jobs.watching import WatchCalls
from dc1.services.market.offered import OfferedCalls
from dc1.services.market.providers import ListedProviderCalls
from dc1.services.market.summary import SummaryCalls
from dc1.services.providers.accounts import ProviderAccountCalls
from dc1.services.providers.earnings import EarningsCalls
from dc1.services.providers.machines import OwnedMachineCalls
from dc1.services.providers.providers import ProviderCalls
from dc1.services.renters.accounts import RenterAccountCalls
from dc1.services.renters.jobs import RenterJobCalls
from dc1.services.renters.renters import RenterCalls
from dc1.services.renters.usage import UsageCalls
from dc1.services.renters.wallets import WalletCalls
from dc1.services.renters.webhooks import WebhookCalls
from dcp.v1.admin_finance_service_pb2_grpc import AdminFinanceServiceServicer
from dcp.v1.admin_job_service_pb2_grpc import AdminJobServiceServicer
from dcp.v1.admin_provider_service_pb2_grpc import AdminProviderServiceServicer
from dcp.v1.admin_renter_service_pb2_grpc import AdminRenterServiceServicer
from dcp.v1.admin_service_pb2_grpc import AdminServiceServicer
from dcp.v1.daemon_service_pb2_grpc import DaemonServiceServicer
from dcp.v1.job_service_pb2_grpc import JobServiceServicer
from dcp.v1.market_service_pb2_grpc import MarketServiceServicer
from dcp.v1.provider_service_pb2_grpc import ProviderServiceServicer
from dcp.v1.renter_service_pb2_grpc import RenterServiceServicer


class JobServicer(
    JobCommandCalls,
    JobReadingCalls,
    JobHistoryCalls,
    JobQueueCalls,
    JobProgressCalls,
    JobOutcomeCalls,
    WatchCalls,
    JobServiceServicer,
):
    """Jobs, for those who order and watch them."""


class ProviderServicer(ProviderCalls, ProviderAccountCalls, EarningsCalls, OwnedMachineCalls, ProviderServiceServicer):
    """Providers, for their owners."""


class RenterServicer(
    RenterCalls, RenterAccountCalls, UsageCalls, WalletCalls, RenterJobCalls, WebhookCalls, RenterServiceServicer
):
    """Renters, for themselves."""


class DaemonServicer(MachineCalls, VerificationCalls, RunCalls, DaemonServiceServicer):
    """What daemons say over HTTP."""


class MarketServicer(ListedProviderCalls, OfferedCalls, SummaryCalls, MarketServiceServicer):
    """What anybody may read."""


class AdminServicer(DashboardCalls, MonitoringCalls, AuditCalls, ImageCalls, OperatorCalls, AdminServiceServicer):
    """The market as a whole."""


class AdminProviderServicer(ApprovalCalls, SupervisedProviderCalls, AdminProviderServiceServicer):
    """Providers."""


class AdminRenterServicer(SupervisedRenterCalls, AdminRenterServiceServicer):
    """Renters."""


class AdminJobServicer(SupervisedJobCalls, AdminJobServiceServicer):
    """Jobs."""


class AdminFinanceServicer(FinanceCalls, PriceCalls, TokenPriceCalls, GpuFactorCalls, AdminFinanceServiceServicer):
    """Money."""

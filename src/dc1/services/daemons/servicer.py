"""DaemonService, put together."""

from dc1.services.daemons.machine import MachineCalls
from dc1.services.daemons.runs import RunCalls
from dc1.services.daemons.verification import VerificationCalls
from dcp.v1.daemon_service_pb2_grpc import DaemonServiceServicer


class DaemonServicer(MachineCalls, VerificationCalls, RunCalls, DaemonServiceServicer):
    """What daemons say over HTTP."""

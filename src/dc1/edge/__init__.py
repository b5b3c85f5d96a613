"""The edge: Envoy, which speaks REST and gRPC on the public port, as a child process of `dc1 up`."""

from dc1.edge.checks import check
from dc1.edge.config import EdgeConfig
from dc1.edge.envoy import Envoy
from dc1.edge.errors import EdgeError

__all__ = ["EdgeConfig", "EdgeError", "Envoy", "check"]

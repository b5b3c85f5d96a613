"""A machine that is made up, for the product's own daemon to report."""

from dc1.daemon.config import DAEMON_VERSION
from dc1.domain.base.json_types import JsonObject


class MadeUpMachine:
    """The telemetry of a machine that is always the same, until somebody changes its `status`.

    Args:
        gpu_count: how many GPUs it has.
        gpu_name: what they are called.
        facts: whatever else a heartbeat's `gpu_status` is to say.
    """

    def __init__(self, gpu_count: int = 1, gpu_name: str = "NVIDIA H100", **facts: int | str) -> None:
        self.closed = False
        self.gpu_failure: str | None = None
        self.status: JsonObject = {
            "gpu_name": gpu_name,
            "gpu_count": gpu_count,
            "daemon_version": DAEMON_VERSION,
            **facts,
        }

    def read(self) -> "MadeUpMachine":
        """Return a reading: this one is its own."""
        return self

    def to_gpu_status(self) -> JsonObject:
        """Return the reading as a heartbeat says it."""
        return self.status

    def gpu_failure_since(self, started: float) -> str | None:
        """Return what its GPUs are said to have failed of, whenever it was."""
        return self.gpu_failure

    def close(self) -> None:
        """Note that nobody reads any more."""
        self.closed = True

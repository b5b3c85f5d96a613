"""What the server asks of the daemon, carried out: offers judged, runs started and stopped, receipts noted."""

import asyncio
import time
from dataclasses import replace

import structlog

from dc1.daemon.leases import messages
from dc1.daemon.leases.leases import AttemptEnd, HeldLease, LeaseState, LeaseTable
from dc1.daemon.leases.running_jobs import GpuFailureSince, RunningJobs, no_gpu_failure
from dc1.daemon.runners.base import RunFailed, Runner
from dc1.daemon.runners.container.options import gpu_count
from dc1.daemon.runners.runner_registry import RunnerRegistry
from dc1.domain.errors import ApiError
from dc1.domain.jobs.container_spec import approve_images, pinned_images
from dc1.domain.jobs.states import ErrorCategory
from dc1.metrics.runs import RunMetrics
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import report_pb2

log = structlog.get_logger(__name__)


class Assignments:
    """The daemon's leases and the rules by which it takes, runs and gives them up.

    Every request may come again: the answer is the same and nothing is done twice.
    """

    def __init__(self, registry: RunnerRegistry, gpu_failure_since: GpuFailureSince = no_gpu_failure) -> None:
        self.leases = LeaseTable()
        self.slots = 1
        self.draining = False
        self.changed = asyncio.Event()
        """Set whenever there may be something new to tell the server."""
        self.idle = asyncio.Event()
        """Set while no lease is held."""
        self.idle.set()
        self._registry = registry
        self._running = RunningJobs(self.changed.set, registry.look_again, gpu_failure_since)
        self._runners: dict[HeldLease, Runner] = {}

    @property
    def run_metrics(self) -> RunMetrics:
        """How runs ended here."""
        return self._running.metrics

    def offer(self, assignment: report_pb2.Assignment, *, begins: bool = False) -> str | None:
        """Take a job, or return the reason why not; one that `begins` with this is told of by its start."""
        job_id, attempt = assignment.job_id, assignment.attempt_number
        held = self.leases.of_job(job_id)
        if held is not None and held.attempt >= attempt:
            return None if held.attempt == attempt else f"attempt {held.attempt} is held here"
        # The server offers a newer attempt only when it has given the older one up.
        if held is not None:
            self._drop(held, "superseded")
        refusal = self._take(assignment)
        if refusal is not None or not begins:
            log.info("offer_judged", job_id=job_id, attempt=attempt, job_type=assignment.job_type, declined=refusal)
        return refusal

    def holds(self, ref: pb.LeaseRef) -> bool:
        """Tell whether an attempt is held here."""
        return self._find(ref) is not None

    def start(self, start: pb.Start) -> None:
        """Begin an accepted lease's work."""
        lease = self._find(start.lease)
        if lease is None:
            # The next beat does not list it, from which the server sees that nobody works on it.
            log.warning("start_of_unknown_lease", job_id=start.lease.job_id, attempt=start.lease.attempt_number)
        elif lease.state is LeaseState.ACCEPTED:
            lease.state = LeaseState.RUNNING
            # Of a call its end tells as much a moment later, and a line costs as much as three tokens.
            tell = log.info if lease.work.call is None else log.debug
            tell("run_started", job_id=lease.job_id, attempt=lease.attempt, seconds_left=start.seconds_left)
            self._running.start(lease, self._runners[lease], start.seconds_left)

    def stop(self, stop: pb.Stop) -> None:
        """Stop a lease's work and forget it."""
        lease = self._find(stop.lease)
        if lease is not None:
            self._drop(lease, messages.value_name(pb.StopReason.DESCRIPTOR, stop.reason))

    def log_receipt(self, receipt: pb.LogReceipt) -> None:
        """Forget log lines that are stored."""
        lease = self._find(receipt.lease)
        if lease is not None:
            lease.logs.receipt(receipt.sequence, time.monotonic())
            self.changed.set()

    def outcome_receipt(self, receipt: pb.OutcomeReceipt) -> None:
        """Forget a lease whose end is settled."""
        lease = self._find(receipt.lease)
        if lease is not None:
            verdict = messages.value_name(pb.OutcomeVerdict.DESCRIPTOR, receipt.verdict)
            self._drop(lease, verdict, earned_halala=receipt.provider_earned_halala)

    def give_up(self) -> None:
        """Stop what still runs, as a failure that another provider may do better with."""
        for lease in self.leases:
            # What was not started has nothing to settle: the next beat does not list it.
            if lease.state is LeaseState.ACCEPTED:
                self._drop(lease, "the daemon stops")
            elif lease.state is LeaseState.RUNNING:
                # A cancelled run notes no end of its own, so this one is what the server hears.
                self._running.stop(lease)
                failure = RunFailed(
                    ErrorCategory.PROVIDER_DISCONNECT, "the provider's daemon was stopped", transient=True
                )
                lease.finish(AttemptEnd(failure, seconds=0.0), time.monotonic())
            lease.hasten(time.monotonic())
        self.changed.set()

    async def aclose(self) -> None:
        """Stop all work at once."""
        await self._running.aclose()
        for lease in self.leases:
            lease.release()

    def _take(self, assignment: report_pb2.Assignment) -> str | None:
        """Hold a lease on new work, or return the reason why not."""
        # A server that has not read the last beat yet may go on offering.
        if self.draining:
            return "the daemon is draining"
        try:
            work = messages.work_of(assignment)
        except ValueError as error:
            return str(error)
        runner = self._registry.runner_for(work)
        if isinstance(runner, str):
            return runner
        calls = self._registry.calls_of(runner)
        if (full := self._full(runner, calls, gpu_count(work))) is not None:
            return full
        try:
            # The provider's own last look: whatever is offered, only an approved image runs here.
            approve_images(work.container_spec, work.params, self._registry.approved_images)
        except ApiError as refusal:
            return refusal.message
        spec, params = pinned_images(work.container_spec, work.params, self._registry.approved_images)
        work = replace(work, container_spec=spec, params=params)
        # An engine holds its GPUs whether it is called or not, and how many calls it takes is no matter of theirs.
        lease = HeldLease(work, 0 if calls else gpu_count(work))
        self.leases.hold(lease)
        # Kept for the start: by then another runner might be the first that is available.
        self._runners[lease] = runner
        self.idle.clear()
        return None

    def _full(self, runner: Runner, calls: int, gpus: int) -> str | None:
        """Return what a runner's work has no room for, None when there is room."""
        if not calls:
            used = self.leases.slots_used
            return f"{used} of {self.slots} slots are taken" if used + gpus > self.slots else None
        # An ended call waits for its receipt only, and the engine is free of it.
        under_way = sum(self._runners[each] is runner for each in self.leases if each.state is not LeaseState.ENDED)
        return f"{under_way} of {calls} calls are under way" if under_way >= calls else None

    def _find(self, ref: pb.LeaseRef) -> HeldLease | None:
        return self.leases.find(ref.job_id, ref.attempt_number)

    def _drop(self, lease: HeldLease, why: str, **facts: int) -> None:
        self._running.stop(lease)
        self._runners.pop(lease, None)
        self.leases.forget(lease)
        lease.release()
        if not self.leases:
            self.idle.set()
        log.info("lease_ended", job_id=lease.job_id, attempt=lease.attempt, why=why, **lease.took, **facts)
        self.changed.set()

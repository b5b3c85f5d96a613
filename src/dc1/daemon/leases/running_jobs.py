"""The work under way: runners started, bounded in time, and stopped."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import TypeAlias

import structlog

from dc1 import tracing
from dc1.containment import StrayError, contained, in_words
from dc1.daemon.leases.leases import AttemptEnd, HeldLease
from dc1.daemon.leases.messages import sendable
from dc1.daemon.runners.base import Level, Result, RunFailed, Runner, Work
from dc1.domain.jobs.states import ErrorCategory, Phase
from dc1.metrics.runs import RunMetrics

CLEANUP_SECONDS = 15.0
"""How long new work waits for stopped work to free what it held."""

_LINES_A_TURN = 64
_EVENTS_A_TURN = 16
"""An engine says one at a time, as a rule, and to wait for the next is a turn for everybody: this is of a flood."""

ROOM_SECONDS = 10.0
"""How long a run waits with a line that this machine's disk has no room for, until it goes on without."""

_THROWN_AWAY_LINES = 1_000
_THROWN_AWAY_PAUSE_SECONDS = 0.05
# Together 20,000 lines a second: more than a program that works prints, and a twentieth of what `yes` would.

GpuFailureSince: TypeAlias = Callable[[float], str | None]
"""Says what was fatal to a GPU since a time of `time.monotonic()`, None for nothing."""

log = structlog.get_logger(__name__)


def no_gpu_failure(started: float) -> str | None:
    """Say that nothing was fatal to a GPU."""
    return None


class LeaseSink:
    """Takes a run's output into its lease. It waits for the server only where this machine's disk is full."""

    def __init__(self, lease: HeldLease, changed: Callable[[], None]) -> None:
        self._lease = lease
        self._changed = changed
        self._lines = self._events = 0
        self._waited = False

    async def log(self, level: Level, message: str) -> None:
        """Take a line; one in 64 lets the rest of the daemon have a turn."""
        logs = self._lease.logs
        self._lines += 1
        if logs.is_cut:
            # The program is read on, for its result, but no faster than that costs anybody a core.
            if self._lines % _THROWN_AWAY_LINES == 0:
                await asyncio.sleep(_THROWN_AWAY_PAUSE_SECONDS)
            return
        if logs.has_room.is_set():
            self._waited = False
        elif not self._waited:
            # Once for all lines that find no room in a row: a server that is away must not hold the work up for long.
            self._waited = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(logs.has_room.wait(), ROOM_SECONDS)
        self._lease.log(level, message, time.monotonic())
        self._changed()
        if self._lines % _LINES_A_TURN == 0:
            await asyncio.sleep(0)

    async def phase(self, name: Phase) -> None:
        """Note the phase."""
        self._lease.enter(name, time.monotonic())
        self._changed()

    async def token(self, text: str) -> None:
        """Take a token."""
        await self.event("", text, False)

    async def event(self, event: str, text: str, is_last: bool) -> None:
        """Take what an engine said; one in 16 lets the rest of the daemon have a turn."""
        self._lease.say(event, text, time.monotonic(), is_last=is_last)
        self._changed()
        self._events += 1
        if self._events % _EVENTS_A_TURN == 0:
            await asyncio.sleep(0)


class RunningJobs:
    """Every run of this daemon."""

    def __init__(
        self,
        changed: Callable[[], None],
        doubted: Callable[[], None],
        gpu_failure_since: GpuFailureSince = no_gpu_failure,
    ) -> None:
        """Make an empty set of runs.

        Args:
            changed: Called when a lease has something new to tell.
            doubted: Called when a runner may have become unavailable.
            gpu_failure_since: Asked of a run that failed.
        """
        self._changed = changed
        self._doubted = doubted
        self._gpu_failure_since = gpu_failure_since
        self._runs: dict[HeldLease, asyncio.Task[None]] = {}
        self._stopping: set[asyncio.Task[Result]] = set()
        self.metrics = RunMetrics()

    def start(self, lease: HeldLease, runner: Runner, seconds_left: float) -> None:
        """Begin the work of a lease. Its end is noted in the lease."""
        run = asyncio.create_task(self._run(lease, runner, seconds_left), name=f"{lease.job_id}/{lease.attempt}")
        self._runs[lease] = run
        run.add_done_callback(lambda _: self._runs.pop(lease, None))

    def stop(self, lease: HeldLease) -> None:
        """Cancel the work of a lease at once, if it runs."""
        run = self._runs.pop(lease, None)
        if run is not None:
            run.cancel()

    async def aclose(self) -> None:
        """Cancel all work and wait, at most 15 s, until the runners have cleaned up."""
        runs = set(self._runs.values())
        for run in runs:
            run.cancel()
        if runs:
            await asyncio.wait(runs)
        await self._cleaned_up()

    async def _run(self, lease: HeldLease, runner: Runner, seconds_left: float) -> None:
        # Before the wait: the server's deadline does not wait for what an earlier job left to clean up.
        deadline = time.monotonic() + seconds_left
        await self._cleaned_up()
        # After it: the time that is reported as used is the work's own.
        started = time.monotonic()
        try:
            end: Result | RunFailed = sendable(await self._work(lease, runner, deadline))
        except RunFailed as failure:
            end = self._by_its_card(failure, started)
        except Exception:
            # Nobody awaits this task: without an end the lease would be held, and the renter wait, for ever.
            log.exception("run_failed", job_id=lease.job_id, attempt=lease.attempt)
            end = RunFailed(ErrorCategory.ENGINE, "the run failed on the provider's side", transient=True)
        ended = AttemptEnd(end, seconds=round(time.monotonic() - started, 3))
        lease.finish(ended, time.monotonic(), deadline)
        failed = {"category": end.category.value, "error": end.message} if isinstance(end, RunFailed) else {}
        self.metrics.ended(failed.get("category", "completed"), ended.seconds)
        # Of a call that went well its lease's end tells as much a moment later: a line costs as much as three tokens.
        if failed or lease.work.call is None:
            log.info("run_ended", job_id=lease.job_id, attempt=lease.attempt, seconds=ended.seconds, **failed)
        self._changed()
        # What may go well elsewhere may be this machine's fault, and of an engine that fails its owner may have changed
        # the models: look before the next offer comes.
        if isinstance(end, RunFailed) and (end.transient or end.category is ErrorCategory.ENGINE):
            self._doubted()

    def _by_its_card(self, failure: RunFailed, started: float) -> RunFailed:
        """Return a failure as that of a card which failed meanwhile: its program ends as if it were at fault itself."""
        # Refused parameters never came to a card. Which of several it had is not asked: in doubt nobody pays for it.
        why = None if failure.category is ErrorCategory.INVALID_PARAMS else self._gpu_failure_since(started)
        if why is None:
            return failure
        message = f"a GPU failed ({why}): {failure.message}"
        return RunFailed(ErrorCategory.GPU_LOST, message, exit_code=failure.exit_code)

    async def _work(self, lease: HeldLease, runner: Runner, deadline: float) -> Result:
        """Do the work by the deadline. A runner that is slow to stop is left behind to do so."""
        seconds = max(0.0, deadline - time.monotonic())
        work = dataclasses.replace(lease.work, deadline=seconds)
        # A task and not a timeout around the call, which would wait for a runner that swallows its cancellation.
        running = asyncio.create_task(_guarded(runner, work, LeaseSink(lease, self._changed)))
        try:
            await asyncio.wait({running}, timeout=seconds)
            if running.done():
                return running.result()
            raise RunFailed(ErrorCategory.TIMEOUT, f"stopped at its deadline after {seconds:.0f} s")
        finally:
            if not running.done():
                running.cancel()
                self._stopping.add(running)
                running.add_done_callback(self._stopped)

    def _stopped(self, running: asyncio.Task[Result]) -> None:
        self._stopping.discard(running)
        # Looked at, as asyncio complains of exceptions that nobody did.
        if not running.cancelled():
            running.exception()

    async def _cleaned_up(self) -> None:
        if self._stopping:
            await asyncio.wait(self._stopping, timeout=CLEANUP_SECONDS)


async def _guarded(runner: Runner, work: Work, sink: LeaseSink) -> Result:
    """Run the work so that nothing but RunFailed comes out, and CancelledError only when it was asked for."""
    try:
        attributes = {"dc1__job__id": work.job_id, "dc1__attempt": work.attempt, "dc1__runner": type(runner).__name__}
        with contained(), tracing.span("run", "consumer", work.traceparent, **attributes):
            return await runner.run(work, sink)
    except RunFailed:
        raise
    except StrayError as stray:
        log.warning("run_abandoned", job_id=work.job_id, attempt=work.attempt, reason=str(stray))
        raise RunFailed(ErrorCategory.ENGINE, "the run was abandoned", transient=True) from None
    except Exception as error:
        log.exception("runner_failed", job_id=work.job_id, attempt=work.attempt)
        raise RunFailed(ErrorCategory.ENGINE, f"the runner failed: {in_words(error)}") from error

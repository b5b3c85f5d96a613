"""A /v1 call from its admission to its end: within its caller's limits, and ended with whoever waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from dc1.control.control_plane import ControlPlane
from dc1.domain.errors import ApiError
from dc1.domain.errors.codes import ErrorCode, OpenAICode
from dc1.domain.inference.calls import InferenceCall
from dc1.domain.inference.usage import expected_tokens
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.failure_texts import TOO_MUCH_SAID
from dc1.domain.jobs.states import Actor, ErrorCategory
from dc1.services.api.call import caller_id, caller_scoped_key, current_call
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.shielding import ShieldedWork
from dc1.services.inference.call_limiter import Admission, CallLimiter
from dc1.services.inference.completion_stream import CompletionStream
from dc1.storage.jobs.job_records import JobRow

_MOST_TRIES = 3
"""So often a call is given room that another server takes."""


class HeldCalls:
    """The calls that this server answers, whatever their path."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._work = ShieldedWork()
        self._limiter = CallLimiter(
            plane.clock,
            plane.config.call_limits,
            plane.replicas,
            plane.config.completion_timeout_seconds * 1000,
        )

    @asynccontextmanager
    async def held(self, call: InferenceCall) -> AsyncIterator[CompletionStream]:
        """Start a call within its caller's limits, and end it with the block."""
        asked = current_call()
        held_to = asked.principal.key_limits
        held_to.require_model(call.model)
        call = call.allowed(held_to.providers)
        told = self._plane.sessions.told_streams.one() if call.stream else nullcontext()
        with self._limiter.admit(asked, expected_tokens(call), streamed=call.stream) as admission, told:
            async with self._started(call, admission) as completion:
                yield completion

    @asynccontextmanager
    async def _started(self, call: InferenceCall, admission: Admission) -> AsyncIterator[CompletionStream]:
        """Start a call, and end it with the block: nobody else waits for it."""
        # Of a call that is refused nobody reads or makes any token.
        admission.tokens, expected = 0, admission.tokens
        asked = current_call()
        completion = CompletionStream(self._plane, await self._begun(call), call)
        admission.tokens = expected
        try:
            yield completion
        finally:
            # Whether the caller left or the server stops: a daemon that went on would hold a slot for an answer nobody
            # reads.
            if completion.job.is_terminal:
                self._plane.completions.answered(completion.job.id)
                admission.tokens = _tokens_of(completion.job)
            elif completion.is_untellable:
                await self._work.run(self._refuse(completion.job))
                admission.tokens = 0
            else:
                # What a suspended account has open is ended by the operator, and free.
                is_suspended = asked.stopped is not None and asked.stopped.code is ErrorCode.ACCOUNT_SUSPENDED
                actor = Actor.ADMIN if is_suspended else Actor.RENTER
                left = await self._work.run(self._plane.completions.abandon(completion.job.id, actor))
                # Of an answer in one piece nobody has a word, and an engine worked for it: it counts as it might have
                # become, and so does a stream of which nothing came.
                if left is not None and call.stream:
                    admission.tokens = _tokens_of(left) or expected

    async def _refuse(self, job: JobRow) -> None:
        """End a call of whose answer more came than can be told: its provider failed it, and it is free."""
        self._plane.completions.answered(job.id)
        report = AttemptReport.read(completed=False, error=TOO_MUCH_SAID, category=ErrorCategory.ENGINE)
        try:
            # Words of a run through another server come before its start is stored, too.
            await self._plane.attempts.starts.store(job.id)
            # Of whichever attempt it is: an answer of which something was told is not begun anew.
            await self._plane.attempts.finish(None, job.job_id, None, report)
        except ApiError:
            # Or it is, where what came was no word of one: the next attempt would be for nobody, and paid.
            await self._plane.completions.abandon(job.id)

    async def _begun(self, call: InferenceCall) -> JobRow:
        """Start a call where there is room; where another server was faster, it waits for room again."""
        renter_id, key_id, tries = caller_id(), caller_scoped_key(), _MOST_TRIES
        while True:
            reserved = await self._plane.completions.reserve(renter_id, call)
            starting = asyncio.ensure_future(self._plane.completions.start(renter_id, call, reserved, key_id))
            tries -= 1
            try:
                # A streamed method is not shielded by the pipeline, so that it ends when its caller leaves; what holds
                # money is shielded here.
                return await asyncio.shield(starting)
            except asyncio.CancelledError:
                # A caller may leave while the call is being committed; then it is ended as soon as it is known.
                await self._work.run(self._abandon(starting))
                raise
            except ApiError as refusal:
                if not tries or refusal.code != OpenAICode.NO_CAPACITY_AVAILABLE:
                    raise

    async def _abandon(self, starting: asyncio.Future[JobRow]) -> None:
        try:
            job = await starting
        except Exception:  # the call was refused, and its caller told so
            return
        await self._plane.completions.abandon(job.id)


def _tokens_of(job: JobRow) -> int:
    return (job.prompt_tokens or 0) + (job.completion_tokens or 0)


class HeldCallPart(ServicerPart):
    """A part of a servicer that answers such calls; all parts of one share what its callers may use."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._calls = HeldCalls(self._plane)

"""One /v1 call from its offer to its end: what the run says, as it says it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from dc1.control.control_plane import ControlPlane
from dc1.control.scheduling.job_feed import JobUpdate, Lagged, StateChanged, TokenChunk
from dc1.domain import errors
from dc1.domain.base.json_types import JsonValue
from dc1.domain.errors import ApiError
from dc1.domain.errors.engine_refusals import EngineRefusal
from dc1.domain.inference.calls import InferenceCall
from dc1.domain.inference.events import AnswerEvent
from dc1.domain.jobs.results import response_text, tool_calls
from dc1.domain.jobs.states import ErrorCategory, JobStatus
from dc1.services.api.event_stream import KEEP_ALIVE_SECONDS
from dc1.services.inference.relayed_events import RelayedEvents
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow

_MOST_TOLD = 512 * 1024
"""Characters of an answer that are told as they come, many times what 8,192 tokens are.

A daemon may say any number, and what is told is kept until the end, to be compared with the result, which has the rest.
"""


_LATE_SECONDS = 5.0
"""How long after the end of a run nothing of its answer comes until it is taken for lost."""


class CompletionStream:
    """`job` is as it was last read, `result` what a completed run left, and `events` what the engine said of it.

    `is_untellable` is set once more of it came than its caller's dialect can tell.
    """

    def __init__(self, plane: ControlPlane, job: JobRow, call: InferenceCall) -> None:
        self._plane = plane
        self.call = call
        self.events = RelayedEvents(in_one_piece=not call.stream)
        # Pieces, for a text that grows by a token a thousand times a second would be copied each time.
        self._told: list[str] = []
        self._length = 0
        self._told_events = 0
        self._is_behind = False
        self.is_untellable = False
        self.job = job
        self.result: JsonValue = None

    async def batches(self) -> AsyncGenerator[list[str | AnswerEvent], None]:
        """Yield what the engine says, or text, as it comes until the run completed, empty text after 15 s of silence.

        What comes together is told together.

        A call is refused when its run did not complete, or when its text so far is not how the result begins.
        """
        async with aclosing(self._live()) as live:
            async for batch in live:
                yield batch
        if self.events.is_whole:
            return
        self.require_text()
        rest = self._rest()
        if rest:
            # All of it where nothing came live: a daemon need not send tokens, and they are not stored anywhere to be
            # read again.
            yield [rest]

    @property
    def is_silent(self) -> bool:
        """Whether nothing of an answer was told yet."""
        return not (self._told_events or self._length)

    async def completed(self) -> None:
        """Wait until the run has completed; a call whose run did not is refused."""
        async with aclosing(self._live()) as live:
            async for _ in live:
                pass

    def require_text(self) -> None:
        """Refuse a call of whose answer only the text is left, where that is not all that its caller is to have.

        Raises:
            provider_unavailable: It is not.
        """
        if self.call.needs_bodies or (self._told_events and tool_calls(self.result)):
            raise errors.provider_unavailable("Part of the answer was lost on its way")

    async def _live(self) -> AsyncGenerator[list[str | AnswerEvent], None]:
        # Subscribed before the job is read, or an end in between would be waited for until the time-out.
        with self._plane.job_feed.subscribe(self.job.id, (TokenChunk,), from_start=True) as subscription:
            is_over = not self._is_held() and await self._has_ended()
            while not is_over:
                batch = await subscription.next(KEEP_ALIVE_SECONDS)
                pieces = self._take(batch)
                if pieces or not batch:
                    yield pieces or [""]
                is_over = self._was_answered(batch)
                # After a silence look again: a notice that was missed must not hold the caller for ever.
                if not is_over and (not batch or not self._is_held()):
                    is_over = await self._has_ended()
            # What came while the job was read, or before anybody looked: an engine may be done by then.
            if pieces := self._take(await subscription.next(0)) + await self._stored_events():
                yield pieces
            while self._is_more_coming() and (batch := await subscription.next(_LATE_SECONDS)):
                if pieces := self._take(batch):
                    yield pieces
        if self.job.status != JobStatus.COMPLETED:
            raise _refusal(self.job)

    def _is_more_coming(self) -> bool:
        """Tell whether more than the text is to come: from another server, that comes later than news of the end."""
        return self._is_more_wanted() and not self.events.is_behind

    def _is_more_wanted(self) -> bool:
        is_wanted = self.call.needs_bodies or self.events.is_used
        return is_wanted and self.job.status == JobStatus.COMPLETED and not self.events.is_whole

    async def _stored_events(self) -> list[str | AnswerEvent]:
        """Return what the server that relayed the run stored, for notifications that are lost or have not come yet."""
        if not self._is_more_wanted():
            return []
        said = await self._plane.db.read(lambda conn: jobs.events(conn, self.job.id))
        new = self.events.heal(self.job.attempt_number, said) if said else []
        self._told_events += len(new)
        self._tell("".join(event.content() for event in new))
        return [*new]

    def _is_held(self) -> bool:
        """Tell whether the job is offered or runs, as far as memory knows: then it need not be read."""
        return self._plane.leases.of_job(self.job.id) is not None

    def _was_answered(self, batch: Sequence[JobUpdate]) -> bool:
        """Tell whether a batch says that the run completed, with what it left."""
        for update in batch:
            if isinstance(update, StateChanged) and update.answered is not None:
                self.job, self.result = update.answered
                return True
        return False

    async def _has_ended(self) -> bool:
        # In one snapshot: an end that is seen has its result with it.
        def with_result(conn: Connection) -> tuple[JobRow, JsonValue]:
            job = jobs.known(conn, self.job.id)
            return job, jobs.result(conn, job.id) if job.is_terminal else None

        self.job, self.result = await self._plane.db.read(with_result)
        return self.job.is_terminal

    def _take(self, batch: Sequence[JobUpdate]) -> list[str | AnswerEvent]:
        """Return what is new in a batch; once a part is missing, what follows waits for the result."""
        new: list[str | AnswerEvent] = []
        for update in batch:
            if isinstance(update, Lagged):
                self._is_behind = self.events.is_behind = True
            elif isinstance(update, TokenChunk):
                events = self.events.take(update)
                if self.events.is_used:
                    new += events
                    self._told_events += len(events)
                    self._tell("".join(event.content() for event in events))
                    self.events.is_behind = self.events.is_behind or self._length > _MOST_TOLD
                # Of several answers the text is that of one, and beside chats nothing that could be said in its form.
                elif not self.call.needs_bodies and (text := self._take_text(update)):
                    new.append(text)
        return new

    def _take_text(self, chunk: TokenChunk) -> str:
        # Less than 0 for a repetition: `[-missing:]` then skips what is known, and takes everything at 0.
        missing = 0 if chunk.offset is None else chunk.offset - self._length
        new = chunk.text[-missing:]
        self._is_behind = self._is_behind or missing > 0 or self._length + len(new) > _MOST_TOLD
        return "" if self._is_behind else self._tell(new)

    def _tell(self, text: str) -> str:
        if text:
            self._told.append(text)
            self._length += len(text)
        return text

    def _rest(self) -> str:
        """Return what of the result was not said yet."""
        whole = self.text()
        # What was said cannot be taken back, so an answer that goes on otherwise is an error and not a correction.
        told = "".join(self._told)
        if not whole.startswith(told):
            raise errors.provider_unavailable("Part of the answer was lost on its way")
        return whole.removeprefix(told)

    def text(self) -> str:
        """Return the whole text."""
        # A result without text leaves what was said piece by piece.
        return response_text(self.result) or "".join(self._told)


def _refusal(job: JobRow) -> ApiError:
    if job.error_category == ErrorCategory.TIMEOUT:
        return errors.completion_timeout()
    if job.error_category in (ErrorCategory.INVALID_PARAMS, ErrorCategory.ENGINE_BUSY) and job.error:
        # Of the caller, or of how much is asked at once: one that took it for the provider's failure would repeat the
        # call instead of changing it or waiting.
        return errors.completion_refused(job.error, EngineRefusal.stored(job.engine_refusal))
    if job.error_category == ErrorCategory.QUEUE_TIMEOUT:
        # The provider that had it failed it, and no other was free in time.
        return errors.no_capacity_available(job.model or "")
    if job.error_category == ErrorCategory.SERVER_STOP:
        # Not of the provider: the sentence that says who stopped is all there is to say.
        return errors.provider_unavailable(job.error or "The server stopped while the call ran")
    if job.status == JobStatus.CANCELLED:
        return errors.provider_unavailable("The call was cancelled")
    return errors.provider_unavailable(f"The provider could not answer: {job.error}")

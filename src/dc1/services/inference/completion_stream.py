"""One /v1 call from its offer to its end: what the run says, as it says it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from dc1.control.control_plane import ControlPlane
from dc1.control.scheduling.job_feed import JobUpdate, Lagged, StateChanged, TokenChunk
from dc1.domain import errors
from dc1.domain.base.json_types import JsonValue
from dc1.domain.errors import ApiError
from dc1.domain.jobs.results import response_text
from dc1.domain.jobs.states import ErrorCategory, JobStatus
from dc1.services.api.event_stream import KEEP_ALIVE_SECONDS
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow


class CompletionStream:
    """`job` is as it was last read, and `result` what a completed run left."""

    def __init__(self, plane: ControlPlane, job: JobRow) -> None:
        self._plane = plane
        self._text = ""
        self._is_behind = False
        self.job = job
        self.result: JsonValue = None

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Yield text as it comes, an empty one after 15 s of silence, until the run has completed.

        Raises the answer to a call whose run did not complete, or whose text so far is not how the result begins.
        """
        async with aclosing(self._live()) as live:
            async for piece in live:
                yield piece
        rest = self._rest()
        if rest:
            yield rest

    async def text(self) -> str:
        """Wait until the run has completed, and return the whole text.

        Raises the answer to a call whose run did not.
        """
        async with aclosing(self._live()) as live:
            async for _ in live:
                pass
        return self._whole()

    async def _live(self) -> AsyncGenerator[str, None]:
        with self._plane.job_feed.subscribe(self.job.id, (TokenChunk,)) as subscription:
            while not await self._has_ended():
                is_news = False
                while not is_news:
                    batch = await subscription.next(KEEP_ALIVE_SECONDS)
                    text = self._take(batch)
                    if text or not batch:
                        yield text
                    # After a silence look again: a notice that was missed must not hold the caller for ever.
                    is_news = not batch or any(isinstance(update, StateChanged) for update in batch)
        if self.job.status != JobStatus.COMPLETED:
            raise _refusal(self.job)

    async def _has_ended(self) -> bool:
        def with_result(conn: Connection) -> tuple[JobRow, JsonValue]:
            job = jobs.known(conn, self.job.id)
            return job, jobs.result(conn, job.id) if job.is_terminal else None

        self.job, self.result = await self._plane.db.read(with_result)
        return self.job.is_terminal

    def _take(self, batch: Sequence[JobUpdate]) -> str:
        """Return what is new in a batch; once text is missing, what follows waits for the result."""
        known = len(self._text)
        for update in batch:
            if isinstance(update, Lagged):
                self._is_behind = True
            elif isinstance(update, TokenChunk):
                missing = 0 if update.offset is None else update.offset - len(self._text)
                self._is_behind = self._is_behind or missing > 0
                if not self._is_behind:
                    self._text += update.text[-missing:]
        return self._text[known:]

    def _rest(self) -> str:
        """Return what of the result was not said yet."""
        whole = self._whole()
        if not whole.startswith(self._text):
            raise errors.provider_unavailable("Part of the answer was lost on its way")
        return whole.removeprefix(self._text)

    def _whole(self) -> str:
        return response_text(self.result) or self._text


def _refusal(job: JobRow) -> ApiError:
    if job.error_category == ErrorCategory.TIMEOUT:
        return errors.completion_timeout()
    if job.status == JobStatus.CANCELLED:
        return errors.provider_unavailable("The call was cancelled")
    return errors.provider_unavailable(f"The provider could not answer: {job.error}")

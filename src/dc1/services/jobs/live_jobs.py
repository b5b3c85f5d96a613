"""Jobs as they are watched, all of an account's at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

from dc1.control.control_plane import ControlPlane
from dc1.control.feeds.job_watch import EVERYBODY, Audience, WatchedJobs
from dc1.domain.access.roles import Role
from dc1.domain.base.clock import iso, time_text
from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.jobs.states import JobStatus
from dc1.services.api.call import Principal
from dc1.services.api.live_stream import PAUSE_SECONDS, LiveSource
from dc1.services.jobs.messages import current_cost, shown_provider_id, tokens_used
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow

_PAGE = 250
_SETTLE_SECONDS = 0.2
_MOST_JOBS = 2_000
"""Of a snapshot; whoever has more of them open watches those that move."""


def audience_of(principal: Principal) -> Audience:
    """Return whose jobs a caller may watch."""
    if principal.role is Role.ADMIN:
        return EVERYBODY
    if principal.role is Role.RENTER:
        return Audience(renter_id=principal.account_id)
    return Audience(account_id=principal.account_id)


class LiveJobs(LiveSource):
    """What one watcher of jobs is told."""

    def __init__(self, plane: ControlPlane, audience: Audience, watched: WatchedJobs) -> None:
        self._plane = plane
        self._audience = audience
        self._watched = watched

    async def snapshot(self) -> AsyncIterator[tuple[str, str]]:
        """Yield the open jobs, the newest first, in pages."""
        audience = self._audience
        find = partial(jobs.open_jobs, renter_id=audience.renter_id, account_id=audience.account_id, limit=_MOST_JOBS)
        rows = await self._plane.db.read_history(find)
        for start in range(0, max(1, len(rows)), _PAGE):
            yield "snapshot", _event(rows[start : start + _PAGE])

    async def wait(self, timeout_seconds: float) -> None:
        """Wait until a job moved, and a little longer for those that move with it; of a stop nobody tells."""
        await self._watched.wait(min(timeout_seconds, PAUSE_SECONDS))
        await asyncio.sleep(_SETTLE_SECONDS)

    async def changes(self) -> list[tuple[str, str]]:
        """Return the jobs that moved, or all that are open where some were lost."""
        moved, lagged = self._watched.take()
        if lagged:
            return [each async for each in self.snapshot()]
        return [("change", _event(moved))] if moved else []


def _event(rows: Sequence[JobRow]) -> str:
    told: list[JsonValue] = [live_job(row) for row in rows]
    return compact({"jobs": told})


def live_job(job: JobRow) -> JsonObject:
    """Return a job as the JSON of a LiveJob."""
    return {
        "id": job.id,
        "job_id": job.job_id,
        "renter_id": job.renter_id,
        "provider_id": shown_provider_id(job),
        "job_type": job.job_type,
        "model": job.model,
        "status": job.status,
        "progress_phase": job.progress_phase,
        "pricing_class": job.pricing_class,
        "attempt_number": job.attempt_number,
        "cost_halala": current_cost(job),
        "tokens_used": tokens_used(job),
        "submitted_at": iso(job.submitted_at_ms),
        "started_at": time_text(job.started_at_ms),
        "ended_at": time_text(job.completed_at_ms),
        "error": job.error if job.status == JobStatus.FAILED else None,
        "error_category": job.error_category if job.status == JobStatus.FAILED else None,
    }

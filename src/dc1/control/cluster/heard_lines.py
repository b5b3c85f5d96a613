"""Lines of log that runs elsewhere said, for their readers here."""

from dc1.control.scheduling.core import Core
from dc1.control.scheduling.job_feed import Lagged
from dc1.storage.jobs import job_logs


class HeardLines:
    """How many lines there were of each job that is read here and runs elsewhere."""

    def __init__(self, core: Core) -> None:
        self._db = core.db
        self._leases = core.leases
        self._sessions = core.sessions
        self._job_feed = core.job_feed
        self._known: dict[int, int] = {}

    async def follow(self) -> None:
        """Make readers look for new lines."""
        # Lines are not told: a flood of them would crowd out everything else that is. One query says for all jobs with
        # readers here how many lines there are.
        elsewhere = [row_id for row_id in self._job_feed.read_rows() if not self._runs_here(row_id)]
        if not elsewhere:
            self._known.clear()
            return
        totals = await self._db.read(lambda conn: job_logs.totals_of(conn, elsewhere))
        for row_id, total in totals.items():
            if self._known.get(row_id) != total:
                self._job_feed.publish(row_id, Lagged(), heard=True)
        self._known = totals

    def _runs_here(self, row_id: int) -> bool:
        lease = self._leases.of_job(row_id)
        return lease is not None and self._sessions.get(lease.provider_id) is not None

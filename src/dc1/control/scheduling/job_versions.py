"""Which version of a job memory has followed, so that each is followed once, whatever order the news comes in."""

from collections import OrderedDict

from dc1.storage.jobs.job_records import JobRow

ENDED_REMEMBERED = 4096


class JobVersions:
    """The newest event of each open job that memory knows.

    A move made here is told twice, by the transaction that made it and by the feed of changes, and either may be first.
    """

    def __init__(self) -> None:
        self._open: dict[int, int] = {}
        self._ended: OrderedDict[int, int] = OrderedDict()

    def learn(self, job: JobRow) -> bool:
        """Note a job as it was stored; False when this version, or a later one, is known already."""
        # Each stored move counts the job's events up by one, so the number alone says which version is newer: replicas'
        # clocks differ, and the feed may bring an old version after a new one.
        known = self._open.get(job.id) or self._ended.get(job.id, 0)
        if job.event_sequence <= known:
            return False
        if not job.is_terminal:
            self._open[job.id] = job.event_sequence
            return True
        self._open.pop(job.id, None)
        self._ended[job.id] = job.event_sequence
        if len(self._ended) > ENDED_REMEMBERED:
            # Old versions of a job that ended must not bring it back to life; after thousands of others have ended,
            # none that was under way is still to come, and the memory of a long life stays bounded.
            self._ended.popitem(last=False)
        return True

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

    def is_newer(self, row_id: int, event_sequence: int) -> bool:
        """Tell whether a version is later than all that memory knows of a job."""
        return event_sequence > (self._open.get(row_id) or self._ended.get(row_id, 0))

    def is_known(self, row_id: int) -> bool:
        """Tell whether memory has known a job lately."""
        return row_id in self._open or row_id in self._ended

    def is_open(self, row_id: int) -> bool:
        """Tell whether memory knows a job that has not ended."""
        return row_id in self._open

    def follow_again(self, job: JobRow) -> None:
        """Have the version that was left at be news once more; a later one that is known stays known."""
        if job.event_sequence == self._ended.get(job.id) and job.id not in self._open:
            del self._ended[job.id]

    def learn(self, job: JobRow) -> bool:
        """Note a job as it was stored; False when this version, or a later one, is known already."""
        # Each stored move counts the job's events up by one, so the number alone says which version is newer: replicas'
        # clocks differ, and the feed may bring an old version after a new one.
        if not self.is_newer(job.id, job.event_sequence):
            return False
        if job.is_terminal:
            self.end(job.id, job.event_sequence)
        else:
            self._open[job.id] = job.event_sequence
        return True

    def end(self, row_id: int, event_sequence: int) -> None:
        """Note the last version of a job that memory follows no longer."""
        self._open.pop(row_id, None)
        self._ended[row_id] = event_sequence
        if len(self._ended) > ENDED_REMEMBERED:
            # Old versions of a job that ended must not bring it back to life; after thousands of others have ended,
            # none that was under way is still to come, and the memory of a long life stays bounded.
            self._ended.popitem(last=False)

"""What must be true after the storm, read from the database and from what the daemons left behind."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any, TypeAlias

from sqlalchemy import Connection, text

from dc1.storage.money import ledger_audit
from dc1.testing.rest import Json
from tests.chaos.world import DaemonSeat, World
from tests.support.logs import troubles
from tests.support.programs.process import Process

Attempt: TypeAlias = tuple[Any, Any]
"""Public id of a job, and the number of the attempt."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the database says after the storm."""

    problems: list[str]
    statuses: Counter[str]
    attempts: int
    retries: int
    seconds_to_end: list[float]
    failures: Counter[str] = field(default_factory=Counter)
    """Why jobs failed, by category."""


_FORESEEN = ("the database takes no writes (disk_full)", "the database takes no writes (no_answer)")
"""Errors for whoever looks after the disk, which the storm fills, and the database, which stands still in it."""

_OPEN = text("SELECT count(*) FROM jobs WHERE status NOT IN ('completed', 'failed', 'cancelled')")

# Each finds what must not be.
_CONTRADICTIONS = {
    "job {0} has {1} last events": """
        SELECT j.job_id, COUNT(e.job_id) FROM jobs j
        LEFT JOIN job_events e ON e.job_id = j.id AND e.status IN ('completed', 'failed', 'cancelled')
            AND e.event_type <> 'job.retried'
        WHERE j.status IN ('completed', 'failed', 'cancelled')
        GROUP BY j.job_id HAVING COUNT(e.job_id) <> 1
    """,
    "job {0} was moved {1} times from hold to {2}": """
        SELECT job_id, COUNT(*), kind FROM movements
        WHERE job_id IS NOT NULL GROUP BY job_id, kind HAVING COUNT(*) > 1
    """,
    "attempt {1} of job {0} has no end, though the job has one": """
        SELECT j.job_id, a.attempt_number FROM job_attempts a JOIN jobs j ON j.id = a.job_id
        WHERE a.ended_at_ms IS NULL AND j.status IN ('completed', 'failed', 'cancelled')
    """,
    "job {0} has {1} attempts, numbered up to {2}": """
        SELECT j.job_id, COUNT(*), MAX(a.attempt_number) FROM job_attempts a JOIN jobs j ON j.id = a.job_id
        GROUP BY j.job_id, j.attempt_number
        HAVING COUNT(*) <> MAX(a.attempt_number) OR MAX(a.attempt_number) <> j.attempt_number
    """,
    "job {0}, prepaid with {1}, ended with provider {2}, platform {3} and refund {4}": """
        SELECT job_id, cost_halala, provider_earned_halala, dc1_fee_halala, refunded_halala FROM jobs
        WHERE status IN ('completed', 'failed', 'cancelled')
            AND cost_halala <> COALESCE(provider_earned_halala, 0) + COALESCE(dc1_fee_halala, 0)
                + COALESCE(refunded_halala, 0)
    """,
    "job {0} was completed {1} times": """
        SELECT j.job_id, COUNT(*) FROM job_attempts a JOIN jobs j ON j.id = a.job_id
        WHERE a.outcome = 'completed' GROUP BY j.job_id HAVING COUNT(*) > 1
    """,
}


# Of a storm only, whose programs are all sound; those of the soak fail now and then on purpose.
_BLAMED = text("""
    SELECT job_id, error_category FROM jobs
    WHERE error_category IN ('execution', 'invalid_result', 'oom', 'timeout', 'invalid_params')
""")


def open_jobs(conn: Connection) -> int:
    return int(conn.execute(_OPEN).scalar_one())


def look(conn: Connection) -> Found:
    problems = ledger_audit.verify(conn)
    for claim, query in _CONTRADICTIONS.items():
        problems += [claim.format(*row) for row in conn.execute(text(query))]
    rows = conn.execute(
        text("SELECT status, error_category, attempt_number, retry_count, submitted_at_ms, completed_at_ms FROM jobs")
    ).all()
    return Found(
        problems,
        Counter(str(row.status) for row in rows),
        sum(row.attempt_number for row in rows),
        sum(row.retry_count for row in rows),
        [(row.completed_at_ms - row.submitted_at_ms) / 1000 for row in rows if row.status == "completed"],
        Counter(str(row.error_category) for row in rows if row.status == "failed"),
    )


def blamed(conn: Connection) -> list[str]:
    """The jobs that are to blame for their end, though no program fails by itself and none takes long."""
    return [f"job {row.job_id} is to blame for its end ({row.error_category})" for row in conn.execute(_BLAMED)]


def stored_ids(conn: Connection) -> set[int]:
    return {row.id for row in conn.execute(text("SELECT id FROM jobs"))}


def cancelled_ids(conn: Connection) -> set[int]:
    return {row.id for row in conn.execute(text("SELECT id FROM jobs WHERE status = 'cancelled'"))}


def live_attempts(conn: Connection) -> set[Attempt]:
    """The attempts that a daemon may be at work at."""
    rows = conn.execute(text("SELECT job_id, attempt_number FROM jobs WHERE status IN ('pending', 'running')"))
    return {(row.job_id, row.attempt_number) for row in rows}


def completed_attempts(conn: Connection) -> set[Attempt]:
    rows = conn.execute(text("SELECT job_id, attempt_number FROM jobs WHERE status = 'completed'"))
    return {(row.job_id, row.attempt_number) for row in rows}


def still_at_work(daemons: Collection[DaemonSeat]) -> set[Attempt]:
    """What the daemons that live now have begun and not ended."""
    begun = {item for seat in daemons for item in told(seat.present, "work begun")}
    return begun - {item for seat in daemons for item in told(seat.present, "work over")}


def at_work_in_vain(world: World) -> set[Attempt]:
    """What the daemons that live now are at work at though it has ended, or was given to another."""
    live = world.stored(live_attempts)
    return still_at_work(world.daemons) - live


def leases_ended(daemons: Collection[DaemonSeat]) -> Counter[str]:
    """Why daemons gave up leases, as they were told."""
    lines = (line for seat in daemons for life in seat.lives for line in _lines(life))
    return Counter(line["why"] for line in lines if line.get("event") == "lease_ended")


def begun_twice(daemons: Collection[DaemonSeat]) -> list[Attempt]:
    """Attempts whose work was begun more than once, by whichever daemons."""
    begun = Counter(item for seat in daemons for life in seat.lives for item in told(life, "work begun"))
    return [item for item, times in begun.items() if times > 1]


def paid_for(daemons: Collection[DaemonSeat]) -> set[Attempt]:
    """Attempts that a daemon was told are settled as its own."""
    return {
        (line["job_id"], line["attempt"])
        for seat in daemons
        for life in seat.lives
        for line in _lines(life)
        if line.get("event") == "lease_ended" and line.get("why") == "settled" and line.get("earned_halala")
    }


def percentiles(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return "-"
    cuts = quantiles(sorted(seconds), n=100)
    return f"p50 {cuts[49]:.1f} s, p99 {cuts[98]:.1f} s"


def told(life: Process, event: str) -> Iterator[Attempt]:
    """The attempts of which a daemon has said this."""
    return ((line["job_id"], line["attempt"]) for line in _lines(life) if line.get("event") == event)


def _lines(life: Process) -> Iterator[Json]:
    for line in life.said.splitlines():
        if line.startswith("{") and line.endswith("}"):
            yield json.loads(line)


def check(world: World, acknowledged: Collection[int], cancelled: Collection[int]) -> Found:
    """Raise an AssertionError that names everything that must not be."""
    found = world.stored(look)
    problems = [*found.problems, *world.stored(blamed), *_lost(world, acknowledged, cancelled)]
    problems += [f"attempt {attempt} of {job_id} was begun twice" for job_id, attempt in begun_twice(world.daemons)]
    problems += [
        f"attempt {attempt} of {job_id} was paid by what a daemon was told, and not by the books"
        for job_id, attempt in paid_for(world.daemons) - world.stored(completed_attempts)
    ]
    problems += [
        f"in the log of {name}: {line}"
        for name, log in world.logs.items()
        for line in troubles(log)
        if not any(text in line for text in _FORESEEN)
    ]
    assert not problems, "\n".join(problems)
    return found


def _lost(world: World, acknowledged: Collection[int], cancelled: Collection[int]) -> Iterator[str]:
    stored = world.stored(stored_ids)
    if lost := set(acknowledged) - stored:
        yield f"acknowledged jobs are not stored: {sorted(lost)}"
    if made_up := stored - set(acknowledged):
        yield f"stored jobs were acknowledged to nobody: {sorted(made_up)}"
    if len(set(acknowledged)) < len(acknowledged):
        yield "two submissions were answered with one job"
    if revived := set(cancelled) - world.stored(cancelled_ids):
        yield f"acknowledged cancellations did not end their jobs: {sorted(revived)}"

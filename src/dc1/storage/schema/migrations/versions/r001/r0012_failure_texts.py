"""What daemons said of failed attempts goes where renters do not read, and renters get the sentence of its category."""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

EVENTS = sa.table(
    "job_events",
    *map(sa.column, ("job_id", "event_type", "status", "source", "error_category", "message", "occurred_at_ms")),
)
JOBS = sa.table("jobs", *map(sa.column, ("id", "status", "error", "error_category", "retry_reason")))
ATTEMPTS = sa.table("job_attempts", *map(sa.column, ("job_id", "outcome", "ended_at_ms", "error_detail")))
DELIVERIES = sa.table("webhook_deliveries", *map(sa.column, ("id", "job_id", "event", "body")))
FAILED, RETRIED = "job.failed", "job.retry.scheduled"
DELIVERIES_AT_ONCE = 1_000
SENTENCES = {
    "timeout": "Job timed out",
    "oom": "The run needed more memory than there is",
    "image_pull": "The image could not be pulled",
}
OWN_REASONS = (
    "The daemon did not answer the offer",
    "The provider takes no new work",
    "The provider disconnected",
    "The daemon lost the job",
    "The provider was rejected",
    "The provider was suspended",
    "The provider closed its account",
    "The provider went offline",
)


def upgrade() -> None:
    op.add_column("job_attempts", sa.Column("error_detail", sa.Text(), nullable=True))
    keep_details()
    op.execute(sa.update(JOBS).where(JOBS.c.status == "failed", told(FAILED, JOBS.c.id)).values(error=sentence(JOBS)))
    retried = JOBS.c.retry_reason.is_not(None) & told(RETRIED, JOBS.c.id)
    op.execute(sa.update(JOBS).where(retried).values(retry_reason="The run failed"))
    op.execute(sa.update(EVENTS).where(*by_provider(FAILED, RETRIED)).values(message=sentence(EVENTS)))
    # Of offers that went back only the server's own reasons stay; daemons gave theirs in their words.
    declined = (
        EVENTS.c.source == "scheduler",
        EVENTS.c.event_type == "job.status.changed",
        EVENTS.c.status == "queued",
        EVENTS.c.message.not_in(OWN_REASONS),
    )
    op.execute(sa.update(EVENTS).where(*declined).values(message="The provider declined the offer"))
    retell_webhooks()


def keep_details() -> None:
    # An attempt and the event of its end were written at one moment of one clock.
    ended = EVENTS.c.job_id == ATTEMPTS.c.job_id, EVENTS.c.occurred_at_ms == ATTEMPTS.c.ended_at_ms
    said = sa.select(sa.func.max(EVENTS.c.message)).where(*ended, *by_provider(FAILED, RETRIED)).scalar_subquery()
    failed = ATTEMPTS.c.outcome.not_in(("completed", "cancelled"))
    op.execute(sa.update(ATTEMPTS).where(failed).values(error_detail=said))


def by_provider(*types: str) -> tuple[sa.ColumnElement[bool], ...]:
    return EVENTS.c.source == "provider", EVENTS.c.event_type.in_(types), EVENTS.c.message.is_not(None)


def told(event_type: str, job_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    return sa.exists().where(EVENTS.c.job_id == job_id, *by_provider(event_type))


def sentence(table: sa.TableClause) -> sa.ColumnElement[str]:
    return sa.case(SENTENCES, value=table.c.error_category, else_="The run failed")


def retell_webhooks() -> None:
    """Let bodies tell what their jobs tell by now; one is sent again until it is delivered."""
    better = sa.update(DELIVERIES).where(DELIVERIES.c.id == sa.bindparam("which")).values(body=sa.bindparam("told"))
    connection = op.get_bind()
    for rows in failures(connection):
        changed = [{"which": row.id, "told": told} for row in rows if (told := retold(row.body, row.error)) != row.body]
        if changed:
            connection.execute(better, changed)


def failures(connection: sa.Connection) -> Iterator[list[Any]]:
    query = sa.select(DELIVERIES.c.id, DELIVERIES.c.body, JOBS.c.error).join(JOBS, JOBS.c.id == DELIVERIES.c.job_id)
    query = query.where(DELIVERIES.c.event == FAILED).order_by(DELIVERIES.c.id).limit(DELIVERIES_AT_ONCE)
    last = 0
    while rows := list(connection.execute(query.where(DELIVERIES.c.id > last))):
        yield rows
        last = rows[-1].id


def retold(body: str, error: str | None) -> str:
    try:
        told = json.loads(body)
        told["job"]["error"] = error
    except (ValueError, RecursionError, TypeError, KeyError):
        # Nobody can tell what it says, so it is sent without saying anything.
        return "{}"
    return json.dumps(told, separators=(",", ":"))


def downgrade() -> None:
    op.drop_column("job_attempts", "error_detail")

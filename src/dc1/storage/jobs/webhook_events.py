"""Webhook events are written in the transaction of their cause, for renters who have a webhook address."""

import json
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from dc1.domain.access.notifications import NotificationEvent
from dc1.domain.access.roles import Role
from dc1.domain.access.webhooks import WebhookEvent, new_delivery_id
from dc1.domain.base.clock import iso, time_text
from dc1.domain.base.json_types import JsonObject
from dc1.domain.money.budgets import MonthlyBudget
from dc1.storage.accounts import notifications
from dc1.storage.engine.followed import Outbox, note_filled
from dc1.storage.engine.statements import Answer, PreparedStatement
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.schema.tables import renters, webhook_deliveries

# With the change it tells of, or a crash between the two would lose the event or tell of what never was.
_INSERT = PreparedStatement(
    insert(webhook_deliveries),
    ["delivery_id", "renter_id", "job_id", "event", "url", "body", "created_at_ms", "next_attempt_at_ms"],
)
_URL = PreparedStatement(select(renters.c.webhook_url).where(renters.c.id == bindparam("renter")))


def ask_url(conn: Connection, renter_id: int) -> Answer:
    """Ask for the webhook address of a renter, and return what tells it."""
    return _URL.ask(conn, {"renter": renter_id})


def found_url(asked: Answer) -> str | None:
    """Return what `ask_url` found."""
    rows = asked()
    return rows[0][0] if rows else None


def job_started(conn: Connection, url: str | None, job: JobRow, now_ms: int) -> None:
    """Tell the renter of a job, whose webhook address is `url`, that it runs."""
    if url is not None:
        _tell_of_job(conn, url, WebhookEvent.JOB_STARTED, job, now_ms)


def ask_whom(conn: Connection, renter_id: int) -> Answer:
    """Ask where a renter wants to be told of jobs, beside its webhook, and return what tells it."""
    return notifications.ask_channels(conn, Role.RENTER, renter_id)


def job_ended(conn: Connection, url: str | None, whom: Answer, job: JobRow, now_ms: int) -> None:
    """Tell the renter of a job, whose webhook address is `url` and who is told as `ask_whom` says, that it ended."""
    facts: JsonObject = {"job_id": job.job_id, "cost_halala": job.actual_cost_halala or 0, "error": job.error or ""}
    notifications.tell_channels(conn, whom, NotificationEvent(f"job.{job.status}"), facts, now_ms)
    if url is not None:
        _tell_of_job(conn, url, WebhookEvent(f"job.{job.status}"), job, now_ms)


def balance_low(
    conn: Connection, url: str | None, renter_id: int, balance_halala: int, threshold_halala: int, now_ms: int
) -> None:
    """Tell a renter, whose webhook address is `url`, that the wallet fell below the threshold."""
    facts = {"balance_halala": balance_halala}
    notifications.tell(conn, Role.RENTER, renter_id, NotificationEvent.BALANCE_LOW, facts, now_ms)
    if url is not None:
        about = {"balance": {"balance_halala": balance_halala, "threshold_halala": threshold_halala}}
        _enqueue(conn, url, WebhookEvent.BALANCE_LOW, renter_id, None, about, now_ms)


def budget_threshold(
    conn: Connection,
    url: str | None,
    renter_id: int,
    percent: int,
    budget: MonthlyBudget,
    key_id: str | None,
    now_ms: int,
) -> None:
    """Tell a renter, whose webhook address is `url`, how much of a month's limit is used.

    It is that of the scoped key `key_id`, or where that is None the renter's own.
    """
    used, limit = budget.used_halala, budget.limit_halala
    facts = {"percent": percent, "used_halala": used, "limit_halala": limit}
    notifications.tell(conn, Role.RENTER, renter_id, NotificationEvent.BUDGET_THRESHOLD, facts, now_ms)
    if url is not None:
        about: dict[str, Any] = {"threshold_percent": percent, "used_halala": used, "limit_halala": limit}
        if key_id is not None:
            about["key_id"] = key_id
        _enqueue(conn, url, WebhookEvent.BUDGET_THRESHOLD, renter_id, None, {"budget": about}, now_ms)


def _tell_of_job(conn: Connection, url: str, event: WebhookEvent, job: JobRow, now_ms: int) -> None:
    about = {
        "job": {
            "id": job.id,
            "job_id": job.job_id,
            "status": job.status,
            "job_type": job.job_type,
            "model": job.model,
            "provider_id": job.provider_id,
            "submitted_at": iso(job.submitted_at_ms),
            "started_at": time_text(job.started_at_ms),
            "completed_at": time_text(job.completed_at_ms),
            "error": job.error,
            "error_category": job.error_category,
            "fault": job.fault,
        },
        "billing": {
            "quote_halala": job.cost_halala,
            "actual_cost_halala": job.actual_cost_halala,
            "refunded_halala": job.refunded_halala,
        },
    }
    _enqueue(conn, url, event, job.renter_id, job.id, about, now_ms)


def _enqueue(
    conn: Connection,
    url: str,
    event: WebhookEvent,
    renter_id: int,
    job_id: int | None,
    about: dict[str, Any],
    now_ms: int,
) -> None:
    delivery_id = new_delivery_id()
    body = {"event": event.value, "delivery_id": delivery_id, "timestamp": iso(now_ms), **about}
    _INSERT.send(
        conn,
        {
            "delivery_id": delivery_id,
            "renter_id": renter_id,
            "job_id": job_id,
            "event": event.value,
            "url": url,
            # Every attempt sends these very bytes; escapes keep them the same whatever the engine makes of a character.
            "body": json.dumps(body, separators=(",", ":")),
            "created_at_ms": now_ms,
            "next_attempt_at_ms": now_ms,
        },
    )
    note_filled(conn, Outbox.WEBHOOKS)

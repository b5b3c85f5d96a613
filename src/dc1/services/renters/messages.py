"""Renters, their wallets and their jobs in short, as messages."""

from dc1.domain.base.clock import iso
from dc1.domain.money.pricing import halala_to_sar
from dc1.services.api.values import time_value, to_value
from dc1.storage.accounts.renters import RenterRow
from dc1.storage.accounts.wallets import Direction, WalletEntry
from dc1.storage.jobs.job_records import JobRow
from dcp.v1 import renter_pb2, renter_wallet_pb2


def renter_message(row: RenterRow) -> renter_pb2.Renter:
    """Return an account as its renter sees it."""
    return renter_pb2.Renter(
        id=row.id,
        name=row.name,
        email=row.email,
        organization=to_value(row.organization),
        use_case=to_value(row.use_case),
        phone=to_value(row.phone),
        webhook_url=to_value(row.webhook_url),
        balance_halala=row.balance_halala,
        total_spent_halala=row.total_spent_halala,
        total_jobs=row.total_jobs,
        created_at=iso(row.created_at_ms),
    )


def token_usage(row: RenterRow) -> renter_pb2.TokenUsage:
    """Return the sums over an account's token-billed calls."""
    return renter_pb2.TokenUsage(
        total_requests=row.v1_requests,
        prompt_tokens=row.v1_prompt_tokens,
        completion_tokens=row.v1_completion_tokens,
        total_tokens=row.v1_prompt_tokens + row.v1_completion_tokens,
        total_cost_halala=row.v1_cost_halala,
    )


def recent_job(job: JobRow) -> renter_pb2.RecentJob:
    """Return one of an account's newest jobs."""
    return renter_pb2.RecentJob(
        id=job.id,
        job_id=job.job_id,
        job_type=job.job_type,
        status=job.status,
        submitted_at=iso(job.submitted_at_ms),
        completed_at=time_value(job.completed_at_ms),
        actual_cost_halala=to_value(job.actual_cost_halala),
    )


def wallet_entry(entry: WalletEntry) -> renter_wallet_pb2.WalletEntry:
    """Return a movement into or out of a wallet; its amount has no sign."""
    # The ledger knows signs; the contract gives a direction beside a positive amount.
    amount = abs(entry.amount_halala)
    return renter_wallet_pb2.WalletEntry(
        id=entry.id,
        amount_halala=amount,
        amount_sar=halala_to_sar(amount),
        direction=Direction.CREDIT if entry.amount_halala > 0 else Direction.DEBIT,
        kind=entry.kind,
        job_id=to_value(entry.job_id),
        note=to_value(entry.note),
        balance_after_halala=entry.balance_after_halala,
        created_at=iso(entry.created_at_ms),
    )

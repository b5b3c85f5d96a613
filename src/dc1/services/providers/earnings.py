"""What providers earned, and how they are paid."""

import asyncio
from typing import Any

from dc1.domain.base.clock import DAY_MS, day_start_ms, iso
from dc1.domain.jobs.states import TERMINAL
from dc1.domain.money.pricing import halala_to_sar
from dc1.domain.money.withdrawals import iban_hint
from dc1.services.api.call import caller_id
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.provider_access import calling_provider
from dc1.services.api.values import time_value, to_value
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.jobs import JobFilter
from dc1.storage.money import withdrawals
from dc1.storage.money.withdrawals import WithdrawalRow
from dc1.storage.providers import providers
from dc1.storage.providers.providers import EarningsDay
from dcp.v1 import provider_earnings_pb2 as pb

_PERIOD_DAYS = {"7d": 7, "30d": 30, "90d": 90}
_DEFAULT_PERIOD = "30d"
_JOBS_SHOWN, _MOST_JOBS = 50, 200
_WITHDRAWALS_SHOWN, _MOST_WITHDRAWALS = 20, 100


class EarningsCalls(ServicerPart):
    """A provider's own money."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._idempotent = parts.idempotent

    async def GetEarnings(self, request: pb.GetEarningsRequest, context: Any) -> pb.GetEarningsResponse:
        """Show what the caller has earned."""
        provider = await calling_provider(self._plane)
        earned = await self._plane.db.read_history(lambda conn: providers.earnings(conn, provider.id))
        machines = self._plane.fleet.machines(provider.id)
        # Those of all machines are read together.
        await asyncio.gather(*(self._plane.replicas.take_over(machine.id) for machine in machines))
        leases = [lease for machine in machines for lease in self._plane.leases.of_provider(machine.id)]
        # Leases are the jobs that are with the provider, offered or running, so memory can tell without a reading.
        held = [lease.assignment.job.cost_halala for lease in leases if not lease.running]
        locked = [lease.assignment.job.cost_halala for lease in leases if lease.running]
        # The ledger has what was ever earned, what is there and what waits; the rest has been paid.
        there = earned.available_halala + earned.promo_halala + earned.pending_withdrawal_halala
        withdrawn = earned.total_halala - there
        return pb.GetEarningsResponse(
            provider_id=provider.id,
            name=provider.name,
            total_earned_sar=halala_to_sar(earned.total_halala),
            total_earned_halala=earned.total_halala,
            claimable_earnings_halala=earned.available_halala,
            pending_withdrawal_sar=halala_to_sar(earned.pending_withdrawal_halala),
            withdrawn_sar=halala_to_sar(withdrawn),
            available_sar=halala_to_sar(earned.available_halala),
            available_halala=earned.available_halala,
            promo_earnings_halala=earned.promo_halala,
            total_jobs=sum(machine.completed_jobs for machine in machines),
            escrow=pb.Escrow(
                held_jobs=len(held), held_halala=sum(held), locked_jobs=len(locked), locked_halala=sum(locked)
            ),
        )

    async def GetEarningsSummary(
        self, request: pb.GetEarningsSummaryRequest, context: Any
    ) -> pb.GetEarningsSummaryResponse:
        """Show the caller's earnings in three numbers."""
        provider_id = caller_id()

        earned, paid_ms = await self._plane.db.read_history(
            lambda conn: (providers.earnings(conn, provider_id), withdrawals.last_paid_ms(conn, provider_id))
        )
        return pb.GetEarningsSummaryResponse(
            total_earned=earned.total_halala,
            pending=earned.pending_withdrawal_halala,
            last_payout=time_value(paid_ms),
        )

    async def GetEarningsHistory(
        self, request: pb.GetEarningsHistoryRequest, context: Any
    ) -> pb.GetEarningsHistoryResponse:
        """Show what the caller earned on each day of a period that ends today."""
        provider_id, period = caller_id(), request.period or _DEFAULT_PERIOD
        today_ms = day_start_ms(self._plane.clock.now_ms())
        first_ms = today_ms - (_PERIOD_DAYS[period] - 1) * DAY_MS
        rows = await self._plane.db.read_history(lambda conn: providers.earnings_by_day(conn, provider_id, first_ms))
        known = {row.day_ms: row for row in rows}
        # A day without earnings has no row and is shown as zero: whoever draws the days must not close the gaps.
        days = range(first_ms, today_ms + DAY_MS, DAY_MS)
        return pb.GetEarningsHistoryResponse(
            period=period, days=[earnings_day(known.get(day_ms) or EarningsDay(day_ms, 0, 0, 0)) for day_ms in days]
        )

    async def ListProviderJobHistory(
        self, request: pb.ListProviderJobHistoryRequest, context: Any
    ) -> pb.ListProviderJobHistoryResponse:
        """List the caller's ended jobs with what they earned, newest first."""
        wanted = JobFilter(account_id=caller_id(), statuses=TERMINAL)
        limit = min(request.limit or _JOBS_SHOWN, _MOST_JOBS)
        page = await self._plane.db.read_history(lambda conn: jobs.page(conn, wanted, limit=limit))
        return pb.ListProviderJobHistoryResponse(jobs=[_earned_job(job) for job in page.rows], total=page.total)

    async def CreateWithdrawal(self, request: pb.CreateWithdrawalRequest, context: Any) -> pb.CreateWithdrawalResponse:
        """Ask for a payout of the caller's earnings."""
        provider_id, amount, iban = caller_id(), request.amount_halala, request.iban
        # Before the key's stored answer: what is wrong with the request itself is said each time.
        self._plane.payouts.check(amount, iban)
        return await self._idempotent.run(
            pb.CreateWithdrawalResponse,
            lambda hook: self._plane.payouts.request(provider_id, amount, iban, hook),
            _created,
        )

    async def ListWithdrawals(self, request: pb.ListWithdrawalsRequest, context: Any) -> pb.ListWithdrawalsResponse:
        """List the caller's withdrawals, newest first."""
        provider_id = caller_id()
        limit = min(request.limit or _WITHDRAWALS_SHOWN, _MOST_WITHDRAWALS)
        page = await self._plane.db.read_history(
            lambda conn: withdrawals.page(conn, limit=limit, provider_id=provider_id)
        )
        return pb.ListWithdrawalsResponse(withdrawals=[withdrawal_message(row) for row in page.rows], total=page.total)


def earnings_day(day: EarningsDay) -> pb.EarningsDay:
    """Return what was earned on a day."""
    return pb.EarningsDay(
        date=iso(day.day_ms)[:10],
        jobs=day.settled_jobs,
        earned_halala=day.earned_halala,
        earned_sar=halala_to_sar(day.earned_halala),
    )


def _earned_job(job: JobRow) -> pb.EarnedJob:
    earned = job.earned_halala
    assert job.completed_at_ms is not None
    return pb.EarnedJob(
        job_id=job.job_id,
        job_type=job.job_type,
        status=job.status,
        completed_at=iso(job.completed_at_ms),
        used_seconds=float(job.used_seconds or 0),
        earned_halala=earned,
        earned_sar=halala_to_sar(earned),
    )


def _created(row: WithdrawalRow) -> pb.CreateWithdrawalResponse:
    return pb.CreateWithdrawalResponse(
        success=True,
        withdrawal_id=row.withdrawal_id,
        status=row.status,
        message="The withdrawal waits for an operator.",
        withdrawal_request=withdrawal_message(row),
    )


def withdrawal_message(row: WithdrawalRow) -> pb.Withdrawal:
    """Return a withdrawal as its provider's lists show it."""
    return pb.Withdrawal(
        id=row.withdrawal_id,
        amount_halala=row.amount_halala,
        amount_sar=halala_to_sar(row.amount_halala),
        iban_hint=iban_hint(row.iban),
        status=row.status,
        reason=to_value(row.reason),
        bank_reference=to_value(row.bank_reference),
        created_at=iso(row.created_at_ms),
        updated_at=iso(row.updated_at_ms),
        cash_halala=row.cash_halala,
        promo_halala=row.promo_halala,
    )

"""The market's ledger, whether it balances, and payouts to providers."""

from typing import Any

from dc1.domain import errors
from dc1.domain.access.operators import OperatorRole
from dc1.domain.base.clock import DAY_MS, day_start_ms, iso
from dc1.domain.money.bookkeeping import AccountKind
from dc1.domain.money.pricing import halala_to_sar
from dc1.domain.money.shared_traits import SharedTrait
from dc1.domain.money.withdrawals import WithdrawalStatus, iban_hint
from dc1.services.api.call import current_call
from dc1.services.api.paging import Pages
from dc1.services.api.parts import ServicerPart
from dc1.services.api.values import row_id, stated_reason, to_value
from dc1.storage.engine.database import Connection
from dc1.storage.engine.row_mapping import Page
from dc1.storage.money import account_links, ledger_audit, ledger_reports, withdrawals
from dc1.storage.money.ledger_audit import TrialBalance
from dc1.storage.money.ledger_reports import LedgerDay, LedgerEntry
from dc1.storage.money.withdrawals import WithdrawalRow
from dcp.v1 import admin_finance_service_pb2 as pb

_DAYS_SHOWN, _MOST_DAYS = 30, 90
# The ledger's word is the accountant's; the contract says whose money it is.
_NAMES = {AccountKind.PAYABLE: "provider"}


class FinanceCalls(ServicerPart):
    """The market's money, for its operators."""

    async def ListFinanceTransactions(
        self, request: pb.ListFinanceTransactionsRequest, context: Any
    ) -> pb.ListFinanceTransactionsResponse:
        """List ledger entries of the whole market, newest first."""
        pages = Pages.asked(request)
        # Back from this moment and not by UTC days as in the reconciliation: who looks here looks for what happened
        # just now.
        since_ms = self._plane.clock.now_ms() - _days(request) * DAY_MS
        found = await self._plane.db.read_history(
            lambda conn: ledger_reports.entries(conn, since_ms=since_ms, limit=pages.limit, offset=pages.offset)
        )
        return pb.ListFinanceTransactionsResponse(
            entries=[_entry(entry) for entry in found.rows], pagination=pages.of(found.total)
        )

    async def ReverseFinanceTransaction(
        self, request: pb.ReverseFinanceTransactionRequest, context: Any
    ) -> pb.ReverseFinanceTransactionResponse:
        """Make good a wrong ledger entry by its opposite."""
        # The reason is asked for before the entry is looked up: nothing is done to money without one.
        entry_id = row_id(request.entry_id, errors.ledger_entry_not_found)
        reason = stated_reason(request.reason)
        done = await self._plane.wallets.reverse(entry_id, reason)
        return pb.ReverseFinanceTransactionResponse(
            success=True,
            entry=_entry(done.entry),
            new_balance_halala=done.change.new_balance,
            new_balance_sar=halala_to_sar(done.change.new_balance),
        )

    async def GetReconciliation(
        self, request: pb.GetReconciliationRequest, context: Any
    ) -> pb.GetReconciliationResponse:
        """Tell whether the ledger balances, with what moved on each day."""
        today_ms = day_start_ms(self._plane.clock.now_ms())
        first_ms = today_ms - (_days(request) - 1) * DAY_MS

        trial, problems, known = await self._plane.db.read_history(
            lambda conn: (
                ledger_audit.trial_balance(conn),
                ledger_audit.verify(conn),
                ledger_reports.by_day(conn, first_ms),
            )
        )
        # A day on which nothing moved has no row and is shown as zero.
        days = range(first_ms, today_ms + DAY_MS, DAY_MS)
        return pb.GetReconciliationResponse(
            balanced=_is_balanced(trial, problems),
            difference_halala=trial.difference_halala,
            by_day=[_day(known.get(day_ms) or LedgerDay(day_ms)) for day_ms in days],
        )

    async def GetTrialBalance(self, request: pb.GetTrialBalanceRequest, context: Any) -> pb.GetTrialBalanceResponse:
        """Add up every account, and check the books against themselves."""
        trial, problems = await self._plane.db.read_history(
            lambda conn: (ledger_audit.trial_balance(conn), ledger_audit.verify(conn))
        )
        return pb.GetTrialBalanceResponse(
            balanced=_is_balanced(trial, problems),
            difference_halala=trial.difference_halala,
            accounts=[
                pb.AccountBalance(account=_name(kind), balance_halala=halala, balance_sar=halala_to_sar(halala))
                for kind, halala in trial.balances.items()
            ],
            carried=pb.CarriedAmounts(
                call_prices_micro_halala=trial.carried_prices, platform_fees_micro_halala=trial.carried_shares
            ),
            problems=problems,
            timestamp=iso(self._plane.clock.now_ms()),
        )

    async def ListAllWithdrawals(
        self, request: pb.ListAllWithdrawalsRequest, context: Any
    ) -> pb.ListAllWithdrawalsResponse:
        """List withdrawals of all providers, newest first."""
        pages = Pages.asked(request)
        status = WithdrawalStatus(request.status) if request.status else None

        def with_flags(conn: Connection) -> tuple[Page[WithdrawalRow], dict[int, list[SharedTrait]]]:
            found = withdrawals.page(conn, limit=pages.limit, offset=pages.offset, status=status)
            return found, account_links.of_providers(conn, {row.provider_id for row in found.rows})

        found, flags = await self._plane.db.read_history(with_flags)
        return pb.ListAllWithdrawalsResponse(
            withdrawals=[_flagged(row, flags.get(row.provider_id, [])) for row in found.rows], total=found.total
        )

    async def UpdateWithdrawal(self, request: pb.UpdateWithdrawalRequest, context: Any) -> pb.UpdateWithdrawalResponse:
        """Move a withdrawal on."""
        target, reason = WithdrawalStatus(request.status), request.reason.strip() or None
        reference = request.bank_reference.strip() or None
        row = await self._plane.payouts.move(request.withdrawal_id, target, reason, reference)
        return pb.UpdateWithdrawalResponse(**_withdrawal(row))

    async def GetFinanceSummary(
        self, request: pb.GetFinanceSummaryRequest, context: Any
    ) -> pb.GetFinanceSummaryResponse:
        """Show where the market's money is."""
        balances = (await self._plane.db.read_history(ledger_audit.trial_balance)).balances
        # Money enters through these three, whose balances are below zero by what came in.
        sources = (AccountKind.PROMO, AccountKind.EXTERNAL, AccountKind.ADJUSTMENT)
        return pb.GetFinanceSummaryResponse(
            wallets_halala=balances[AccountKind.WALLET],
            holds_halala=balances[AccountKind.HOLD],
            provider_earnings_halala=balances[AccountKind.PAYABLE] + balances[AccountKind.PROMO_EARNINGS],
            promo_earnings_halala=balances[AccountKind.PROMO_EARNINGS],
            platform_halala=balances[AccountKind.PLATFORM],
            payouts_halala=balances[AccountKind.PAYOUT],
            external_halala=-sum(balances[kind] for kind in sources),
        )


def _days(request: Any) -> int:
    return min(request.days or _DAYS_SHOWN, _MOST_DAYS)


def _is_balanced(trial: TrialBalance, problems: list[str]) -> bool:
    # A ledger can add up to zero and still tell another story than the jobs that caused its entries.
    return trial.difference_halala == 0 and not problems


def _name(kind: AccountKind) -> str:
    return _NAMES.get(kind, kind.value)


def _entry(entry: LedgerEntry) -> pb.FinanceEntry:
    return pb.FinanceEntry(
        id=entry.id,
        kind=entry.kind,
        from_account=_name(entry.source),
        to_account=_name(entry.target),
        renter_id=to_value(entry.renter_id),
        provider_id=to_value(entry.provider_id),
        job_id=to_value(entry.job_id),
        amount_halala=entry.amount_halala,
        amount_sar=halala_to_sar(entry.amount_halala),
        note=to_value(entry.note),
        created_at=iso(entry.created_at_ms),
        reverses=to_value(entry.reverses),
        reversed_by=to_value(entry.reversed_by),
    )


def _day(day: LedgerDay) -> pb.ReconciliationDay:
    return pb.ReconciliationDay(
        date=iso(day.day_ms)[:10],
        entries=day.entries,
        credited_halala=day.credited,
        charged_halala=day.charged,
        refunded_halala=day.refunded,
        paid_out_halala=day.paid_out,
        difference_halala=day.difference,
    )


def _flagged(row: WithdrawalRow, flags: list[SharedTrait]) -> pb.AdminWithdrawal:
    return pb.AdminWithdrawal(
        **_withdrawal(row),
        flags=[
            pb.SharedTrait(shares=flag.trait, renter_ids=flag.renter_ids, provider_ids=flag.provider_ids)
            for flag in flags
        ],
    )


def _withdrawal(row: WithdrawalRow) -> dict[str, Any]:
    return {
        "id": row.withdrawal_id,
        "provider_id": row.provider_id,
        "provider_name": row.provider_name,
        "amount_halala": row.amount_halala,
        "amount_sar": halala_to_sar(row.amount_halala),
        "cash_halala": row.cash_halala,
        "promo_halala": row.promo_halala,
        # The whole account, unlike in the provider's own lists, for those who pay to it.
        "iban": row.iban if current_call().principal.acts_as(OperatorRole.FINANCE) else iban_hint(row.iban),
        "status": row.status,
        "reason": to_value(row.reason),
        "bank_reference": to_value(row.bank_reference),
        "created_at": iso(row.created_at_ms),
        "updated_at": iso(row.updated_at_ms),
    }

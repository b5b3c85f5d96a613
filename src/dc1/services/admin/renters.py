"""AdminRenterService: admins looking after renters."""

from typing import Any

from dc1.control.operations.renter_supervision import BulkUpdate, RenterAction
from dc1.domain import errors
from dc1.domain.access.call_limits import CallLimits
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.notifications import ChannelKind, hint_of
from dc1.domain.access.operators import OperatorRole
from dc1.domain.base.clock import iso
from dc1.domain.money.pricing import halala_to_sar
from dc1.services.api.call import current_call
from dc1.services.api.paging import Pages
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.values import row_id, stated_reason, to_value
from dc1.services.renters.messages import recent_job, wallet_entry
from dc1.services.renters.wallets import wallet_window
from dc1.storage.accounts import keys as key_rows
from dc1.storage.accounts import renter_lists, renters, wallets
from dc1.storage.accounts.renters import RenterRow
from dc1.storage.accounts.wallets import Direction, WalletEntry
from dc1.storage.engine.database import Connection
from dc1.storage.engine.row_mapping import Page
from dc1.storage.jobs import jobs
from dc1.storage.jobs.jobs import JobFilter
from dcp.v1 import admin_renter_service_pb2 as pb

_NEWEST = 20
_CALL_LIMITS = ("requests_per_minute", "tokens_per_minute", "streams")


class SupervisedRenterCalls(ServicerPart):
    """Renter accounts in the hands of admins; deleted ones can be read but not changed."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._idempotent = parts.idempotent

    async def ListRenters(self, request: pb.ListRentersRequest, context: Any) -> pb.ListRentersResponse:
        """List renter accounts, newest first."""
        pages = Pages.asked(request)
        search, status = request.search.strip(), request.status or None
        # The counts are over all renters, whatever is searched for; the pages are over what matches.
        counts, found = await self._plane.db.read_history(
            lambda conn: (
                renter_lists.counts(conn),
                renter_lists.page(conn, limit=pages.limit, offset=pages.offset, search=search, status=status),
            )
        )
        return pb.ListRentersResponse(
            total=counts.total,
            active=counts.active,
            suspended=counts.suspended,
            renters=[pb.AdminRenter(**_summary(row)) for row in found.rows],
            pagination=pages.of(found.total),
        )

    async def InspectRenter(self, request: pb.InspectRenterRequest, context: Any) -> pb.InspectRenterResponse:
        """Show a renter with its newest jobs and wallet entries."""
        renter_id = row_id(request.renter_id, errors.renter_not_found)
        now_ms = self._plane.clock.now_ms()

        config = self._plane.config
        market = _limits(config.limits.monthly_halala, config.limits.daily_jobs, config.call_limits)
        inspected = await self._plane.db.read_history(lambda conn: _inspected(conn, renter_id, now_ms, market))
        renter = inspected.renter
        if not current_call().principal.acts_as(OperatorRole.SUPPORT) and renter.webhook_url.string_value:
            # Whatever follows the host may be what opens the address.
            host = hint_of(ChannelKind.WEBHOOK, renter.webhook_url.string_value)
            renter.webhook_url.string_value = f"https://{host}/…"
        return inspected

    async def SetRenterLimits(self, request: pb.SetRenterLimitsRequest, context: Any) -> pb.SetRenterLimitsResponse:
        """Set what a renter may spend in a month, submit in a day and call at a time."""
        renter_id = row_id(request.renter_id, errors.renter_not_found)
        monthly = request.monthly_limit_halala if request.HasField("monthly_limit_halala") else None
        daily = request.daily_jobs_limit if request.HasField("daily_jobs_limit") else None
        said: Any = request
        calls = CallLimits(**{name: getattr(said, name) for name in _CALL_LIMITS if said.HasField(name)})
        await self._plane.renter_supervision.set_limits(renter_id, monthly, daily, calls)
        limits, calls = self._plane.config.limits, calls.over(self._plane.config.call_limits)
        return pb.SetRenterLimitsResponse(
            success=True,
            renter_id=renter_id,
            monthly_limit_halala=limits.monthly_halala if monthly is None else monthly,
            daily_jobs_limit=limits.daily_jobs if daily is None else daily,
            **{name: to_value(getattr(calls, name)) for name in _CALL_LIMITS},
        )

    async def SuspendRenter(self, request: pb.SuspendRenterRequest, context: Any) -> pb.SuspendRenterResponse:
        """Refuse a renter's keys; open jobs go on."""
        renter_id = row_id(request.renter_id, errors.renter_not_found)
        await self._plane.renter_supervision.suspend(renter_id)
        return pb.SuspendRenterResponse(success=True, renter_id=renter_id, status="suspended")

    async def UnsuspendRenter(self, request: pb.UnsuspendRenterRequest, context: Any) -> pb.UnsuspendRenterResponse:
        """Take a renter's keys again."""
        renter_id = row_id(request.renter_id, errors.renter_not_found)
        await self._plane.renter_supervision.unsuspend(renter_id)
        return pb.UnsuspendRenterResponse(success=True, renter_id=renter_id, status="active")

    async def ResetRenterKey(self, request: pb.ResetRenterKeyRequest, context: Any) -> pb.ResetRenterKeyResponse:
        """Replace a renter's master key."""
        renter_id = row_id(request.renter_id, errors.renter_not_found)
        api_key = await self._plane.renter_supervision.reset_key(renter_id, keeps_scoped_keys=request.keep_scoped_keys)
        return pb.ResetRenterKeyResponse(success=True, renter_id=renter_id, new_api_key=api_key)

    async def CreditRenter(self, request: pb.CreditRenterRequest, context: Any) -> pb.CreditRenterResponse:
        """Add money to a renter's wallet."""
        renter_id = row_id(request.renter_id, errors.renter_not_found)
        # Refused without a reason before the key's stored answer is: what is wrong with the request is said each time.
        amount, reason, is_payment = request.amount_halala, stated_reason(request.reason), request.is_payment

        # Looks at the change only: with an Idempotency-Key it is asked in the transaction.
        def answer(change: wallets.WalletChange) -> pb.CreditRenterResponse:
            return pb.CreditRenterResponse(
                success=True,
                renter_id=renter_id,
                ledger_id=change.movement_id,
                new_balance_halala=change.new_balance,
                new_balance_sar=halala_to_sar(change.new_balance),
            )

        return await self._idempotent.run(
            pb.CreditRenterResponse,
            lambda hook: self._plane.wallets.credit(renter_id, amount, reason, hook, is_payment=is_payment),
            answer,
        )

    async def ListRenterLedger(self, request: pb.ListRenterLedgerRequest, context: Any) -> pb.ListRenterLedgerResponse:
        """List the wallet entries of a renter, newest first."""
        renter_id = row_id(request.renter_id, errors.renter_not_found)
        limit, offset, direction = wallet_window(request)
        if request.HasField("page") and not request.HasField("offset"):
            # Lists of admins have pages, lists of entries an offset; this one takes both, and the offset wins.
            offset = (request.page - 1) * limit

        page = await self._plane.db.read_history(
            lambda conn: _wallet_page(conn, renter_id, limit=limit, offset=offset, direction=direction)
        )
        return pb.ListRenterLedgerResponse(
            entries=[wallet_entry(entry) for entry in page.rows], total=page.total, limit=limit, offset=offset
        )

    async def BulkUpdateRenters(
        self, request: pb.BulkUpdateRentersRequest, context: Any
    ) -> pb.BulkUpdateRentersResponse:
        """Do one thing to many renters, in one transaction.

        Raises:
            missing_fields: It is a credit of nothing.
        """
        if request.action == "credit":
            if not request.HasField("amount_halala"):
                raise errors.missing_fields(["amount_halala"])
            stated_reason(request.reason)
        ids = frozenset(request.ids)
        update = BulkUpdate(ids, RenterAction(request.action), request.amount_halala, request.reason)

        def answer(processed: int) -> pb.BulkUpdateRentersResponse:
            return pb.BulkUpdateRentersResponse(
                success=processed == len(ids),
                action=request.action,
                processed=processed,
                failed=len(ids) - processed,
                total=len(ids),
            )

        return await self._idempotent.run(
            pb.BulkUpdateRentersResponse, lambda hook: self._plane.renter_supervision.update_all(update, hook), answer
        )

    async def AdjustRenterBalance(
        self, request: pb.AdjustRenterBalanceRequest, context: Any
    ) -> pb.AdjustRenterBalanceResponse:
        """Add to or take from a renter's wallet."""
        renter_id = row_id(request.renter_id, errors.renter_not_found)
        change = await self._plane.wallets.adjust(renter_id, request.amount_halala, request.reason or None)
        return pb.AdjustRenterBalanceResponse(
            success=True,
            renter_id=renter_id,
            previous_balance=change.previous_balance,
            adjustment=request.amount_halala,
            new_balance=change.new_balance,
        )


def _inspected(
    conn: Connection, renter_id: int, now_ms: int, market_limits: pb.RenterLimits
) -> pb.InspectRenterResponse:
    row = _found(renters.get(conn, renter_id))
    recent = jobs.latest(conn, JobFilter(renter_id=renter_id), limit=_NEWEST)
    return pb.InspectRenterResponse(
        renter=pb.InspectedRenter(
            **_summary(row),
            use_case=to_value(row.use_case),
            phone=to_value(row.phone),
            webhook_url=to_value(row.webhook_url),
            held_halala=row.held_halala,
            live_keys=key_rows.count_live(conn, KeyRole.SCOPED, renter_id, now_ms),
            own_limits=_limits(row.monthly_limit_halala, row.daily_jobs_limit, row.call_limits),
            market_limits=market_limits,
        ),
        recent_jobs=[recent_job(job) for job in recent],
        transactions=[wallet_entry(each) for each in wallets.entries(conn, renter_id, limit=_NEWEST).rows],
    )


def _wallet_page(
    conn: Connection, renter_id: int, *, limit: int, offset: int, direction: Direction | None
) -> Page[WalletEntry]:
    _found(renters.get(conn, renter_id))
    return wallets.entries(conn, renter_id, limit=limit, offset=offset, direction=direction)


def _limits(monthly_halala: int | None, daily_jobs: int | None, calls: CallLimits) -> pb.RenterLimits:
    return pb.RenterLimits(
        monthly_limit_halala=to_value(monthly_halala),
        daily_jobs_limit=to_value(daily_jobs),
        **{name: to_value(getattr(calls, name)) for name in _CALL_LIMITS},
    )


def _found(row: RenterRow | None) -> RenterRow:
    if row is None:
        raise errors.renter_not_found()
    return row


def _summary(row: RenterRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "email": row.email,
        "organization": to_value(row.organization),
        "balance_halala": row.balance_halala,
        "status": row.status,
        "created_at": iso(row.created_at_ms),
        "total_jobs": row.total_jobs,
        "completed_jobs": row.completed_jobs,
        "failed_jobs": row.failed_jobs,
        "total_spent_halala": row.total_spent_halala,
    }

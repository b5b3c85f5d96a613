"""A renter's account and wallet."""

from typing import Any

from dc1.control.operations.renter_accounts import OpenedRenter
from dc1.domain import errors
from dc1.domain.money.pricing import halala_from_sar, halala_to_sar
from dc1.domain.money.shared_traits import network
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.renters.messages import recent_job, renter_message, token_usage
from dc1.storage.accounts import renters, wallets
from dc1.storage.accounts.renters import NewRenter, RenterRow
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.jobs import JobFilter
from dcp.v1 import renter_service_pb2
from dcp.v1 import renter_wallet_pb2 as pb

_RECENT_JOBS = 20
_MAX_TOPUP_HALALA = 100_000


class RenterCalls(ServicerPart):
    """Renters' accounts and wallets."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._idempotent = parts.idempotent

    async def RegisterRenter(
        self, request: renter_service_pb2.RegisterRenterRequest, context: Any
    ) -> renter_service_pb2.RegisterRenterResponse:
        """Open an account with its master key and the starter credit."""
        new = NewRenter(
            name=request.name,
            email=request.email,
            organization=_optional(request, "organization"),
            phone=_optional(request, "phone"),
            use_case=_optional(request, "use_case") or _optional(request, "use_case_alias"),
            registered_from=network(current_call().address),
        )

        def answer(opened: OpenedRenter) -> renter_service_pb2.RegisterRenterResponse:
            return renter_service_pb2.RegisterRenterResponse(
                success=True,
                renter_id=opened.renter_id,
                api_key=opened.api_key,
                message=f"Welcome {new.name}! Store this API key now, it is not shown again.",
            )

        return await self._idempotent.run(
            renter_service_pb2.RegisterRenterResponse,
            lambda hook: self._plane.renter_accounts.register(new, hook),
            answer,
            sealed="api_key",
        )

    async def GetRenter(
        self, request: renter_service_pb2.GetRenterRequest, context: Any
    ) -> renter_service_pb2.GetRenterResponse:
        """Show the caller's account."""
        renter_id = caller_id()

        row, recent = await self._plane.db.read(lambda conn: _with_recent_jobs(conn, renter_id))
        recent_jobs = [recent_job(job) for job in recent]
        return renter_service_pb2.GetRenterResponse(
            renter=renter_message(row),
            recent_jobs=recent_jobs,
            # The same jobs under both names: clients read one or the other.
            jobs=recent_jobs,
            v1_usage_summary=token_usage(row),
            balance_halala=row.balance_halala,
            balance_sar=halala_to_sar(row.balance_halala),
            total_spent_halala=row.total_spent_halala,
        )

    async def GetBalance(self, request: pb.GetBalanceRequest, context: Any) -> pb.GetBalanceResponse:
        """Show the caller's wallet."""
        renter_id = caller_id()
        row = _known(await self._plane.db.read(lambda conn: renters.get(conn, renter_id)))
        return pb.GetBalanceResponse(
            balance_halala=row.balance_halala,
            balance_sar=halala_to_sar(row.balance_halala),
            held_halala=row.held_halala,
            held_sar=halala_to_sar(row.held_halala),
            # What is on hold has left the balance already, so all of it can be spent.
            available_halala=row.balance_halala,
            total_spent_halala=row.total_spent_halala,
            total_spent_sar=halala_to_sar(row.total_spent_halala),
            total_jobs=row.total_jobs,
        )

    async def TopUp(self, request: pb.TopUpRequest, context: Any) -> pb.TopUpResponse:
        """Add money to the caller's wallet.

        Raises:
            top_up_disabled: Money enters this market in other ways.
        """
        # Before the amount is looked at: where top-ups are switched off, no amount is the right one.
        if not self._plane.config.topup_enabled:
            raise errors.top_up_disabled()
        renter_id = caller_id()
        amount = _amount(request)

        # Looks at the change only: with an Idempotency-Key it is asked in the transaction.
        def answer(change: wallets.WalletChange) -> pb.TopUpResponse:
            return pb.TopUpResponse(
                success=True,
                topped_up_halala=amount,
                topped_up_sar=halala_to_sar(amount),
                new_balance_halala=change.new_balance,
                new_balance_sar=halala_to_sar(change.new_balance),
            )

        return await self._idempotent.run(
            pb.TopUpResponse, lambda hook: self._plane.wallets.top_up(renter_id, amount, hook), answer
        )


def _with_recent_jobs(conn: Connection, renter_id: int) -> tuple[RenterRow, list[JobRow]]:
    row = _known(renters.get(conn, renter_id))
    return row, jobs.latest(conn, JobFilter(renter_id=renter_id), limit=_RECENT_JOBS)


def _known(row: RenterRow | None) -> RenterRow:
    if row is None:
        raise errors.renter_not_found()
    return row


def _optional(request: Any, name: str) -> str | None:
    return getattr(request, name) if request.HasField(name) else None


def _amount(request: pb.TopUpRequest) -> int:
    """Return the halala to add.

    Raises:
        missing_fields: Neither amount is given.
        invalid_field: The one that counts is out of range.
    """
    # Halala win where both are given. The field is a double, so that 10.0 is taken and 10.5 refused by name.
    if request.HasField("amount_halala"):
        sent = request.amount_halala
        if not (sent.is_integer() and 1 <= sent <= _MAX_TOPUP_HALALA):
            raise errors.invalid_field("amount_halala", f"must be a whole number from 1 to {_MAX_TOPUP_HALALA}")
        return int(sent)
    if not request.HasField("amount_sar"):
        raise errors.missing_fields(["amount_halala"])
    if not 0.01 <= request.amount_sar <= _MAX_TOPUP_HALALA / 100:
        raise errors.invalid_field("amount_sar", "must be from 0.01 to 1000")
    return halala_from_sar(request.amount_sar)

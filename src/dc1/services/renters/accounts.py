"""Settings, keys, a copy of everything, and the end of an account."""

from typing import Any

from dc1.control.delivery.webhook_targets import NotPublicError
from dc1.control.operations.renter_accounts import KeyChange, WebhookChange
from dc1.domain import errors
from dc1.domain.access.call_limits import KeyLimits
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.roles import parse_scopes
from dc1.domain.base.clock import iso, month_start_ms, parse_iso
from dc1.domain.money.budgets import MonthlyBudget
from dc1.domain.money.pricing import MAX_BALANCE_HALALA
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.values import from_value, time_value, to_value
from dc1.services.jobs.messages import job_detail
from dc1.services.renters import key_limits as limits
from dc1.services.renters.messages import renter_message, token_usage, wallet_entry
from dc1.storage.accounts import key_budgets, key_limits, renters, wallets
from dc1.storage.accounts import keys as key_rows
from dc1.storage.accounts.keys import KeyRow
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.jobs import JobFilter
from dcp.v1 import renter_pb2
from dcp.v1 import renter_service_pb2 as pb

_CONFIRMATION = "DELETE_MY_ACCOUNT"
# Of a copy of an account, which has to be an answer that the edge can carry: jobs, and as many entries of the wallet;
# characters of JSON that was sent with the jobs.
_MOST_ROWS = 10_000
_MOST_DOCUMENTS = 16 * 1024 * 1024


class RenterAccountCalls(ServicerPart):
    """Renters looking after their account."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._upkeep = parts.renter_upkeep
        self._targets = parts.webhook_targets
        self._secret_box = parts.secret_box

    # Settings

    async def UpdateRenterSettings(
        self, request: pb.UpdateRenterSettingsRequest, context: Any
    ) -> pb.UpdateRenterSettingsResponse:
        """Change where webhooks go and the secret they are signed with."""
        renter_id = caller_id()
        changes_url = request.HasField("webhook_url")
        new_url = await self._checked_url(from_value(request.webhook_url)) if changes_url else None
        change = WebhookChange(new_url, changes_url, request.rotate_webhook_secret)
        kept = await self._plane.renter_accounts.set_webhook(renter_id, change, self._secret_box)
        settings = renter_pb2.RenterSettings(webhook_url=to_value(kept.url), webhook_secret=to_value(kept.new_secret))
        return pb.UpdateRenterSettingsResponse(success=True, settings=settings)

    async def _checked_url(self, sent: object) -> str | None:
        """Return a webhook address that may be kept, None for one that switches webhooks off.

        Raises:
            invalid_field: It is no text.
            webhook_url_not_public: It leads nowhere, or where not everybody may go.
        """
        if sent is None or sent == "":
            return None
        if not isinstance(sent, str):
            raise errors.invalid_field("webhook_url", "must be a string")
        try:
            await self._targets.check(sent, current_call().principal.account)
        except NotPublicError:
            # One refusal for every reason: which names lead into our network is not for callers to find out.
            raise errors.webhook_url_not_public() from None
        return sent

    # Keys

    async def RotateRenterKey(self, request: pb.RotateRenterKeyRequest, context: Any) -> pb.RotateRenterKeyResponse:
        """Replace the caller's master key."""
        renter_id = caller_id()
        kept = request.keep_scoped_keys
        api_key = await self._plane.renter_accounts.rotate_key(
            renter_id, current_call().principal.key_id, keeps_scoped_keys=kept
        )
        stopped = (
            "The old one has stopped working." if kept else "The old one and all scoped keys have stopped working."
        )
        return pb.RotateRenterKeyResponse(
            success=True,
            message=f"Store this API key now, it is not shown again. {stopped}",
            api_key=api_key,
            # The same key under both names: clients read one or the other.
            new_key=api_key,
            renter_id=renter_id,
        )

    async def CreateRenterKey(self, request: pb.CreateRenterKeyRequest, context: Any) -> pb.CreateRenterKeyResponse:
        """Make a scoped key."""
        scopes = [scope.value for scope in parse_scopes(request.scopes)]
        label = request.label if request.HasField("label") else None
        expires_at_ms = (
            _expiry(request.expires_at, self._plane.clock.now_ms()) if request.HasField("expires_at") else None
        )
        budget_halala = request.monthly_budget_halala if request.HasField("monthly_budget_halala") else None
        held_to = limits.of_new_key(request)
        made = await self._plane.renter_accounts.create_key(
            caller_id(), current_call().principal.key_id, scopes, label, expires_at_ms, budget_halala, held_to
        )
        return pb.CreateRenterKeyResponse(
            id=made.key_id,
            key=made.key,
            label=to_value(label),
            scopes=scopes,
            expires_at=time_value(expires_at_ms),
            created_at=iso(made.created_at_ms),
            monthly_budget_halala=to_value(budget_halala),
            **limits.shown(held_to),
        )

    async def ListRenterKeys(self, request: pb.ListRenterKeysRequest, context: Any) -> pb.ListRenterKeysResponse:
        """List the caller's scoped keys, newest first."""
        renter_id = caller_id()
        # Uses are noted in memory and stored now and then; the list shows those of the last seconds too.
        await self._upkeep.store_key_use()
        month_ms = month_start_ms(self._plane.clock.now_ms())

        def read(conn: Connection) -> list[renter_pb2.RenterKey]:
            rows = key_rows.list_of(conn, KeyRole.SCOPED, renter_id)
            key_ids = [row.key_id for row in rows]
            budgets, held_to = key_budgets.of_keys(conn, key_ids, month_ms), key_limits.of_keys(conn, key_ids)
            return [_key(row, budgets[row.key_id], held_to[row.key_id]) for row in rows]

        return pb.ListRenterKeysResponse(keys=await self._plane.db.read(read))

    async def UpdateRenterKey(self, request: pb.UpdateRenterKeyRequest, context: Any) -> pb.UpdateRenterKeyResponse:
        """Set what a scoped key is held to."""
        change = KeyChange(
            (lambda now: limits.changed(request, now)) if limits.says_limits(request) else None,
            # Asked for where nothing is: a body that was cut short must not pass for a change.
            [] if limits.says_limits(request) and not request.HasField("monthly_budget_halala") else [_budget(request)],
        )
        budget, held_to = await self._plane.renter_accounts.change_key(caller_id(), request.key_id, change)
        return pb.UpdateRenterKeyResponse(
            success=True,
            id=request.key_id,
            monthly_budget_halala=to_value(budget.limit_halala),
            spent_this_month_halala=budget.used_halala,
            **limits.shown(held_to),
        )

    async def RevokeRenterKey(self, request: pb.RevokeRenterKeyRequest, context: Any) -> pb.RevokeRenterKeyResponse:
        """Stop a scoped key at once."""
        revoked_at_ms = await self._plane.renter_accounts.revoke_key(caller_id(), request.key_id)
        return pb.RevokeRenterKeyResponse(success=True, revoked_at=iso(revoked_at_ms))

    # The whole account

    async def ExportRenter(self, request: pb.ExportRenterRequest, context: Any) -> pb.ExportRenterResponse:
        """Hand the caller everything that is kept of the account."""
        renter_id = caller_id()
        now_ms = self._plane.clock.now_ms()
        return await self._plane.db.read_history(lambda conn: _export(conn, renter_id, now_ms))

    async def DeleteRenter(self, request: pb.DeleteRenterRequest, context: Any) -> pb.DeleteRenterResponse:
        """Close the caller's account.

        Raises:
            deletion_not_confirmed: The sentence that confirms it is missing.
        """
        if request.confirm != _CONFIRMATION:
            raise errors.deletion_not_confirmed()
        closed = await self._plane.renter_accounts.close(caller_id())
        return pb.DeleteRenterResponse(
            success=True,
            cancelled_jobs=closed.cancelled_jobs,
            deletion_scheduled_for=iso(closed.erase_at_ms),
            message="The account is closed. Its keys have stopped working and its balance is frozen.",
        )


def _export(conn: Connection, renter_id: int, now_ms: int) -> pb.ExportRenterResponse:
    """Return what the database keeps of an account, all of it as of one moment."""
    row = renters.known(conn, renter_id)
    found = jobs.latest(conn, JobFilter(renter_id=renter_id), limit=_MOST_ROWS)
    documents = jobs.fitting_specs(conn, [job.id for job in found], max_characters=_MOST_DOCUMENTS)
    return pb.ExportRenterResponse(
        exported_at=iso(now_ms),
        account=renter_message(row),
        jobs=[job_detail(job, documents.get(job.id), now_ms, jobs.queue_position(conn, job)) for job in found],
        transactions=[wallet_entry(each) for each in wallets.entries(conn, renter_id, limit=_MOST_ROWS).rows],
        usage=token_usage(row),
    )


def _expiry(sent: str, now_ms: int) -> int:
    """Return when a key expires.

    Raises:
        invalid_field: It is no time, or one that has passed.
    """
    try:
        expires_at_ms = parse_iso(sent)
        # Printed once to try it: what can be read may lie beyond the years that can be shown again.
        iso(expires_at_ms)
    except (ValueError, OverflowError):
        raise errors.invalid_field("expires_at", "must be an ISO-8601 time") from None
    if expires_at_ms <= now_ms:
        raise errors.invalid_field("expires_at", "must be in the future")
    return expires_at_ms


def _budget(request: pb.UpdateRenterKeyRequest) -> int | None:
    """Return the budget that is to be set, None for any amount.

    Raises:
        missing_fields: It is not said.
        invalid_field: It is no amount.
    """
    # Not what an absent one means elsewhere: a body that was cut short must not end a limit.
    if not request.HasField("monthly_budget_halala"):
        raise errors.missing_fields(["monthly_budget_halala"])
    sent = from_value(request.monthly_budget_halala)
    if sent is None:
        return None
    if isinstance(sent, bool) or not isinstance(sent, int) or not 0 <= sent <= MAX_BALANCE_HALALA:
        raise errors.invalid_field(
            "monthly_budget_halala", f"must be null or an integer from 0 to {MAX_BALANCE_HALALA}"
        )
    return sent


def _key(row: KeyRow, budget: MonthlyBudget, held_to: KeyLimits) -> renter_pb2.RenterKey:
    return renter_pb2.RenterKey(
        id=row.key_id,
        key_hint=row.hint,
        label=to_value(row.label),
        scopes=row.scopes or [],
        expires_at=time_value(row.expires_at_ms),
        created_at=iso(row.created_at_ms),
        last_used_at=time_value(row.last_used_at_ms),
        revoked_at=time_value(row.revoked_at_ms),
        monthly_budget_halala=to_value(budget.limit_halala),
        spent_this_month_halala=budget.used_halala,
        **limits.shown(held_to),
    )

"""What renters do with their accounts: open, point webhooks somewhere, make and end keys, close.

A key that ends is stored as ended first and forgotten by `Credentials` after the commit. The other way round, a call
between the two would have the key read again while it was still good, and remembered for minutes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dc1.control.operations.credentials import Credentials, require_current
from dc1.control.operations.job_commands import JobCommands
from dc1.control.scheduling.core import Core
from dc1.domain import errors
from dc1.domain.access import keys, webhooks
from dc1.domain.access.call_limits import UNLIMITED_KEY, KeyLimits
from dc1.domain.access.keys import KeyRole, NewKey
from dc1.domain.access.roles import AccountStatus, Role
from dc1.domain.access.secret_box import SecretBox
from dc1.domain.access.webhooks import DeliveryStatus
from dc1.domain.base.clock import ERASED_AFTER_MS, month_start_ms
from dc1.domain.jobs.states import Actor
from dc1.domain.money.budgets import MonthlyBudget, period_start_ms
from dc1.storage.accounts import key_budgets, key_limits, notifications, renters
from dc1.storage.accounts import keys as key_rows
from dc1.storage.accounts import webhooks as deliveries
from dc1.storage.accounts.keys import KeyRow
from dc1.storage.accounts.renters import NewRenter
from dc1.storage.engine.database import Connection
from dc1.storage.engine.transaction_hook import NO_HOOK, TransactionHook, hooked

_MAX_LIVE_KEYS = 20


@dataclass(frozen=True, slots=True)
class OpenedRenter:
    """A new account, and its master key, which is shown once and never stored."""

    renter_id: int
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookChange:
    """What a renter changes about webhooks.

    `url` was checked; None switches them off, or says nothing without `changes_url`. A secret is made for the first
    address, and anew where `rotates_secret` asks for it.
    """

    url: str | None
    changes_url: bool
    rotates_secret: bool


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where webhooks go, and the secret if it is new; one that was there before is not shown again."""

    url: str | None
    new_secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScopedKey:
    """A scoped key that was just made; `key` is shown once and never stored."""

    key_id: str
    key: str = field(repr=False)
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class ClosedRenter:
    """What the end of an account did, and when its personal data is erased."""

    cancelled_jobs: int
    erase_at_ms: int


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What of a scoped key is to be changed: its limits, by what they are now, and its budget where one is given."""

    limits: Callable[[KeyLimits], KeyLimits] | None
    monthly_halala: Sequence[int | None]


class RenterAccounts:
    """The renter's side of accounts."""

    def __init__(self, core: Core, credentials: Credentials, job_commands: JobCommands) -> None:
        self._db = core.db
        self._clock = core.clock
        self._config = core.config
        self._credentials = credentials
        self._job_commands = job_commands

    async def register(self, new: NewRenter, hook: TransactionHook[OpenedRenter] = NO_HOOK) -> OpenedRenter:
        """Open an account with its master key and the starter credit; `hook` shares the transaction.

        Raises EMAIL_TAKEN.
        """
        # Made out here because the transaction may run twice, and the caller is shown one key.
        key = keys.new_key(KeyRole.RENTER)
        credit_halala, now_ms = self._config.starter_credit_halala, self._clock.now_ms()
        # The key in the same transaction: an account without one could be neither used nor registered again.
        return await self._db.write(
            hooked(hook, lambda conn: OpenedRenter(_open_account(conn, new, credit_halala, key, now_ms), key.key))
        )

    async def set_webhook(self, renter_id: int, change: WebhookChange, secret_box: SecretBox) -> WebhookSettings:
        """Change where webhooks go and the secret they are signed with; `secret_box` keeps the secret.

        A secret that is stored already stays as it is unless it is to be rotated, whatever address comes with it.
        """
        secret = webhooks.new_secret() if change.rotates_secret or change.url is not None else None
        # Sealed before it is known whether it is kept: the box may have to read its key from disk, and the one thread
        # that writes works for everybody.
        sealed = None if secret is None else secret_box.seal(secret, webhooks.secret_purpose(renter_id))
        return await self._db.write(lambda conn: _set_webhook(conn, renter_id, change, secret, sealed))

    async def send_again(self, renter_id: int, delivery_id: str) -> None:
        """Have what was sent to a renter sent once more, to the address that it has now.

        Raises:
            delivery_not_found: The renter has no such delivery.
            delivery_pending: It is still tried.
            webhook_url_missing: There is no address.
        """
        now_ms = self._clock.now_ms()

        def work(conn: Connection) -> tuple[DeliveryStatus | None, str | None]:
            url = renters.known(conn, renter_id).webhook_url
            return deliveries.send_again(conn, renter_id, delivery_id, url, now_ms), url

        status, url = await self._db.write(work)
        if status is None:
            raise errors.delivery_not_found()
        if status is DeliveryStatus.PENDING:
            raise errors.delivery_pending()
        if url is None:
            raise errors.webhook_url_missing()

    async def rotate_key(self, renter_id: int, key_id: str | None, *, keeps_scoped_keys: bool) -> str:
        """Replace the master key and return the new one; the old one stops at once, and scoped keys unless kept.

        `key_id` is the key that the call came with; raises `Invalid API key` when it was replaced meanwhile.
        """
        key = keys.new_key(KeyRole.RENTER)
        now_ms = self._clock.now_ms()

        def replace_key(conn: Connection) -> None:
            require_current(conn, key_id)
            replace_master_key(conn, renter_id, key, now_ms, keeps_scoped_keys=keeps_scoped_keys)

        await self._db.write(replace_key)
        self._credentials.invalidate_account(Role.RENTER, renter_id)
        return key.key

    async def create_key(
        self,
        renter_id: int,
        key_id: str | None,
        scopes: list[str],
        label: str | None,
        expires_at_ms: int | None,
        monthly_budget_halala: int | None = None,
        limits: KeyLimits = UNLIMITED_KEY,
    ) -> ScopedKey:
        """Make a scoped key; refused above 20 live ones.

        `key_id` is the master key that the call came with; raises `Invalid API key` when it was replaced meanwhile.
        """
        key = keys.new_key(KeyRole.SCOPED)
        now_ms = self._clock.now_ms()

        def add_key(conn: Connection) -> None:
            # The account's lock, so that two calls that count at once cannot both find room.
            renters.lock_known(conn, renter_id)
            # Not in the moment after the owner replaced the master key: it would outlive what it was made with.
            require_current(conn, key_id)
            if key_rows.count_live(conn, KeyRole.SCOPED, renter_id, now_ms) >= _MAX_LIVE_KEYS:
                raise errors.key_limit_reached()
            key_rows.add(
                conn, KeyRole.SCOPED, renter_id, key, now_ms, scopes=scopes, label=label, expires_at_ms=expires_at_ms
            )
            key_budgets.set_limit(conn, key.key_id, month_start_ms(now_ms), monthly_budget_halala)
            key_limits.keep(conn, key.key_id, limits)

        await self._db.write(add_key)
        return ScopedKey(key.key_id, key.key, now_ms)

    async def change_key(self, renter_id: int, key_id: str, change: KeyChange) -> tuple[MonthlyBudget, KeyLimits]:
        """Change what a scoped key may spend in a month and is held to under /v1; raises `Key not found`."""
        now_ms = self._clock.now_ms()

        def work(conn: Connection) -> tuple[MonthlyBudget, KeyLimits]:
            # Submissions hold the same lock: one under way has been held to what was in force.
            renter = renters.lock_known(conn, renter_id)
            _scoped_key(conn, renter_id, key_id)
            month_ms = period_start_ms(month_start_ms(now_ms), renter.quota_month_ms, now_ms)
            budget = key_budgets.of_key(conn, key_id, month_ms).budget
            for monthly_halala in change.monthly_halala:
                budget = key_budgets.set_limit(conn, key_id, month_ms, monthly_halala).budget
            limits = key_limits.of_keys(conn, [key_id])[key_id]
            if change.limits is not None:
                limits = change.limits(limits)
                key_limits.keep(conn, key_id, limits)
            return budget, limits

        changed = await self._db.write(work)
        self._credentials.invalidate(key_id)
        return changed

    async def revoke_key(self, renter_id: int, key_id: str) -> int:
        """Stop a scoped key at once and return since when it is stopped; raises `Key not found`."""
        now_ms = self._clock.now_ms()
        revoked_at_ms = await self._db.write(lambda conn: _revoke_key(conn, renter_id, key_id, now_ms))
        self._credentials.invalidate(key_id)
        return revoked_at_ms

    async def close(self, renter_id: int) -> ClosedRenter:
        """Close the account: cancel its jobs, stop its keys, and have its personal data erased after a while."""
        now_ms = self._clock.now_ms()
        erase_at_ms = now_ms + ERASED_AFTER_MS
        # In the transaction of the cancellations: a job submitted in between would run for an account that is closed.
        cancelled = await self._job_commands.cancel_all(
            renter_id, lambda conn: _close_account(conn, renter_id, now_ms, erase_at_ms), Actor.RENTER
        )
        self._credentials.invalidate_account(Role.RENTER, renter_id)
        return ClosedRenter(cancelled, erase_at_ms)


def replace_master_key(conn: Connection, renter_id: int, key: NewKey, now_ms: int, *, keeps_scoped_keys: bool) -> None:
    """Replace a renter's master key at once, and stop the scoped keys unless they are to be kept."""
    key_rows.rotate(conn, KeyRole.RENTER, renter_id, key, now_ms)
    # A master key is replaced because it leaked, as a rule, and who had it could make keys that nobody else knows of.
    if not keeps_scoped_keys:
        key_rows.revoke_all(conn, KeyRole.SCOPED, renter_id, now_ms)


def _open_account(conn: Connection, new: NewRenter, credit_halala: int, key: NewKey, now_ms: int) -> int:
    renter_id = renters.register(conn, new, credit_halala, now_ms)
    key_rows.add(conn, KeyRole.RENTER, renter_id, key, now_ms)
    return renter_id


def _set_webhook(
    conn: Connection, renter_id: int, change: WebhookChange, secret: str | None, sealed: str | None
) -> WebhookSettings:
    # The account's lock: of two first addresses at once, only one may be shown a secret, the one that is kept.
    row = renters.lock_known(conn, renter_id)
    shown = secret if change.rotates_secret or row.sealed_webhook_secret is None else None
    url = change.url if change.changes_url else row.webhook_url
    kept = row.sealed_webhook_secret if shown is None else sealed
    renters.set_webhook(conn, renter_id, url, kept)
    return WebhookSettings(url, shown)


def _revoke_key(conn: Connection, renter_id: int, key_id: str, now_ms: int) -> int:
    key_rows.revoke(conn, KeyRole.SCOPED, renter_id, key_id, now_ms)
    # Read whatever the change did: a key that was stopped before is answered with when that was.
    row = _scoped_key(conn, renter_id, key_id)
    assert row.revoked_at_ms is not None
    return row.revoked_at_ms


def _scoped_key(conn: Connection, renter_id: int, key_id: str) -> KeyRow:
    row = key_rows.find(conn, key_id)
    if row is None or row.role != KeyRole.SCOPED or row.owner_id != renter_id:
        raise errors.key_not_found()
    return row


def _close_account(conn: Connection, renter_id: int, now_ms: int, erase_at_ms: int) -> None:
    renters.set_status(conn, renter_id, AccountStatus.DELETED)
    renters.schedule_erasure(conn, renter_id, erase_at_ms)
    for role in (KeyRole.RENTER, KeyRole.SCOPED):
        key_rows.revoke_all(conn, role, renter_id, now_ms)
    # With what opens them, of which nothing is to be left.
    notifications.forget_all_of(conn, Role.RENTER, renter_id)

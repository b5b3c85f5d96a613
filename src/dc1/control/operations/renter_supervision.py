"""What admins decide about renters: suspension, the key, and the same for many at once.

After every commit the account's keys are forgotten, because a remembered key carries the account's state with it. A
suspension cancels the open jobs, as what an operator ends: what was ordered for no good is not to be worked on.
"""

import secrets
from dataclasses import dataclass
from enum import StrEnum

from dc1.control.operations.credentials import Credentials
from dc1.control.operations.job_commands import JobCommands
from dc1.control.operations.renter_accounts import replace_master_key
from dc1.domain.access import keys
from dc1.domain.access.call_limits import CallLimits
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.roles import AccountStatus, Role
from dc1.domain.base.clock import Clock
from dc1.domain.errors import ApiError
from dc1.domain.jobs.states import Actor
from dc1.storage.accounts import renters, wallets
from dc1.storage.engine.database import Connection, Database
from dc1.storage.engine.transaction_hook import TransactionHook, hooked


class RenterAction(StrEnum):
    """What an admin may do to many renters at once."""

    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class BulkUpdate:
    """One thing to do to each of many renters; amount and reason are those of a credit."""

    renter_ids: frozenset[int]
    action: RenterAction
    amount_halala: int
    reason: str


class RenterSupervision:
    """The admin's side of renters.

    Every command raises `Renter not found` for an account that is none or is deleted.
    """

    def __init__(self, db: Database, clock: Clock, credentials: Credentials, job_commands: JobCommands) -> None:
        self._db = db
        self._clock = clock
        self._credentials = credentials
        self._job_commands = job_commands

    async def suspend(self, renter_id: int) -> None:
        """Refuse a renter's keys, and cancel the open jobs."""
        # In one transaction: a job submitted in between would run for an account that is suspended.
        await self._job_commands.cancel_all(
            renter_id, lambda conn: _change_status(conn, renter_id, AccountStatus.SUSPENDED), Actor.ADMIN
        )
        self._credentials.invalidate_account(Role.RENTER, renter_id)

    async def unsuspend(self, renter_id: int) -> None:
        """Take a renter's keys again."""
        await self._db.write(lambda conn: _change_status(conn, renter_id, AccountStatus.ACTIVE))
        self._credentials.invalidate_account(Role.RENTER, renter_id)

    async def set_limits(
        self, renter_id: int, monthly_halala: int | None, daily_jobs: int | None, calls: CallLimits
    ) -> None:
        """Set what a renter may spend in a month, submit in a day and call; None leaves it to the settings."""
        await self._db.write(lambda conn: renters.set_limits(conn, renter_id, monthly_halala, daily_jobs, calls))
        self._credentials.invalidate_account(Role.RENTER, renter_id)

    async def reset_key(self, renter_id: int, *, keeps_scoped_keys: bool) -> str:
        """Replace a renter's master key and return the new one; what stops is as in the renter's own call."""
        key = keys.new_key(KeyRole.RENTER)
        now_ms = self._clock.now_ms()

        def replace_key(conn: Connection) -> None:
            # Unlike a renter's own call, an admin's was not let in by a key of an open account.
            renters.lock_known(conn, renter_id)
            replace_master_key(conn, renter_id, key, now_ms, keeps_scoped_keys=keeps_scoped_keys)

        await self._db.write(replace_key)
        self._credentials.invalidate_account(Role.RENTER, renter_id)
        return key.key

    async def update_all(self, update: BulkUpdate, hook: TransactionHook[int]) -> int:
        """Do one thing to many renters in one transaction, and return to how many it could be done."""
        ref, now_ms = f"credit:{secrets.token_hex(12)}", self._clock.now_ms()
        # Always in the same order, so that two of these calls cannot wait for each other's locks.
        ids = sorted(update.renter_ids)

        def update_each(conn: Connection) -> int:
            return sum(_update(conn, renter_id, update, f"{ref}:{renter_id}", now_ms) for renter_id in ids)

        done = await self._db.write(hooked(hook, update_each))
        for renter_id in ids:
            self._credentials.invalidate_account(Role.RENTER, renter_id)
        if update.action is RenterAction.SUSPEND:
            # After it, as submissions have ended: one transaction would lock the jobs of hundreds of accounts at once.
            for renter_id in ids:
                await self._job_commands.cancel_all(renter_id, _leave, Actor.ADMIN)
        return done


def _leave(conn: Connection) -> None:
    """Change nothing more of an account."""


def _update(conn: Connection, renter_id: int, update: BulkUpdate, ref: str, now_ms: int) -> bool:
    """Do to one renter what is asked for; False when it cannot be done, which then changed nothing."""
    try:
        match update.action:
            case RenterAction.CREDIT:
                wallets.credit(conn, renter_id, update.amount_halala, ref, update.reason, now_ms)
            case RenterAction.SUSPEND:
                _change_status(conn, renter_id, AccountStatus.SUSPENDED)
            case RenterAction.UNSUSPEND:
                _change_status(conn, renter_id, AccountStatus.ACTIVE)
    except ApiError:
        # Refusals come before the first change, so there is nothing to undo and the transaction goes on.
        return False
    return True


def _change_status(conn: Connection, renter_id: int, status: AccountStatus) -> None:
    # The lock first: a deleted account must not come back to life by a status that was asked for before its end.
    renters.lock_known(conn, renter_id)
    renters.set_status(conn, renter_id, status)

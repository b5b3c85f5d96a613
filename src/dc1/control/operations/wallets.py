"""Money that enters and leaves renters' wallets outside of jobs' bills. All amounts are halala.

Nothing of a wallet is kept in memory: every change is one transaction and nothing follows it. `ref` in the ledger makes
a movement unique, so it is drawn once per command and not in the transaction, which may run twice.
"""

import secrets
from dataclasses import dataclass

from dc1.domain.base.clock import Clock
from dc1.storage.accounts import wallets
from dc1.storage.accounts.wallets import WalletChange
from dc1.storage.engine.database import Connection, Database
from dc1.storage.engine.transaction_hook import TransactionHook, hooked
from dc1.storage.jobs import charge_returns
from dc1.storage.jobs.charge_returns import ChargeReturn
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.money import ledger_reports
from dc1.storage.money.ledger_reports import LedgerEntry


@dataclass(frozen=True, slots=True)
class Reversal:
    """What taking an entry back did to the wallet, and the new entry that does it."""

    change: WalletChange
    entry: LedgerEntry


class Wallets:
    """What renters pay in, and what admins credit, adjust and take back."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def top_up(self, renter_id: int, amount_halala: int, hook: TransactionHook[WalletChange]) -> WalletChange:
        """Pay money in; raises `Renter not found` and BALANCE_LIMIT_EXCEEDED."""
        ref, now_ms = _ref("topup"), self._clock.now_ms()
        return await self._db.write(
            hooked(hook, lambda conn: wallets.top_up(conn, renter_id, amount_halala, ref, now_ms))
        )

    async def credit(
        self,
        renter_id: int,
        amount_halala: int,
        reason: str,
        hook: TransactionHook[WalletChange],
        *,
        is_payment: bool,
    ) -> WalletChange:
        """Give money by an admin, which the renter has paid with `is_payment`; raises as `top_up` does."""
        # Of a kind apart from adjustments, which have no reason and may be negative: renters see the kind in their
        # list.
        ref, now_ms = _ref("credit"), self._clock.now_ms()
        return await self._db.write(
            hooked(
                hook,
                lambda conn: wallets.credit(conn, renter_id, amount_halala, ref, reason, now_ms, is_payment=is_payment),
            )
        )

    async def adjust(self, renter_id: int, amount_halala: int, reason: str | None) -> WalletChange:
        """Raise or lower a balance by an admin; raises as `top_up` does, and where the wallet would fall below zero."""
        ref, now_ms = _ref("adjustment"), self._clock.now_ms()
        return await self._db.write(lambda conn: wallets.adjust(conn, renter_id, amount_halala, ref, reason, now_ms))

    async def reverse(self, entry_id: int, reason: str) -> Reversal:
        """Make good a wrong ledger entry by its opposite, once; the books keep both."""
        now_ms = self._clock.now_ms()

        def reverse_entry(conn: Connection) -> Reversal:
            change = wallets.reverse(conn, entry_id, reason, now_ms)
            # Read in the same transaction: nobody can have taken the new entry back before it is shown.
            return Reversal(change, ledger_reports.entry(conn, change.movement_id))

        return await self._db.write(reverse_entry)

    async def give_back_charge(self, job: JobRow, reason: str) -> ChargeReturn:
        """Give a renter back what a settled job cost, once; raises as `charge_returns.give_back` does."""
        now_ms = self._clock.now_ms()
        return await self._db.write(lambda conn: charge_returns.give_back(conn, job, reason, now_ms))


def _ref(kind: str) -> str:
    return f"{kind}:{secrets.token_hex(12)}"

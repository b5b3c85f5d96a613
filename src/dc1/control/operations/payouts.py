"""How providers are paid: they ask for their earnings, operators pay outside of this system and say so here."""

from dc1.domain import errors
from dc1.domain.access.notifications import NotificationEvent
from dc1.domain.access.roles import Role
from dc1.domain.base.clock import Clock
from dc1.domain.base.json_types import JsonObject
from dc1.domain.money.withdrawals import WithdrawalStatus, is_iban
from dc1.storage.accounts import notifications
from dc1.storage.accounts.notifications import OPERATORS
from dc1.storage.engine.database import Connection, Database
from dc1.storage.engine.transaction_hook import TransactionHook, hooked
from dc1.storage.money import promo_earnings, withdrawals
from dc1.storage.money.withdrawals import WithdrawalRow
from dc1.storage.providers import providers
from dc1.storage.providers.providers import Earnings


class Payouts:
    """Withdrawals of earnings. All amounts are halala; `minimum_halala` is the least that is paid out."""

    def __init__(self, db: Database, clock: Clock, minimum_halala: int) -> None:
        self._db = db
        self._clock = clock
        self._minimum_halala = minimum_halala

    def check(self, amount_halala: int, iban: str) -> None:
        """Refuse what would be refused of any provider, whatever has been earned.

        Apart from `request`, because a repeated call with an Idempotency-Key is refused by it too and not replayed.

        Raises:
            withdrawal_below_minimum: The amount is not worth a bank transfer.
            invalid_iban: The account is none.
        """
        if amount_halala < self._minimum_halala:
            raise errors.withdrawal_below_minimum(self._minimum_halala)
        if not is_iban(iban):
            raise errors.invalid_iban()

    async def request(
        self, provider_id: int, amount_halala: int, iban: str, hook: TransactionHook[WithdrawalRow]
    ) -> WithdrawalRow:
        """Ask for a payout that `check` let pass.

        Raises `A withdrawal is already pending` and INSUFFICIENT_EARNINGS.
        """
        now_ms = self._clock.now_ms()

        # What has been earned is for the transaction to say: memory knows no balances, and two requests may come at
        # once.
        def create(conn: Connection) -> WithdrawalRow:
            made = withdrawals.create(conn, provider_id, amount_halala, iban, now_ms)
            facts = {"provider_id": provider_id, **_told(made)}
            notifications.tell(conn, Role.ADMIN, OPERATORS, NotificationEvent.WITHDRAWAL_REQUESTED, facts, now_ms)
            return made

        return await self._db.write(hooked(hook, create))

    async def move(
        self, withdrawal_id: str, target: WithdrawalStatus, reason: str | None, bank_reference: str | None
    ) -> WithdrawalRow:
        """Take a withdrawal to another state, and note what the bank calls the transfer.

        Raises `Withdrawal not found` and the 409 of a state that does not follow.
        """
        now_ms = self._clock.now_ms()

        def change(conn: Connection) -> WithdrawalRow:
            row = withdrawals.change_status(conn, withdrawal_id, target, reason, now_ms, bank_reference=bank_reference)
            if target is WithdrawalStatus.PAID:
                event = NotificationEvent.PAYOUT_PAID
                notifications.tell(conn, Role.PROVIDER, row.provider_id, event, _told(row), now_ms)
            return row

        return await self._db.write(change)

    async def release_promo(self, provider_id: int, reason: str, renter_id: int | None) -> tuple[int, Earnings]:
        """Let a provider withdraw what it earned from starter credit, of one renter or of all.

        Returns what was released, and the earnings after it.
        """
        now_ms = self._clock.now_ms()

        def release(conn: Connection) -> tuple[int, Earnings]:
            released = promo_earnings.release_of_provider(conn, provider_id, reason, now_ms, renter_id=renter_id)
            return released, providers.earnings(conn, provider_id)

        return await self._db.write(release)


def _told(row: WithdrawalRow) -> JsonObject:
    return {"withdrawal_id": row.withdrawal_id, "amount_halala": row.amount_halala}

"""Renter accounts and their wallets' owners."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from dc1.domain.access.call_limits import CallLimits
from dc1.domain.access.roles import AccountStatus
from dc1.domain.errors import renter_email_taken, renter_not_found
from dc1.domain.jobs.states import TEST_RENTER_ID
from dc1.domain.money.bookkeeping import AccountKind, MovementKind
from dc1.storage.accounts import keys, webhooks
from dc1.storage.engine.row_mapping import Shape, inserted_id
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.money import counters, ledger
from dc1.storage.money.ledger import Transfer
from dc1.storage.schema.tables import accounts, renters


@dataclass(frozen=True, slots=True)
class NewRenter:
    """A registration; the address is trimmed and in lower case."""

    name: str
    email: str
    organization: str | None = None
    phone: str | None = None
    use_case: str | None = None
    registered_from: str | None = None


@dataclass(frozen=True, slots=True)
class RenterRow:
    """A renter account with its two balances; amounts in halala."""

    id: int
    name: str
    email: str
    organization: str | None
    phone: str | None
    use_case: str | None
    webhook_url: str | None
    sealed_webhook_secret: str | None
    status: AccountStatus
    created_at_ms: int
    erase_at_ms: int | None
    total_jobs: int
    completed_jobs: int
    failed_jobs: int
    total_spent_halala: int
    promo_halala: int
    paid_halala: int
    quota_day_ms: int
    quota_day_jobs: int
    quota_month_ms: int
    quota_month_halala: int
    monthly_limit_halala: int | None
    daily_jobs_limit: int | None
    v1_requests_per_minute: int | None
    v1_tokens_per_minute: int | None
    v1_streams: int | None
    told_thresholds: int
    v1_requests: int
    v1_prompt_tokens: int
    v1_completion_tokens: int
    v1_cost_halala: int
    balance_halala: int
    held_halala: int

    @property
    def call_limits(self) -> CallLimits:
        """What an admin has set of its calls under /v1."""
        return CallLimits(self.v1_requests_per_minute, self.v1_tokens_per_minute, self.v1_streams)


_wallets = accounts.alias("wallets")
_holds = accounts.alias("holds")
renter_shape = Shape(RenterRow, renters, balance_halala=_wallets.c.balance_halala, held_halala=_holds.c.balance_halala)
ACCOUNTS = (
    select(*renter_shape.columns)
    .join(_wallets, (_wallets.c.kind == AccountKind.WALLET) & (_wallets.c.owner_id == renters.c.id))
    .join(_holds, (_holds.c.kind == AccountKind.HOLD) & (_holds.c.owner_id == renters.c.id))
)
_BY_ID = ACCOUNTS.where(renters.c.id == bindparam("wanted"))
_GET = PreparedStatement(_BY_ID)
# With both accounts: a balance that is read here must not change before it is debited.
_LOCK = PreparedStatement(_BY_ID.with_for_update(of=[renters, _wallets, _holds], key_share=True))


def set_limits(
    conn: Connection, renter_id: int, monthly_halala: int | None, daily_jobs: int | None, calls: CallLimits
) -> None:
    """Set what a renter may spend in a month, submit in a day and call at a time; None leaves it to the settings.

    Raises `Renter not found` for an account that is none or is deleted.
    """
    # Locked: a submission under way has been held to what was in force, the next one is held to this.
    row = lock_known(conn, renter_id)
    values = {"monthly_limit_halala": monthly_halala, "daily_jobs_limit": daily_jobs}
    values |= {f"v1_{name}": value for name, value in asdict(calls).items()}
    # Another limit is another budget, of which the renter is told anew.
    if monthly_halala != row.monthly_limit_halala:
        values["told_thresholds"] = 0
    conn.execute(update(renters).where(renters.c.id == renter_id).values(values))


def register(conn: Connection, new: NewRenter, starter_credit_halala: int, now_ms: int) -> int:
    """Create an active account with its wallet and starter credit and return its id.

    Raises:
        renter_email_taken: any renter account has the address.
    """
    values = {
        "name": new.name,
        "email": new.email,
        "organization": new.organization,
        "phone": new.phone,
        "use_case": new.use_case,
        "registered_from": new.registered_from,
        "promo_halala": starter_credit_halala,
        "created_at_ms": now_ms,
    }
    if conn.scalar(select(renters.c.id).where(renters.c.email == new.email)) is not None:
        raise renter_email_taken()
    try:
        renter_id = inserted_id(conn.execute(insert(renters), values))
    except IntegrityError as error:
        # Another replica registered the address since we looked.
        raise renter_email_taken() from error
    wallet = ledger.wallet(renter_id)
    ledger.open_accounts(conn, wallet, ledger.hold(renter_id))
    if starter_credit_halala > 0:
        promo = ledger.system(AccountKind.PROMO, renter_id)
        ref = f"renter:{renter_id}"
        amount = starter_credit_halala
        credit = Transfer(MovementKind.STARTER_CREDIT, ref, amount, promo, wallet, promo=amount)
        ledger.post(conn, [credit], now_ms)
    counters.change(conn, renter_id, renters=1, renters_active=1, wallets_halala=starter_credit_halala)
    return renter_id


def get(conn: Connection, renter_id: int) -> RenterRow | None:
    """Return one renter, or None."""
    return renter_shape.first(_GET.rows(conn, {"wanted": renter_id}))


def lock(conn: Connection, renter_id: int) -> RenterRow | None:
    """Return one renter whose row stays ours until the transaction ends.

    Everything that spends takes this lock first.
    """
    return ask_lock(conn, renter_id)()


def ask_lock(conn: Connection, renter_id: int) -> Callable[[], RenterRow | None]:
    """Do as `lock`, but return what tells the row: what else is asked meanwhile takes no round trip of its own."""
    answer = _LOCK.ask(conn, {"wanted": renter_id})
    return lambda: renter_shape.first(answer())


def set_status(conn: Connection, renter_id: int, status: AccountStatus) -> bool:
    """Suspend, unsuspend or delete an account; False when there is none."""
    row = lock(conn, renter_id)
    if row is None:
        return False
    conn.execute(update(renters).where(renters.c.id == renter_id).values(status=status))
    counters.change(
        conn, renter_id, renters_active=(status == AccountStatus.ACTIVE) - (row.status == AccountStatus.ACTIVE)
    )
    return True


def count_credit(conn: Connection, renter_id: int, promo_halala: int, paid_halala: int) -> None:
    """Change what a renter, whose lock the caller holds, has of starter credit and has paid with real money."""
    if promo_halala or paid_halala:
        values = {
            "promo_halala": renters.c.promo_halala + promo_halala,
            "paid_halala": renters.c.paid_halala + paid_halala,
        }
        conn.execute(update(renters).where(renters.c.id == renter_id).values(values))


def known(conn: Connection, renter_id: int) -> RenterRow:
    """Return an account that was not deleted; any other is `Renter not found`."""
    return _open_account(get(conn, renter_id))


def lock_known(conn: Connection, renter_id: int) -> RenterRow:
    """Do as `known`, and as `lock`."""
    return _open_account(lock(conn, renter_id))


def _open_account(row: RenterRow | None) -> RenterRow:
    if row is None or row.status == AccountStatus.DELETED or row.id == TEST_RENTER_ID:
        raise renter_not_found()
    return row


def set_webhook(conn: Connection, renter_id: int, url: str | None, sealed_secret: str | None) -> None:
    """Say where the events of an account go and how they are signed; without a URL nothing more is sent."""
    values = {"webhook_url": url, "sealed_webhook_secret": sealed_secret}
    conn.execute(update(renters).where(renters.c.id == renter_id).values(values))
    if url is None:
        # What waits was meant for the address that is gone.
        webhooks.give_up(conn, renter_id, "Webhooks were switched off")


def schedule_erasure(conn: Connection, renter_id: int, at_ms: int) -> None:
    """Say when the personal data of an account that was deleted is to be erased."""
    conn.execute(update(renters).where(renters.c.id == renter_id).values(erase_at_ms=at_ms))


def due_for_erasure(conn: Connection, now_ms: int) -> list[int]:
    """Return the deleted accounts whose personal data is to be erased by now."""
    due = select(renters.c.id).where(renters.c.erase_at_ms.is_not(None), renters.c.erase_at_ms <= now_ms)
    return [row.id for row in conn.execute(due)]


def erase(conn: Connection, renter_id: int) -> None:
    """Erase what says who a renter is and where to reach them, and note that it is done.

    What they asked of jobs and were answered is erased before, by `data_erasure.forget_work`; that there were jobs and
    what they cost stays, as does the ledger.
    """
    values = {
        "name": "Deleted account",
        # Addresses are unique; one that ends like this can belong to nobody.
        "email": f"deleted-{renter_id}@account.invalid",
        "organization": None,
        "phone": None,
        "use_case": None,
        "registered_from": None,
        "webhook_url": None,
        "sealed_webhook_secret": None,
        "erase_at_ms": None,
    }
    conn.execute(update(renters).where(renters.c.id == renter_id).values(values))
    webhooks.forget_all_of(conn, renter_id)
    keys.forget_labels(conn, renter_id)

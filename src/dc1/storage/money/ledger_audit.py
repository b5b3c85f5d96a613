"""The proof that the books are right, read from the rows themselves and from no counter."""

from dataclasses import dataclass, fields

from sqlalchemy import BigInteger, Connection, cast, func, select, text

from dc1.domain.access.roles import AccountStatus
from dc1.domain.jobs.states import TEST_RENTER_ID, JobStatus
from dc1.domain.money.bookkeeping import AccountKind
from dc1.storage.money import counters
from dc1.storage.money.counters import Totals
from dc1.storage.schema.tables import accounts, jobs, providers, renters


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """The sum of all balances of each kind, in halala, and of what is carried below one, in millionths.

    `carried_prices` is what renters have paid ahead of their calls' exact prices, and `carried_shares` what providers
    have got beyond their exact shares, less than nothing where more is due to them; both are in balances already.
    """

    balances: dict[AccountKind, int]
    carried_prices: int = 0
    carried_shares: int = 0

    @property
    def difference_halala(self) -> int:
        """What all balances together come to; 0 when the books balance."""
        return sum(self.balances.values())


def trial_balance(conn: Connection) -> TrialBalance:
    """Add up every account by kind."""
    query = select(accounts.c.kind, func.sum(accounts.c.balance_halala)).group_by(accounts.c.kind)
    found = {kind: int(total) for kind, total in conn.execute(query)}
    ahead = providers.c.carried_share_micro_halala + providers.c.carried_promo_share_micro_halala
    prices, shares = [
        conn.execute(select(cast(func.coalesce(func.sum(column), 0), BigInteger))).scalar_one()
        for column in (renters.c.carried_price_micro_halala, ahead)
    ]
    return TrialBalance({kind: found.get(kind, 0) for kind in AccountKind}, prices, shares)


# Each query returns the rows that contradict its claim.
_CLAIMS = {
    "movement {0} has {1} postings that sum to {2}, not two that cancel out": """
        SELECT m.id, COUNT(p.movement_id), COALESCE(SUM(p.amount_halala), 0)
        FROM movements m LEFT JOIN postings p ON p.movement_id = m.id
        GROUP BY m.id, m.amount_halala
        HAVING COUNT(p.movement_id) <> 2 OR SUM(p.amount_halala) <> 0 OR MAX(p.amount_halala) <> m.amount_halala
    """,
    "account {0} {1} has a balance of {2}, its postings come to {3}": """
        SELECT a.kind, a.owner_id, a.balance_halala, COALESCE(SUM(p.amount_halala), 0)
        FROM accounts a LEFT JOIN postings p ON p.account_kind = a.kind AND p.owner_id = a.owner_id
        GROUP BY a.kind, a.owner_id, a.balance_halala
        HAVING a.balance_halala <> COALESCE(SUM(p.amount_halala), 0)
    """,
    # A job's whole price is held until it ends, and nothing afterwards.
    "renter {0} has {1} on hold, the open jobs cost {2}": """
        SELECT a.owner_id, a.balance_halala, COALESCE(SUM(j.cost_halala), 0)
        FROM accounts a
        LEFT JOIN jobs j ON j.renter_id = a.owner_id AND j.status IN ('queued', 'pending', 'running')
        WHERE a.kind = 'hold'
        GROUP BY a.owner_id, a.balance_halala
        HAVING a.balance_halala <> COALESCE(SUM(j.cost_halala), 0)
    """,
    "job {0} ({1}) was settled as provider {2}, platform {3}, refund {4}; the ledger says {5}, {6}, {7}": """
        SELECT * FROM (
            SELECT j.id, j.status, COALESCE(j.provider_earned_halala, 0) AS provider,
                COALESCE(j.dc1_fee_halala, 0) AS platform, COALESCE(j.refunded_halala, 0) AS refund,
                COALESCE(SUM(CASE WHEN m.kind IN ('charge_provider', 'charge_provider_promo')
                    THEN m.amount_halala END), 0) AS paid_provider,
                COALESCE(SUM(CASE WHEN m.kind = 'charge_platform' THEN m.amount_halala END), 0) AS paid_platform,
                COALESCE(SUM(CASE WHEN m.kind = 'refund' THEN m.amount_halala END), 0) AS paid_back
            FROM jobs j LEFT JOIN movements m ON m.job_id = j.id
            GROUP BY j.id, j.status, j.provider_earned_halala, j.dc1_fee_halala, j.refunded_halala
        ) AS settled
        WHERE provider <> paid_provider OR platform <> paid_platform OR refund <> paid_back
    """,
    # Of the jobs settled since remainders are carried; of earlier ones nobody knows.
    "job {0} cost {1} and left {2} millionths of {3} for its tokens": """
        SELECT * FROM (
            SELECT id, actual_cost_halala AS actual, carried_price_micro_halala AS price_left,
                (COALESCE(prompt_tokens, 0) - COALESCE(cached_tokens, 0)) * CAST(token_price_halala AS BIGINT)
                    + COALESCE(cached_tokens, 0) * CAST(COALESCE(cached_price_halala, token_price_halala) AS BIGINT)
                    + COALESCE(completion_tokens, 0)
                        * CAST(COALESCE(completion_price_halala, token_price_halala) AS BIGINT) AS price,
                cost_halala AS held
            FROM jobs WHERE carried_price_micro_halala IS NOT NULL
        ) AS settled
        WHERE price IS NOT NULL AND (actual > 0 OR price_left <> 0) AND actual * 1000000 - price_left <>
            CASE WHEN price < held * 1000000 THEN price ELSE held * 1000000 END
    """,
    # What its run made is what was charged less what went beyond the exact price; divided first, as the product of a
    # large price with the share would not fit. Where shares were not carried yet, the one of the charge was.
    "job {0} came to {1} millionths at {2}; its provider got {3} and {4}, and {5} millionths were carried": """
        SELECT * FROM (
            SELECT id, actual_cost_halala * 1000000
                    - CASE WHEN advance_halala IS NULL THEN 0 ELSE carried_price_micro_halala END AS price,
                fee_bps, provider_earned_halala AS earned, COALESCE(advance_halala, 0) AS advance,
                carried_share_micro_halala + COALESCE(carried_promo_share_micro_halala, 0) AS ahead
            FROM jobs WHERE carried_share_micro_halala IS NOT NULL
        ) AS settled
        WHERE (earned + advance) * 1000000 - ahead
            <> price - (price / 10000 * fee_bps + price % 10000 * fee_bps / 10000)
    """,
    "renter {0} carries {1} millionths, the jobs come to {2}": """
        SELECT r.id, r.carried_price_micro_halala, COALESCE(SUM(j.carried_price_micro_halala), 0)
        FROM renters r LEFT JOIN jobs j ON j.renter_id = r.id
        GROUP BY r.id, r.carried_price_micro_halala
        HAVING r.carried_price_micro_halala <> COALESCE(SUM(j.carried_price_micro_halala), 0)
            OR r.carried_price_micro_halala NOT BETWEEN 0 AND 999999
    """,
    # A job that was never run has no share to leave, so the last machine of a job is the one whose owner was paid.
    "provider {0} carries {1} millionths, the jobs come to {2}": """
        SELECT p.id, p.carried_share_micro_halala, COALESCE(SUM(j.carried_share_micro_halala), 0)
        FROM providers p
        LEFT JOIN providers m ON COALESCE(m.owner_id, m.id) = p.id
        LEFT JOIN jobs j ON j.provider_id = m.id
        GROUP BY p.id, p.carried_share_micro_halala
        HAVING p.carried_share_micro_halala <> COALESCE(SUM(j.carried_share_micro_halala), 0)
            OR p.carried_share_micro_halala NOT BETWEEN -999999 AND 1999999
    """,
    "provider {0} carries {1} millionths of starter credit, the jobs come to {2}": """
        SELECT p.id, p.carried_promo_share_micro_halala, COALESCE(SUM(j.carried_promo_share_micro_halala), 0)
        FROM providers p
        LEFT JOIN providers m ON COALESCE(m.owner_id, m.id) = p.id
        LEFT JOIN jobs j ON j.provider_id = m.id
        GROUP BY p.id, p.carried_promo_share_micro_halala
        HAVING p.carried_promo_share_micro_halala <> COALESCE(SUM(j.carried_promo_share_micro_halala), 0)
            OR p.carried_promo_share_micro_halala NOT BETWEEN -999999 AND 1999999
    """,
    "job {0} says that the platform advanced {1}, the ledger {2}": """
        SELECT j.id, COALESCE(j.advance_halala, 0), COALESCE(SUM(m.amount_halala), 0)
        FROM jobs j LEFT JOIN movements m ON m.job_id = j.id AND m.kind IN ('advance', 'advance_promo')
        GROUP BY j.id, j.advance_halala
        HAVING COALESCE(j.advance_halala, 0) <> COALESCE(SUM(m.amount_halala), 0)
    """,
    "renter {0} has {1} starter credit in a wallet of {2}, its entries come to {3}": """
        SELECT * FROM (
            SELECT r.id, r.promo_halala AS promo, a.balance_halala AS balance,
                COALESCE(SUM(CASE WHEN p.amount_halala > 0 THEN m.promo_halala ELSE -m.promo_halala END), 0) AS moved
            FROM renters r
            JOIN accounts a ON a.kind = 'wallet' AND a.owner_id = r.id
            LEFT JOIN postings p ON p.account_kind = a.kind AND p.owner_id = a.owner_id
            LEFT JOIN movements m ON m.id = p.movement_id
            GROUP BY r.id, r.promo_halala, a.balance_halala
        ) AS wallets
        WHERE promo <> moved OR promo < 0 OR promo > balance
    """,
    "renter {0} has paid {1}, the entries come to {2}": """
        SELECT * FROM (
            SELECT r.id, r.paid_halala AS paid, COALESCE((
                SELECT SUM(p.amount_halala)
                FROM postings p JOIN movements m ON m.id = p.movement_id
                LEFT JOIN movements o ON m.kind = 'reversal' AND m.ref = 'entry:' || o.id
                WHERE p.account_kind = 'wallet' AND p.owner_id = r.id
                    AND COALESCE(o.kind, m.kind) IN ('topup', 'admin_payment')
            ), 0) AS entered
            FROM renters r
        ) AS payments
        WHERE paid <> entered
    """,
    # A hold's starter credit goes where the hold goes, and nowhere else.
    "job {0} took {1} of starter credit, of which the provider earned {2}; the ledger says {3}, {4} of {5}": """
        SELECT * FROM (
            SELECT j.id, j.promo_held_halala AS held, COALESCE(j.promo_earned_halala, 0) AS earned,
                COALESCE(SUM(CASE WHEN m.kind = 'hold' THEN m.promo_halala END), 0) AS took,
                COALESCE(SUM(CASE WHEN m.kind IN ('charge_provider', 'charge_provider_promo', 'advance', 'advance_promo')
                    THEN m.promo_halala END), 0) AS gave,
                -- An advance is no part of the hold: its credit went where the charge went that paid for it.
                COALESCE(SUM(CASE WHEN m.kind NOT IN ('hold', 'advance', 'advance_promo', 'charge_returned', 'earnings_returned')
                    THEN m.promo_halala END), 0) AS settled,
                CASE WHEN j.status IN ('queued', 'pending', 'running') THEN 0 ELSE j.promo_held_halala END AS ended,
                MAX(CASE WHEN m.promo_halala > m.amount_halala OR m.promo_halala < 0 THEN 1 ELSE 0 END) AS beyond
            FROM jobs j LEFT JOIN movements m ON m.job_id = j.id
            GROUP BY j.id, j.promo_held_halala, j.promo_earned_halala, j.status
        ) AS shares
        WHERE held <> took OR earned <> gave OR settled <> ended OR beyond <> 0
    """,
    "provider {0} earned of renter {1} {2} from starter credit, the jobs come to {3}": """
        SELECT * FROM (
            SELECT provider_id, renter_id, SUM(kept) AS kept, SUM(earned) AS earned
            FROM (
                SELECT provider_id, renter_id, earned_halala AS kept, 0 AS earned FROM promo_earnings
                UNION ALL
                SELECT COALESCE(m.owner_id, m.id), j.renter_id, 0, j.promo_earned_halala
                FROM jobs j JOIN providers m ON m.id = j.provider_id
                WHERE j.promo_earned_halala > 0
            ) AS both_sides
            GROUP BY provider_id, renter_id
        ) AS pairs
        WHERE kept <> earned
    """,
    "job {0} was run by machine {1} of owner {2} and paid to {3}": """
        SELECT j.id, x.id, COALESCE(x.owner_id, x.id), p.owner_id
        FROM jobs j
        JOIN movements m ON m.job_id = j.id
        JOIN postings p ON p.movement_id = m.id AND p.account_kind IN ('payable', 'promo_earnings')
        JOIN providers x ON x.id = j.provider_id
        WHERE p.owner_id <> COALESCE(x.owner_id, x.id)
    """,
    "machine {0} is said to have earned {1}, the jobs come to {2}": """
        SELECT p.id, p.total_earned_halala,
            COALESCE(SUM(COALESCE(j.provider_earned_halala, 0) + COALESCE(j.advance_halala, 0)), 0)
        FROM providers p LEFT JOIN jobs j ON j.provider_id = p.id
        GROUP BY p.id, p.total_earned_halala
        HAVING p.total_earned_halala
            <> COALESCE(SUM(COALESCE(j.provider_earned_halala, 0) + COALESCE(j.advance_halala, 0)), 0)
    """,
    "provider {0} has {1} kept apart, the renters come to {2}": """
        SELECT a.owner_id, a.balance_halala, COALESCE(SUM(e.earned_halala - e.released_halala), 0)
        FROM accounts a
        LEFT JOIN promo_earnings e ON e.provider_id = a.owner_id
        WHERE a.kind = 'promo_earnings'
        GROUP BY a.owner_id, a.balance_halala
        HAVING a.balance_halala <> COALESCE(SUM(e.earned_halala - e.released_halala), 0)
    """,
    # Only what belongs to no job may be taken back, hence the NULL.
    "entry {0} does not undo {1}, or not exactly": """
        SELECT r.id, r.ref
        FROM movements r
        JOIN postings p ON p.movement_id = r.id
        LEFT JOIN movements m ON r.ref = 'entry:' || m.id AND m.job_id IS NULL
        LEFT JOIN postings q ON q.movement_id = m.id AND q.account_kind = p.account_kind AND q.owner_id = p.owner_id
            AND q.amount_halala = -p.amount_halala
        WHERE r.kind = 'reversal'
        GROUP BY r.id, r.ref
        HAVING COUNT(q.movement_id) <> 2
    """,
    "job {0} cost {1} and earned {2}; {3} was given back, {4} taken": """
        SELECT * FROM (
            SELECT j.id, j.actual_cost_halala AS cost,
                COALESCE(j.provider_earned_halala, 0) + COALESCE(j.advance_halala, 0) AS earned,
                SUM(CASE WHEN m.kind = 'charge_returned' THEN m.amount_halala ELSE 0 END) AS given,
                SUM(CASE WHEN m.kind = 'earnings_returned' THEN m.amount_halala ELSE 0 END) AS taken
            FROM movements m JOIN jobs j ON j.id = m.job_id
            WHERE m.kind IN ('charge_returned', 'earnings_returned')
            GROUP BY j.id, j.actual_cost_halala, j.provider_earned_halala, j.advance_halala
        ) AS returns
        WHERE given <> cost OR taken > earned
    """,
    # What is asked for waits in an account of its own until it is paid or returned.
    "provider {0} has {1} under way, the open withdrawals come to {2}": """
        SELECT a.owner_id, a.balance_halala, COALESCE(SUM(w.amount_halala), 0)
        FROM accounts a
        LEFT JOIN withdrawals w ON w.provider_id = a.owner_id AND w.status IN ('pending', 'processing')
        WHERE a.kind = 'payout'
        GROUP BY a.owner_id, a.balance_halala
        HAVING a.balance_halala <> COALESCE(SUM(w.amount_halala), 0)
    """,
    "withdrawal {0} of {1} is {2}; the ledger says asked {3}, paid {4}, returned {5}": """
        SELECT * FROM (
            SELECT w.withdrawal_id, w.amount_halala AS amount, w.status,
                COALESCE(SUM(CASE WHEN m.kind = 'withdrawal' THEN m.amount_halala END), 0) AS asked,
                COALESCE(SUM(CASE WHEN m.kind = 'payout_paid' THEN m.amount_halala END), 0) AS paid,
                COALESCE(SUM(CASE WHEN m.kind = 'payout_returned' THEN m.amount_halala END), 0) AS returned
            FROM withdrawals w LEFT JOIN movements m
                ON m.kind IN ('withdrawal', 'payout_paid', 'payout_returned') AND m.ref = 'withdrawal:' || w.id
            GROUP BY w.withdrawal_id, w.amount_halala, w.status
        ) AS settled
        WHERE asked <> amount
            OR paid <> CASE WHEN status = 'paid' THEN amount ELSE 0 END
            OR returned <> CASE WHEN status IN ('failed', 'rejected') THEN amount ELSE 0 END
    """,
}


def verify(conn: Connection) -> list[str]:
    """Check the ledger against itself, jobs and withdrawals against the ledger and the counters against all of them.

    Returns one sentence for each thing that is wrong, so an empty list is a proof. Reads every posting and job.
    """
    # Within one snapshot: between two of them a settlement would make good books look wrong.
    problems = [claim.format(*row) for claim, query in _CLAIMS.items() for row in conn.execute(text(query))]
    counted, kept = _count(conn), counters.read(conn)
    return problems + [
        f"the counter {field.name} is {getattr(kept, field.name)}, the rows come to {getattr(counted, field.name)}"
        for field in fields(Totals)
        if getattr(kept, field.name) != getattr(counted, field.name)
    ]


def _count(conn: Connection) -> Totals:
    """Return the counters of all time, counted the long way."""
    # A status that nobody knows has no counter: the one that misses its job is found wrong.
    found = {f"jobs_{status}": int(count) for status, count in conn.execute(_JOBS_BY_STATUS)}
    by_status = {field.name: found[field.name] for field in fields(Totals) if field.name in found}
    charged_jobs, *sums = conn.execute(_JOB_SUMS).one()
    charged, platform, provider, revenue, fees = sums
    total, active = conn.execute(_RENTERS).one()
    return Totals(
        renters=total,
        renters_active=active,
        wallets_halala=trial_balance(conn).balances[AccountKind.WALLET],
        completed_revenue_halala=revenue,
        completed_fees_halala=fees,
        charged_jobs=charged_jobs,
        charged_halala=charged,
        charged_platform_halala=platform,
        charged_provider_halala=provider,
        **by_status,
    )


_JOBS_BY_STATUS = select(jobs.c.status, func.count()).group_by(jobs.c.status)
_completed = jobs.c.status == JobStatus.COMPLETED
_advance = func.coalesce(jobs.c.advance_halala, 0)
_JOB_SUMS = select(
    func.count().filter(jobs.c.actual_cost_halala > 0),
    *[
        cast(func.coalesce(total, 0), BigInteger)
        for total in (
            func.sum(jobs.c.actual_cost_halala),
            func.sum(jobs.c.dc1_fee_halala - _advance),
            func.sum(jobs.c.provider_earned_halala + _advance),
            func.sum(jobs.c.actual_cost_halala).filter(_completed),
            func.sum(jobs.c.dc1_fee_halala - _advance).filter(_completed),
        )
    ],
)
_RENTERS = (
    select(func.count(), func.count().filter(renters.c.status == AccountStatus.ACTIVE))
    .select_from(renters)
    .where(renters.c.id != TEST_RENTER_ID)
)

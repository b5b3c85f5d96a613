"""Provider accounts, what their daemons reported last, and what they earned."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, bindparam, cast, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from dc1.domain.base.clock import DAY_MS, day_start_ms
from dc1.domain.errors import provider_email_taken
from dc1.domain.providers.liveness import Approval
from dc1.domain.providers.preferences import RunMode
from dc1.storage.engine.row_mapping import Shape, changed, inserted_id
from dc1.storage.engine.statements import PreparedStatement, upsert
from dc1.storage.money import ledger, withdrawals
from dc1.storage.schema.tables import provider_days, providers

REPUTATION_DAYS = 7
NO_CHANNEL = "none"
"""Channel of a daemon that was never heard, or that said it leaves."""

_DAY = ("provider_id", "day_ms")


@dataclass(frozen=True, slots=True)
class NewProvider:
    """A registration; `os` is linux, windows or mac and `vram_mib` and `gpu_count` what the owner declared."""

    name: str
    email: str
    gpu_model: str
    os: str
    phone: str | None = None
    location: str | None = None
    vram_mib: int | None = None
    gpu_count: int | None = None
    resource_spec: Any = None
    registered_from: str | None = None


@dataclass(frozen=True, slots=True)
class StoredReport:
    """Everything a daemon's reports have established so far; None where nothing is known.

    `heartbeats` counts the beats since the report that was flushed before this one. `channel` is none, post or
    stream; `stream_lost_ms` is when the stream ended, None while it is open.
    """

    provider_id: int
    channel: str
    last_heartbeat_ms: int | None
    stream_lost_ms: int | None = None
    heartbeats: int = 0
    hardware_reported: bool = False
    tops_int8: float | None = None
    memory_gbps: float | None = None
    probed_device: str | None = None
    integer_products: bool | None = None
    probed_at_ms: int | None = None
    probe_slowed_by: str | None = None
    load_clocks: list[int] | None = None
    gpu_name: str | None = None
    vram_mib: int | None = None
    gpu_count: int | None = None
    driver_version: str | None = None
    cuda_version: str | None = None
    compute_capability: str | None = None
    daemon_version: str | None = None
    provider_ip: str | None = None
    provider_hostname: str | None = None
    container_restart_count: int | None = None
    cached_models: list[str] | None = None
    vllm_models: list[str] | None = None
    job_types: list[str] | None = None
    inference_slots: int = 0
    carries_bodies: bool = False
    model_abilities: dict[str, Any] | None = None
    gpu_status: dict[str, Any] | None = None
    model_cache: dict[str, Any] | None = None
    resource_spec: Any = None


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """A provider: account, preferences, last known report, counters. Amounts are in halala.

    `owner_id` is None for an owner's account; `email` is the owner's in any case.
    """

    id: int
    owner_id: int | None
    name: str
    email: str
    gpu_model: str
    os: str
    phone: str | None
    location: str | None
    created_at_ms: int
    deleted_at_ms: int | None
    approval_status: Approval
    approved_at_ms: int | None
    rejected_reason: str | None
    is_suspended: bool
    owner_suspended: bool
    is_paused: bool
    is_drained: bool
    run_mode: RunMode
    scheduled_start: str | None
    scheduled_end: str | None
    gpu_usage_cap_pct: float | None
    vram_reserve_gb: float | None
    temp_limit_c: float | None
    ask_pct: int
    supported_compute_types: list[str] | None
    preload_model: str | None
    preload_requested_at_ms: int | None
    hardware_reported: bool
    tops_int8: float | None
    memory_gbps: float | None
    probed_device: str | None
    integer_products: bool | None
    probed_at_ms: int | None
    probe_slowed_by: str | None
    load_clocks: list[int] | None
    mismatch: str | None
    mismatch_at_ms: int | None
    accepted_hardware: str | None
    gpu_name: str | None
    vram_mib: int | None
    gpu_count: int | None
    driver_version: str | None
    cuda_version: str | None
    compute_capability: str | None
    daemon_version: str | None
    provider_ip: str | None
    provider_hostname: str | None
    container_restart_count: int | None
    cached_models: list[str] | None
    vllm_models: list[str] | None
    job_types: list[str] | None
    inference_slots: int
    carries_bodies: bool
    model_abilities: dict[str, Any] | None
    gpu_status: dict[str, Any] | None
    model_cache: dict[str, Any] | None
    resource_spec: Any
    channel: str
    last_heartbeat_ms: int | None
    stream_lost_ms: int | None
    stream_replica: str | None
    stream_opened_ms: int | None
    stream_instance: str | None
    second_daemon_at_ms: int | None
    heartbeats_received: int
    completed_jobs: int
    failed_jobs: int
    recent_completed: float
    recent_failed: float
    weighed_runs: int
    total_earned_halala: int


_owners = providers.alias("owners")
_owner_email = select(_owners.c.email).where(_owners.c.id == providers.c.owner_id).scalar_subquery()
provider_shape = Shape(ProviderRow, providers, email=func.coalesce(_owner_email, providers.c.email))
_SELECT = select(*provider_shape.columns)
_ALL = PreparedStatement(_SELECT.order_by(providers.c.id))


def register(conn: Connection, new: NewProvider, now_ms: int) -> int:
    """Create an account that waits for approval and return its id.

    Raises:
        provider_email_taken: any provider account has the address.
    """
    if conn.scalar(select(providers.c.id).where(providers.c.email == new.email)) is not None:
        raise provider_email_taken()
    try:
        provider_id = inserted_id(conn.execute(insert(providers), asdict(new) | {"created_at_ms": now_ms}))
    except IntegrityError as error:
        # Another replica registered the address since we looked.
        raise provider_email_taken() from error
    ledger.open_accounts(conn, *own_accounts(provider_id))
    return provider_id


def own_accounts(provider_id: int) -> tuple[ledger.Account, ...]:
    """Return the accounts of the ledger that a provider has."""
    return ledger.payable(provider_id), ledger.promo_earnings(provider_id), ledger.payout(provider_id)


def get(conn: Connection, provider_id: int) -> ProviderRow | None:
    """Return one provider, deleted or not, or None."""
    return provider_shape.first(conn.execute(_SELECT.where(providers.c.id == provider_id)))


def load_all(conn: Connection) -> list[ProviderRow]:
    """Return every provider account, by id."""
    return provider_shape.all(_ALL.rows(conn, {}))


def load_recent_heartbeats(conn: Connection, now_ms: int) -> dict[int, int]:
    """Return heartbeats of the last seven UTC days (today included) by provider id.

    Providers without any are left out.
    """
    since = day_start_ms(now_ms) - (REPUTATION_DAYS - 1) * DAY_MS
    query = (
        select(provider_days.c.provider_id, func.sum(provider_days.c.heartbeats))
        .where(provider_days.c.day_ms >= since)
        .group_by(provider_days.c.provider_id)
    )
    return {provider_id: int(beats) for provider_id, beats in conn.execute(query)}


def set_approved(conn: Connection, provider_id: int, now_ms: int, *, only_pending: bool = False) -> bool:
    """Let a provider in, from any state or only from pending; False when there is none in such a state."""
    values = {"approval_status": Approval.APPROVED, "approved_at_ms": now_ms, "rejected_reason": None}
    return _decide(conn, provider_id, values, only_pending=only_pending)


def set_rejected(conn: Connection, provider_id: int, reason: str, *, only_pending: bool = False) -> bool:
    """Turn a provider away, from any state or only from pending; False when there is none in such a state."""
    values = {"approval_status": Approval.REJECTED, "approved_at_ms": None, "rejected_reason": reason}
    return _decide(conn, provider_id, values, only_pending=only_pending)


def _decide(conn: Connection, provider_id: int, values: dict[str, Any], *, only_pending: bool) -> bool:
    # A deleted account changes no more; its row only stands for what it did.
    statement = update(providers).where(providers.c.id == provider_id, providers.c.deleted_at_ms.is_(None))
    if only_pending:
        statement = statement.where(providers.c.approval_status == Approval.PENDING)
    return changed(conn.execute(statement.values(**values)))


def set_paused(conn: Connection, provider_id: int, paused: bool) -> bool:
    """Pause or resume; False when there is no such provider."""
    return _set(conn, provider_id, is_paused=paused)


def set_drained(conn: Connection, provider_id: int, drained: bool) -> bool:
    """Keep new work away by an admin's wish, or not any more; False when there is no such provider."""
    return _set(conn, provider_id, is_drained=drained)


def set_preload(conn: Connection, provider_id: int, model: str | None, now_ms: int) -> bool:
    """Name the model that the daemon shall fetch, or None when it has; False when there is no such provider."""
    requested = None if model is None else now_ms
    return _set(conn, provider_id, preload_model=model, preload_requested_at_ms=requested)


def set_preferences(conn: Connection, provider_id: int, **changes: Any) -> bool:
    """Change columns that the owner decides on; False when there is no such provider.

    They are name, run_mode, scheduled_start, scheduled_end, gpu_usage_cap_pct, vram_reserve_gb, temp_limit_c, ask_pct,
    supported_compute_types, gpu_model, vram_mib and gpu_count.
    """
    return _set(conn, provider_id, **changes)


def note_second_daemon(conn: Connection, provider_id: int, now_ms: int) -> bool:
    """Note that a second daemon used the account's key; False when there is no such provider."""
    return _set(conn, provider_id, second_daemon_at_ms=now_ms)


def erase_due(conn: Connection, now_ms: int, limit: int = 100) -> list[ProviderRow]:
    """Erase the personal data of deleted accounts whose time has come, and return what is left of them.

    Personal is what says who the provider is, where to reach them, where the machine stands and which bank account
    was paid; jobs, withdrawals and the ledger stay.
    """
    due = select(providers.c.id).where(providers.c.erase_at_ms.is_not(None), providers.c.erase_at_ms <= now_ms)
    # Some at a time: the next round takes the others, and another replica those that are locked here.
    mine = due.order_by(providers.c.id).limit(limit).with_for_update(skip_locked=True)
    found = [row.id for row in conn.execute(mine)]
    for provider_id in found:
        # Addresses are unique; one that ends like this can belong to nobody.
        values = _ERASED | {"email": f"deleted-{provider_id}@account.invalid"}
        conn.execute(update(providers).where(providers.c.id == provider_id).values(values))
        withdrawals.mask_accounts(conn, provider_id)
    return provider_shape.all(conn.execute(_SELECT.where(providers.c.id.in_(found))))


_ERASED: dict[str, Any] = {
    "name": "Deleted account",
    "phone": None,
    "location": None,
    "registered_from": None,
    "provider_ip": None,
    "provider_hostname": None,
    "resource_spec": None,
    "gpu_status": None,
    "erase_at_ms": None,
}


def _set(conn: Connection, provider_id: int, **changes: Any) -> bool:
    statement = update(providers).where(providers.c.id == provider_id, providers.c.deleted_at_ms.is_(None))
    return changed(conn.execute(statement.values(**changes)))


# Everything that a report says of itself is written as it is; only beats add up.
_FACTS = [field.name for field in fields(StoredReport) if field.name not in ("provider_id", "heartbeats")]
_FLUSH = PreparedStatement(
    update(providers)
    .where(providers.c.id == bindparam("provider_id"))
    .values(
        {name: bindparam(name) for name in _FACTS}
        | {"heartbeats_received": providers.c.heartbeats_received + bindparam("heartbeats")}
    )
)


def flush_reports(conn: Connection, reports: Sequence[StoredReport], now_ms: int) -> None:
    """Store what daemons reported since the last flush: two statements, however many providers there are."""
    if not reports:
        return
    # One order everywhere, so that two replicas that flush at once cannot deadlock.
    ordered = sorted(reports, key=lambda report: report.provider_id)
    _FLUSH.run_many(conn, [{field.name: getattr(report, field.name) for field in fields(report)} for report in ordered])
    beats = [
        {"provider_id": report.provider_id, "day_ms": day_start_ms(now_ms), "heartbeats": report.heartbeats}
        for report in ordered
        if report.heartbeats
    ]
    if beats:
        upsert(conn, provider_days, _DAY, add=("heartbeats",)).run_many(conn, beats)


def count_settled(conn: Connection, provider_id: int, earned_halala: int, now_ms: int) -> None:
    """Add a paid job to the provider's day."""
    statement = upsert(conn, provider_days, _DAY, add=("settled_jobs", "earned_halala"))
    values = {"provider_id": provider_id, "day_ms": day_start_ms(now_ms)}
    statement.send(conn, values | {"settled_jobs": 1, "earned_halala": earned_halala})


@dataclass(frozen=True, slots=True)
class EarningsDay:
    """One UTC day of a provider, by its first millisecond."""

    day_ms: int
    heartbeats: int
    settled_jobs: int
    earned_halala: int


_SUMMED = ("heartbeats", "settled_jobs", "earned_halala")


def of_account(provider_id: int) -> Select[tuple[int]]:
    """Return, as SQL, the ids of an owner's machines, removed ones included; of a further machine its own."""
    return select(providers.c.id).where((providers.c.id == provider_id) | (providers.c.owner_id == provider_id))


def earnings_by_day(conn: Connection, provider_id: int, since_ms: int) -> list[EarningsDay]:
    """Return the days from `since_ms` on that have anything to tell, oldest first; an owner's of all machines."""
    sums = [cast(func.sum(provider_days.c[name]), BigInteger) for name in _SUMMED]
    query: Select[Any] = (
        select(provider_days.c.day_ms, *sums)
        .where(
            provider_days.c.provider_id.in_(of_account(provider_id)), provider_days.c.day_ms >= day_start_ms(since_ms)
        )
        .group_by(provider_days.c.day_ms)
        .order_by(provider_days.c.day_ms)
    )
    return [EarningsDay(*row) for row in conn.execute(query)]


@dataclass(frozen=True, slots=True)
class Earnings:
    """A provider's money in halala: earned in all time, free to withdraw now, asked for but not yet paid.

    `promo_halala` was earned from starter credit and may not be asked for yet.
    """

    total_halala: int
    available_halala: int
    promo_halala: int
    pending_withdrawal_halala: int


def earnings(conn: Connection, provider_id: int) -> Earnings:
    """Return what the provider earned, an owner with all machines, and what is left of it in the owner's wallet."""
    own = providers.c.id.in_(of_account(provider_id))
    total = conn.execute(select(func.coalesce(func.sum(providers.c.total_earned_halala), 0)).where(own)).scalar_one()
    return Earnings(
        total_halala=int(total),
        available_halala=ledger.balance(conn, ledger.payable(provider_id)),
        promo_halala=ledger.balance(conn, ledger.promo_earnings(provider_id)),
        pending_withdrawal_halala=ledger.balance(conn, ledger.payout(provider_id)),
    )

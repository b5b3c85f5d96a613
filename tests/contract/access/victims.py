"""A market with two victims whose every stored row is watched."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from sqlalchemy import ColumnElement, Table, and_, case, false, or_, select

from dc1.storage.engine.database import Connection
from dc1.storage.schema.tables import metadata
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered

MARK = "zq7private"


# Not the one of the examples, which anybody may read.
IBAN = "SA4420000001234567891234"


@dataclass(frozen=True)
class World:
    """A market with two victims: a renter, and the provider that runs the renter's jobs."""

    market: LocalMarket
    channel: grpc.Channel
    renter: Renter
    provider: PollDaemon
    ids: Mapping[str, Any]
    scoped: Mapping[str, str]
    jobs: Sequence[int]
    baseline: dict[str, list[Any]] = field(default_factory=dict)

    def is_as_it_was(self) -> bool:
        """Whether nothing of the victims' has changed since the beginning."""
        now = self.snapshot()
        changed = {name: (rows, now[name]) for name, rows in self.baseline.items() if now[name] != rows}
        assert not changed
        return True

    def snapshot(self) -> dict[str, list[Any]]:
        """Every stored row that is the victims'."""
        return self.market.edge.loop.run(self.market.server.database.read(self._read))

    def _read(self, conn: Connection) -> dict[str, list[Any]]:
        return {table.name: list(self._rows(conn, table)) for table in metadata.sorted_tables}

    def _rows(self, conn: Connection, table: Table) -> Iterator[tuple[Any, ...]]:
        shown = [column for column in table.c if column.name not in ("last_used_at_ms", "changed_xid")]
        # The database picks them: strangers leave hundreds of accounts behind, and every call is followed by a look.
        for row in conn.execute(select(*shown).where(self._is_theirs(table)).order_by(*table.primary_key)):
            yield tuple(row)

    def _is_theirs(self, table: Table) -> ColumnElement[bool]:
        columns, renter, provider = table.c, self.renter.id, self.provider.id
        if table.name in ("renters", "providers", "jobs"):
            return columns.id.in_({"renters": [renter], "providers": [provider], "jobs": self.jobs}[table.name])
        if table.name in ("accounts", "postings"):
            kind = columns.kind if table.name == "accounts" else columns.account_kind
            return or_(
                and_(kind.in_(("wallet", "hold")), columns.owner_id == renter),
                and_(kind.in_(("payable", "payout")), columns.owner_id == provider),
            )
        if table.name == "api_keys":
            is_a_providers = columns.role == "provider"
            return columns.owner_id == case((is_a_providers, provider), else_=renter)
        if "job_id" in columns:
            return columns.job_id.in_(self.jobs)
        owners = {"renter_id": renter, "provider_id": provider}
        owned = [columns[name] == owner for name, owner in owners.items() if name in columns]
        return false() if table.name == "audit_entries" else or_(false(), *owned)


def build(market: LocalMarket, channel: grpc.Channel) -> World:
    renter = market.add_renter(
        name=f"{MARK} renter", email=f"{MARK}@example.sa", phone=MARK, organization=MARK, use_case=MARK
    )
    provider = market.register_provider(email=f"{MARK}-gpu@example.sa", phone=MARK)
    market.admin.approve(provider.id)
    provider.heartbeat({**REPORT, "provider_hostname": MARK, "provider_ip": "203.0.113.77"})
    renter.top_up(5000)
    run_jobs(market, renter, provider)
    account = {"amount_halala": 1000, "iban": IBAN}
    withdrawal = answered(provider.post("/providers/me/withdraw", account), 201)["withdrawal_id"]
    answered(provider.post("/providers/daemon-event", {"event_type": "crash", "details": MARK}))
    sent = {"kind": "telegram", "target": f"12345678:{MARK * 4}/-100200300"}
    told_at = answered(renter.post("/notifications", sent), 201)["channel"]["id"]
    scoped = {
        scope: answered(renter.post("/renters/me/keys", {"scopes": [scope], "label": MARK}), 201)
        for scope in ("jobs.read", "billing")
    }
    # A server that stops stores what daemons reported; nothing is on its way any more when the walk begins.
    market.restart()
    ids = {
        "job_id": 3,
        "provider_id": provider.id,
        "renter_id": renter.id,
        "key_id": scoped["billing"]["id"],
        "withdrawal_id": withdrawal,
        "challenge_id": "none",
        "delivery_id": "whd_none",
        "channel_id": told_at,
    }
    return World(
        market=market,
        channel=channel,
        renter=renter,
        provider=provider,
        ids=ids,
        scoped={scope: key["key"] for scope, key in scoped.items()},
        jobs=range(1, 6),
    )


def run_jobs(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Job 1 completes, 2 fails, 3 runs, 4 waits for this provider, 5 is cancelled."""
    private: Json = {"provider_id": provider.id, "params": {"prompt": MARK}}
    renter.submit(job_type="training", duration_minutes=60, max_duration_seconds=3600, **private)
    provider.next()
    provider.logs(1, [MARK])
    market.advance(3599)
    provider.result(1, MARK)
    renter.submit(**private)
    market.next_job(provider)
    answered(provider.try_result(2, error=MARK))
    for _ in range(3):
        renter.submit(**private)
    market.next_job(provider)
    provider.logs(3, [MARK])
    answered(renter.cancel(5))

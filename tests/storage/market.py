"""A small market to test with: short names for the units of work that every test needs."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

from dc1.domain.access.keys import KeyRole, new_key
from dc1.domain.base.clock import month_start_ms
from dc1.domain.jobs.states import ComputeType, JobType, new_job_id
from dc1.domain.money.machine_prices import UNIT_PRICE_BPS
from dc1.domain.money.machine_terms import MachineTerms
from dc1.storage.accounts import key_budgets, keys, renters
from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import lifecycle
from dc1.storage.jobs.lifecycle import JobRow, JobSpec, NewJob, SubmissionLimits
from dc1.storage.money import ledger_audit
from dc1.storage.providers import owners, providers
from dc1.storage.providers.owners import NewMachine

NOW = 1_774_206_010_000
LIMITS = SubmissionLimits()
T = TypeVar("T")
_numbers = count(1)


def job_for(renter_id: int, **changes: Any) -> NewJob:
    """The contract's J3: three minutes of llm_inference, 45 halala."""
    job = NewJob(
        job_id=new_job_id(NOW),
        renter_id=renter_id,
        job_type=JobType.LLM_INFERENCE,
        spec=JobSpec(container_spec={"image_type": "llm", "gpu_count": 1}, params={"prompt": "بيتين عن البحر"}),
        duration_minutes=Decimal(3),
        max_duration_seconds=1800,
        rate_halala_per_minute=15,
        class_multiplier=Decimal("1.00"),
        cost_halala=45,
        fee_bps=2500,
        compute_type=ComputeType.INFERENCE,
    )
    return replace(job, **changes)


def claim(
    conn: Connection, job_id: int, provider_id: int, slots: int, now_ms: int, price_bps: int = UNIT_PRICE_BPS
) -> JobRow | None:
    """As the dispatcher claims, a batch of one."""
    (job,) = lifecycle.claim_all(conn, [lifecycle.Claim(job_id, provider_id, slots, MachineTerms(price_bps))], now_ms)
    return job


class Market:
    """Units of work on one database at a time that stands still unless a test moves it."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.now = NOW

    async def do(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a repository function that ends with ``now_ms`` by its own parameters."""
        return await self.db.write(lambda conn: function(conn, *args, **kwargs))

    async def see(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await self.db.read(lambda conn: function(conn, *args, **kwargs))

    async def renter(self, credit: int = 1000) -> int:
        number = next(_numbers)
        new = renters.NewRenter(f"Renter {number}", f"renter{number}@example.sa")
        return await self.do(renters.register, new, credit, self.now)

    async def scoped_key(self, renter_id: int, monthly_halala: int | None) -> str:
        """A renter's scoped key that may spend so much in a month."""
        key = new_key(KeyRole.SCOPED)

        def work(conn: Connection) -> str:
            keys.add(conn, KeyRole.SCOPED, renter_id, key, self.now, scopes=["inference"])
            key_budgets.set_limit(conn, key.key_id, month_start_ms(self.now), monthly_halala)
            return key.key_id

        return await self.db.write(work)

    async def provider(self, *, gpus: int = 1, approved: bool = True) -> int:
        number = next(_numbers)
        new = providers.NewProvider(f"Provider {number}", f"gpu{number}@example.sa", "RTX 4090", "linux")

        def work(conn: Connection) -> int:
            provider_id = providers.register(conn, new, self.now)
            if approved:
                providers.set_approved(conn, provider_id, self.now)
            report = providers.StoredReport(provider_id, "post", self.now, gpu_count=gpus)
            providers.flush_reports(conn, [report], self.now)
            return provider_id

        return await self.db.write(work)

    async def machine(self, owner_id: int, *, gpus: int = 1) -> int:
        """A further, approved machine of an owner."""

        def work(conn: Connection) -> int:
            machine_id = owners.add_machine(conn, owner_id, NewMachine("Machine", "RTX 4090", "linux"), 256, self.now)
            providers.set_approved(conn, machine_id, self.now)
            report = providers.StoredReport(machine_id, "post", self.now, gpu_count=gpus)
            providers.flush_reports(conn, [report], self.now)
            return machine_id

        return await self.db.write(work)

    async def submit(self, renter_id: int, limits: SubmissionLimits = LIMITS, **changes: Any) -> JobRow:
        return await self.do(lifecycle.submit, job_for(renter_id, **changes), limits, self.now)

    async def running(self, renter_id: int, provider_id: int, **changes: Any) -> JobRow:
        """A job that the provider runs, in its first attempt."""
        job = await self.submit(renter_id, provider_id=provider_id, slots=64, **changes)
        started = await self.do(lifecycle.start, job.id, provider_id, 0, 64, self.now)
        assert started is not None
        return started

    async def wallet(self, renter_id: int) -> tuple[int, int]:
        """(balance, held)."""
        row = await self.see(renters.get, renter_id)
        assert row is not None
        return row.balance_halala, row.held_halala

    async def check_books(self) -> None:
        assert await self.see(ledger_audit.verify) == []

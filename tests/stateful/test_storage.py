"""A market in which anything may happen in any order, checked after every step."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from dc1.domain.base.clock import month_start_ms
from dc1.domain.errors import ApiError
from dc1.domain.inference.usage import RelayedText
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.states import Actor, ErrorCategory, LogLevel, Phase
from dc1.domain.money.machine_terms import MachineTerms
from dc1.domain.money.withdrawals import WithdrawalStatus
from dc1.storage.accounts import key_budgets, wallets
from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import charge_returns, job_logs, jobs, lifecycle
from dc1.storage.jobs.job_logs import LogLine
from dc1.storage.money import ledger_audit, promo_earnings, withdrawals
from dc1.testing.postgres import PostgresServer
from tests.stateful.profiles import run_machine
from tests.stateful.promises import Promises
from tests.storage.market import LIMITS, Market, claim, job_for

SLOTS = 2
# Of one GPU of a machine: below, at and above what most jobs are held for.
PRICES = st.sampled_from([4_000, 10_000, 22_000])
IBAN = "SA0380000000608010167519"
EXAMPLES = {"sqlite": 10, "postgresql": 5}


class AnyMarket(RuleBasedStateMachine):
    """Renters, providers and time do what they like; stale and repeated calls are as likely as right ones."""

    server: PostgresServer | None = None
    job_ids: Bundle[int] = Bundle("job_ids")
    renters: Bundle[int] = Bundle("renters")
    providers: Bundle[int] = Bundle("providers")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.name = f"t{Path(self.directory.name).name.lower()}"
        self.url = (
            f"sqlite:///{self.directory.name}/dc1.sqlite3" if self.server is None else self.server.create(self.name)
        )
        self.promises = Promises()
        self.slots: dict[int, int] = {}
        self.owners: dict[int, int] = {}
        self.keys: dict[int, list[str]] = {}
        self.refs = 0

    def teardown(self) -> None:
        self.runner.run(self.market.db.close())
        self.runner.close()
        self.directory.cleanup()
        if self.server is not None:
            self.server.drop(self.name)

    def do(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.runner.run(self.market.do(function, *args, **kwargs))
        except ApiError:
            return None

    @initialize()
    def open(self) -> None:
        self.market = Market(self.runner.run(self.opened()))

    async def opened(self) -> Database:
        return Database.open(self.url)

    @rule()
    def restart(self) -> None:
        self.runner.run(self.market.db.close())
        self.market.db = self.runner.run(self.opened())

    @rule(target=renters, credit=st.sampled_from([0, 44, 1000]))
    def register(self, credit: int) -> int:
        renter = self.runner.run(self.market.renter(credit))
        self.keys[renter] = [self.runner.run(self.market.scoped_key(renter, limit)) for limit in (None, 91)]
        return renter

    @rule(renter=renters, key=st.integers(0, 1), limit=st.none() | st.sampled_from([0, 45, 91]))
    def set_budget(self, renter: int, key: int, limit: int | None) -> None:
        """What was spent above it stays spent."""
        self.do(key_budgets.set_limit, self.keys[renter][key], month_start_ms(self.market.now), limit)

    @rule(target=providers)
    def join(self) -> int:
        provider = self.runner.run(self.market.provider(gpus=SLOTS))
        self.slots[provider] = SLOTS
        return provider

    @rule(target=providers, owner=providers)
    def add_machine(self, owner: int) -> int:
        machine = self.runner.run(self.market.machine(self.owners.get(owner, owner), gpus=SLOTS))
        self.owners[machine], self.slots[machine] = self.owners.get(owner, owner), SLOTS
        return machine

    @rule(renter=renters, amount=st.integers(1, 500))
    def top_up(self, renter: int, amount: int) -> None:
        self.refs += 1
        self.do(wallets.top_up, renter, amount, f"t{self.refs}", self.market.now)

    @rule(renter=renters, amount=st.integers(1, 500), is_payment=st.booleans())
    def credit(self, renter: int, amount: int, is_payment: bool) -> None:
        self.refs += 1
        self.do(wallets.credit, renter, amount, f"c{self.refs}", "by hand", self.market.now, is_payment=is_payment)

    @rule(provider=providers, renter=st.none() | renters)
    def release(self, provider: int, renter: int | None) -> None:
        self.do(promo_earnings.release_of_provider, provider, "by hand", self.market.now, renter_id=renter)

    @rule(renter=renters, amount=st.integers(-500, 500))
    def adjust(self, renter: int, amount: int) -> None:
        self.refs += 1
        self.do(wallets.adjust, renter, amount, f"a{self.refs}", None, self.market.now)

    @rule(entry=st.integers(1, 30))
    def reverse(self, entry: int) -> None:
        self.do(wallets.reverse, entry, "a mistake", self.market.now)

    @rule(provider=providers, amount=st.integers(1, 40))
    def withdraw(self, provider: int, amount: int) -> None:
        self.do(withdrawals.create, provider, amount, IBAN, self.market.now)

    @rule(age=st.integers(0, 2), status=st.sampled_from(WithdrawalStatus))
    def decide(self, age: int, status: WithdrawalStatus) -> None:
        """Move one of the last withdrawals to any state."""
        for row in self.runner.run(self.market.see(withdrawals.page, limit=1, offset=age)).rows:
            self.do(withdrawals.change_status, row.withdrawal_id, status, None, self.market.now)

    @rule(
        target=job_ids,
        renter=renters,
        provider=st.none() | providers,
        named=st.booleans(),
        gpus=st.integers(1, SLOTS),
        cost=st.sampled_from([0, 1, 45, 90]),
        token_price=st.sampled_from([None, 19, 300_000]),
        pricing_class=st.sampled_from(["priority", "standard", "economy"]),
        key=st.none() | st.integers(0, 1),
        price=st.sampled_from([5_000, 10_000, 22_000]),
    )
    def submit(self, renter: int, provider: int | None, named: bool, **terms: Any) -> Any:
        changes = {
            "provider_id": provider,
            "scoped_key_id": None if terms["key"] is None else self.keys[renter][terms["key"]],
            "named_provider_id": provider if named else None,
            "slots": SLOTS,
            "gpu_count": terms["gpus"],
            "cost_halala": terms["cost"],
            "token_price_halala": terms["token_price"],
            "pricing_class": terms["pricing_class"],
            "hold_price_bps": None if terms["token_price"] else terms["price"],
            "terms": MachineTerms(min(terms["price"], 10_000) // terms["gpus"]),
        }
        new = job_for(renter, **changes)
        job = self.do(lifecycle.submit, new, LIMITS, self.market.now)
        if job is not None and new.scoped_key_id is not None:
            self.runner.run(self.market.see(self.promises.key_had_room, new.scoped_key_id))
        return multiple() if job is None else job.id

    @rule(job=job_ids, provider=providers, price=PRICES)
    def claim(self, job: int, provider: int, price: int) -> None:
        self.do(claim, job, provider, SLOTS, self.market.now, price)

    @rule(job=job_ids, provider=providers)
    def unclaim(self, job: int, provider: int) -> None:
        self.do(lifecycle.unclaim, job, provider, self.market.now)

    @rule(job=job_ids, provider=providers, attempt=st.integers(0, 2), price=PRICES)
    def start(self, job: int, provider: int, attempt: int, price: int) -> None:
        self.do(lifecycle.start, job, provider, attempt, SLOTS, self.market.now, terms=MachineTerms(price))

    @rule(job=job_ids)
    def accept(self, job: int) -> None:
        """The provider that holds the job starts it, with whatever attempt is next."""
        row = self.runner.run(self.market.see(jobs.get, job))
        assert row is not None
        if row.provider_id is not None:
            self.do(lifecycle.start, job, row.provider_id, row.attempt_number, SLOTS, self.market.now)

    @rule(
        job=job_ids,
        attempt=st.none() | st.integers(0, 3),
        provider=st.none() | providers,
        completed=st.booleans(),
        seconds=st.none() | st.floats(0, 10_000, allow_nan=False),
        relayed=st.integers(0, 100),
        said=st.tuples(
            st.sampled_from(ErrorCategory),
            st.none() | st.integers(-1, 2),
            st.sampled_from([Actor.PROVIDER, Actor.ADMIN]),
        ),
    )
    def finish(
        self,
        job: int,
        attempt: int | None,
        provider: int | None,
        completed: bool,
        seconds: float | None,
        relayed: int,
        said: tuple[ErrorCategory, int | None, Actor],
    ) -> None:
        category, exit_code, actor = said
        outcome = AttemptReport(
            completed,
            actor=actor,
            result={"n": 1},
            error_category=category,
            exit_code=exit_code,
            duration_seconds=seconds,
            completion_tokens=relayed,
        )
        fence: Any = {"attempt": attempt, "provider_id": provider}
        text = RelayedText(relayed, relayed)
        self.do(lifecycle.finish, job, outcome, self.market.now, **fence, relayed=text)

    @rule(job=job_ids, attempt=st.integers(1, 3), fault=st.sampled_from([Fault.PROVIDER, Fault.MARKET]))
    def lose(self, job: int, attempt: int, fault: Fault) -> None:
        self.do(lifecycle.lose, job, attempt, self.market.now, queue_deadline_seconds=1800, fault=fault)

    @rule(job=job_ids)
    def log(self, job: int) -> None:
        """The run in force, or the last one, prints a line."""
        row = self.runner.run(self.market.see(jobs.get, job))
        assert row is not None
        if row.attempt_number:
            self.do(job_logs.append, job, row.attempt_number, [LogLine(LogLevel.INFO, "a line", self.market.now)])

    @rule(job=job_ids, actor=st.sampled_from([Actor.RENTER, Actor.ADMIN, Actor.PROVIDER]), relayed=st.integers(0, 100))
    def cancel(self, job: int, actor: Actor, relayed: int) -> None:
        self.do(lifecycle.cancel, job, actor, self.market.now, relayed=RelayedText(relayed, relayed))

    @rule(job=job_ids)
    def give_back(self, job: int) -> None:
        row = self.runner.run(self.market.see(jobs.get, job))
        self.do(charge_returns.give_back, row, "made up", self.market.now)

    @rule(job=job_ids, provider=providers, phase=st.sampled_from(Phase))
    def report(self, job: int, provider: int, phase: Phase) -> None:
        self.do(lifecycle.set_phase, job, provider, None, phase, self.market.now)

    @rule(seconds=st.sampled_from([0.001, 1, 59.5, 200, 2000, 40 * 86_400]))
    def time_passes(self, seconds: float) -> None:
        self.market.now += round(seconds * 1000)
        for job in self.runner.run(self.market.see(jobs.due_jobs, self.market.now, limit=100)):
            assert self.do(lifecycle.end_overdue, job.id, self.market.now) is not None
            assert self.do(lifecycle.end_overdue, job.id, self.market.now) is None

    @invariant()
    def the_promises_hold(self) -> None:
        self.runner.run(self.market.see(self.check))

    def check(self, conn: Connection) -> None:
        self.promises.check(conn, self.slots)
        assert ledger_audit.verify(conn) == []
        assert ledger_audit.trial_balance(conn).difference_halala == 0


@pytest.fixture
def machine(engine_name: str, request: pytest.FixtureRequest) -> Iterator[type[AnyMarket]]:
    AnyMarket.server = request.getfixturevalue("postgres_server") if engine_name == "postgresql" else None
    yield AnyMarket
    AnyMarket.server = None


@pytest.mark.parametrize("engine_name", EXAMPLES)
def test_whatever_happens_the_promises_hold(machine: type[AnyMarket], engine_name: str) -> None:
    run_machine(machine, EXAMPLES[engine_name])

"""Renters, daemons, admins, time and servers that die, in any order and at the same time, on both engines.

After every step the books balance, each job is settled at most once, leases fit their slots, and memory agrees with the
database. At the end every job comes to rest.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dc1.control.fleet.provider import Provider
from dc1.domain.errors import ApiError
from dc1.domain.jobs.states import Actor, ErrorCategory
from dc1.domain.money.withdrawals import WithdrawalStatus
from dc1.storage.accounts import wallets
from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import jobs
from dc1.storage.money import ledger, ledger_reports, withdrawals
from dc1.storage.providers import providers
from dc1.testing.postgres import PostgresServer
from dcp.v1 import daemon_stream_pb2 as pb
from tests.control.scripted_daemon import ScriptedDaemon
from tests.control.small_market import DONE, SmallMarket
from tests.stateful.profiles import run_machine
from tests.stateful.promises import Promises

GPUS = (1, 1, 2)
MODELS = ("NVIDIA H100 80GB HBM3", "NVIDIA GeForce RTX 4090", "Tesla T4")
IBAN = "SA0380000000608010167519"
MOST_RENTERS = 6
EXAMPLES = {"sqlite": 8, "postgresql": 4}

Call = tuple[Callable[["AnyOrder", ScriptedDaemon, int], Awaitable[None]], int, int]
"""What is done, by or to which daemon, and a number that picks the details."""


def together(*steps: Callable[["AnyOrder", ScriptedDaemon, int], Awaitable[None]]) -> st.SearchStrategy[list[Call]]:
    """Some steps that are taken at the same time."""
    call = st.tuples(st.sampled_from(steps), st.integers(0, len(GPUS) - 1), st.integers(0, 1_000))
    return st.lists(call, min_size=2, max_size=8)


class AnyOrder(RuleBasedStateMachine):
    """Stale and repeated calls are as likely as right ones; each is ready to happen together with others."""

    template: Path | PostgresServer

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.promises = Promises()
        self.jobs: list[int] = []
        self.renters: list[int] = []
        self.refs = 0

    @initialize()
    def open(self) -> None:
        self.runner.run(self._open(self._new_database()))

    def _new_database(self) -> str:
        if isinstance(self.template, PostgresServer):
            return self.template.create()
        path = Path(self.directory.name) / "dc1.sqlite3"
        shutil.copy(self.template, path)
        return f"sqlite:///{path}"

    async def _open(self, url: str) -> None:
        self.market = SmallMarket(Database.open(url))
        await self.market.load()
        self.renters.append(await self.market.renter(5000))
        self.daemons = [
            ScriptedDaemon((await self._machine(gpus, model)).id) for gpus, model in zip(GPUS, MODELS, strict=True)
        ]
        self.slots = {daemon.provider_id: gpus for daemon, gpus in zip(self.daemons, GPUS, strict=True)}
        for daemon in self.daemons:
            await daemon.connect(self.market.control)
        await self.market.control.report_flusher.flush()

    async def _machine(self, gpus: int, model: str) -> Provider:
        provider = await self.market.provider(gpus=gpus)
        self.market.heartbeat(provider, {"gpu_status": {"gpu_name": model}})
        return provider

    def teardown(self) -> None:
        try:
            self.runner.run(self._come_to_rest())
        finally:
            url = self.market.db.url
            self.runner.run(self.market.db.close())
            self.runner.close()
            self.directory.cleanup()
            if isinstance(self.template, PostgresServer):
                self.template.drop(str(url.database))

    async def _come_to_rest(self) -> None:
        """No job is ever lost: the deadlines end what nobody ends, and no daemon works on what is not its own."""
        for _ in range(2 + max(GPUS)):
            await self.market.advance(2000)
        assert await self.market.see(jobs.load_active) == await self.market.see(jobs.load_queue) == []
        for daemon in self.daemons:
            await daemon.connect(self.market.control)
            assert daemon.held == {}
        await self.market.check()
        await self._keep_the_promises()

    def job(self, pick: int) -> int:
        return self.jobs[pick % len(self.jobs)] if self.jobs else 1

    def renter(self, pick: int) -> int:
        return self.renters[pick % len(self.renters)]

    def ref(self) -> str:
        self.refs += 1
        return f"any:{self.refs}"

    # Renters and admins

    async def register(self, daemon: ScriptedDaemon, pick: int) -> None:
        if len(self.renters) < MOST_RENTERS:
            self.renters.append(await self.market.renter((0, 44, 1000)[pick % 3]))

    async def top_up(self, daemon: ScriptedDaemon, pick: int) -> None:
        await self.market.do(wallets.top_up, self.renter(pick), 1 + pick, self.ref(), self.market.clock.now_ms())

    async def reverse(self, daemon: ScriptedDaemon, pick: int) -> None:
        page = await self.market.see(ledger_reports.entries, since_ms=0, limit=1, offset=pick % 50)
        for entry in page.rows:
            await self.market.do(wallets.reverse, entry.id, "a mistake", self.market.clock.now_ms())

    async def submit(self, daemon: ScriptedDaemon, pick: int) -> None:
        changes: dict[str, Any] = {
            "pricing_class": ("priority", "standard", "economy")[pick % 3],
            "container_spec": {"image_type": "llm", "gpu_count": 1 + (pick % 5 == 0)},
        }
        if pick % 4 == 0:
            changes["provider_id"] = daemon.provider_id
        if pick % 3 == 1:
            changes |= {"max_rate_halala_per_minute": 5 * (1 + pick % 7), "prefer": "price"}
        self.jobs.append((await self.market.submit(self.renter(pick % 7), **changes)).id)

    async def ask(self, daemon: ScriptedDaemon, pick: int) -> None:
        provider = self.market.control.fleet.known(daemon.provider_id)
        await self.market.control.provider_accounts.set_preferences(provider, {"ask_pct": (50, 90, 100, 200)[pick % 4]})

    async def cancel(self, daemon: ScriptedDaemon, pick: int) -> None:
        await self.market.control.job_commands.cancel(self.job(pick), Actor.RENTER)

    async def declare_complete(self, daemon: ScriptedDaemon, pick: int) -> None:
        await self.market.control.job_commands.complete(self.job(pick), Actor.ADMIN)

    async def retry(self, daemon: ScriptedDaemon, pick: int) -> None:
        failed = await self.market.see(jobs.get, self.job(pick))
        if failed is not None:
            spec = (await self.market.see(jobs.specs, [failed.id]))[failed.id]
            self.jobs.append((await self.market.control.job_commands.retry(failed, spec)).job.id)

    async def suspend(self, daemon: ScriptedDaemon, pick: int) -> None:
        provider = self.market.control.fleet.known(daemon.provider_id)
        supervision = self.market.control.provider_supervision
        await (supervision.suspend(provider) if pick % 4 == 0 else supervision.unsuspend(provider))

    async def decide(self, daemon: ScriptedDaemon, pick: int) -> None:
        page = await self.market.see(withdrawals.page, limit=1, offset=pick % 3)
        target = tuple(WithdrawalStatus)[pick % len(WithdrawalStatus)]
        for row in page.rows:
            await self.market.do(withdrawals.change_status, row.withdrawal_id, target, None, self.market.clock.now_ms())

    # Providers and their daemons

    async def withdraw(self, daemon: ScriptedDaemon, pick: int) -> None:
        earned = await self.market.see(ledger.balance, ledger.payable(daemon.provider_id))
        amount = 1 + pick % (earned + 2)
        await self.market.do(withdrawals.create, daemon.provider_id, amount, IBAN, self.market.clock.now_ms())

    async def pause(self, daemon: ScriptedDaemon, pick: int) -> None:
        provider, paused = self.market.control.fleet.known(daemon.provider_id), pick % 4 == 0
        await self.market.do(providers.set_paused, provider.id, paused)
        self.market.control.fleet.set_paused(provider, paused)
        await self.market.control.attempts.bookability_changed(provider)

    async def connect(self, daemon: ScriptedDaemon, pick: int) -> None:
        await daemon.connect(self.market.control)

    async def serve(self, daemon: ScriptedDaemon, pick: int) -> None:
        """What a healthy daemon does: be there, take what is offered and, two times in three, get it done."""
        if not daemon.connected:
            await daemon.connect(self.market.control)
        await daemon.beat(draining=False)
        await self.market.dispatch()
        await daemon.accept()
        if pick % 3:
            await daemon.end(pick)

    async def cut(self, daemon: ScriptedDaemon, pick: int) -> None:
        await daemon.cut((0, 30)[pick % 2])

    async def crash(self, daemon: ScriptedDaemon, pick: int) -> None:
        daemon.crash()
        await daemon.cut(0)

    async def beat(self, daemon: ScriptedDaemon, pick: int) -> None:
        await daemon.beat(draining=pick % 5 == 0)

    async def post_heartbeat(self, daemon: ScriptedDaemon, pick: int) -> None:
        self.market.heartbeat(self.market.control.fleet.known(daemon.provider_id))

    async def accept(self, daemon: ScriptedDaemon, pick: int) -> None:
        await daemon.accept()

    async def decline(self, daemon: ScriptedDaemon, pick: int) -> None:
        await daemon.decline()

    async def poll(self, daemon: ScriptedDaemon, pick: int) -> None:
        lease, _ = await self.market.control.polling.next_for(self.market.control.fleet.known(daemon.provider_id))
        if lease is not None:
            daemon.was_handed((lease.job_id, lease.attempt))

    async def complete(self, daemon: ScriptedDaemon, pick: int) -> None:
        await daemon.end(pick)

    async def fail(self, daemon: ScriptedDaemon, pick: int) -> None:
        category = tuple(ErrorCategory)[pick % len(ErrorCategory)]
        failure = pb.Failure(error="CUDA out of memory", category=category, transient=pick % 2 == 0)
        await daemon.end(pick, failure, exit_code=pick % 3)

    async def show_work(self, daemon: ScriptedDaemon, pick: int) -> None:
        await daemon.show_work(pick)

    async def complete_again(self, daemon: ScriptedDaemon, pick: int) -> None:
        await daemon.repeat(pick)

    async def complete_by_http(self, daemon: ScriptedDaemon, pick: int) -> None:
        """An outcome from whomever, of the present attempt or the one before."""
        leases = list(self.market.control.leases)
        if leases:
            lease = leases[pick % len(leases)]
            attempt = lease.attempt - pick % 2
            ended = await self.market.control.attempts.finish(daemon.provider_id, lease.job_id, attempt, DONE)
            daemon.settled.append((ended.job.job_id, attempt))

    # The server

    async def dispatch(self, daemon: ScriptedDaemon, pick: int) -> None:
        await self.market.dispatch()

    async def catch_up(self, daemon: ScriptedDaemon, pick: int) -> None:
        await self.market.control.catch_up()

    @rule(
        calls=together(
            register, top_up, reverse, submit, cancel, declare_complete, retry, suspend, decide, withdraw, ask
        )
    )
    def people(self, calls: list[Call]) -> None:
        self.at_once(calls)

    @rule(
        calls=together(
            *(connect, cut, cut, crash, beat, accept, decline, poll, post_heartbeat, show_work),
            *(complete, fail, complete_again),
        )
    )
    def machines(self, calls: list[Call]) -> None:
        self.at_once(calls)

    @rule(calls=together(submit, serve, serve, serve, serve, show_work, fail, complete_again, complete_by_http))
    def work(self, calls: list[Call]) -> None:
        self.at_once(calls)

    @rule(
        calls=together(
            *(submit, retry, cancel, declare_complete, withdraw, suspend, pause, dispatch, catch_up, ask),
            *(connect, cut, beat, accept, poll, complete, fail, complete_again, complete_by_http),
        )
    )
    def everything(self, calls: list[Call]) -> None:
        self.at_once(calls)

    def at_once(self, calls: list[Call]) -> None:
        async def refusable(call: Awaitable[None]) -> None:
            with suppress(ApiError):
                await call

        async def together() -> None:
            await asyncio.gather(*(refusable(call(self, self.daemons[daemon], pick)) for call, daemon, pick in calls))

        self.runner.run(together())

    @rule(seconds=st.sampled_from([0.5, 6, 11, 16, 40, 90, 130, 181, 2000]))
    def time_passes(self, seconds: float) -> None:
        self.runner.run(self.market.advance(seconds))

    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:
        self.runner.run(self.market.restart(killed=killed))
        for daemon in self.daemons:
            daemon.server_died()

    @invariant()
    def memory_agrees_with_the_database(self) -> None:
        self.runner.run(self.market.check())
        self.runner.run(self._keep_the_promises())

    async def _keep_the_promises(self) -> None:
        def check(conn: Connection) -> None:
            self.promises.check(conn, self.slots)
            told = [(daemon, ref) for daemon in self.daemons for ref in daemon.settled]
            assert len({job_id for _, (job_id, _) in told}) == len(told), "a job was settled by two outcomes"
            for daemon, (job_id, attempt) in told:
                job = jobs.find(conn, job_id)
                assert job is not None
                assert (job.provider_id, job.attempt_number) == (daemon.provider_id, attempt), "a stale outcome counted"

        await self.market.see(check)


@pytest.mark.parametrize("engine", EXAMPLES)
def test_whatever_happens_at_the_same_time_the_promises_hold(
    engine: str, sqlite_template: Path, request: pytest.FixtureRequest
) -> None:
    AnyOrder.template = sqlite_template if engine == "sqlite" else request.getfixturevalue("postgres_server")
    run_machine(AnyOrder, EXAMPLES[engine])

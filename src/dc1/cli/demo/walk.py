"""The main job, step by step, by the calls that anybody can make by hand."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from dc1.cli.admin.admin import show_dashboard
from dc1.cli.bill import Bill
from dc1.cli.demo.market import DemoMarket, approve_provider
from dc1.cli.errors import CommandError
from dc1.cli.options import admin_target, provider_target, renter_target
from dc1.cli.output import console, facts
from dc1.cli.provider.provider import show_earnings
from dc1.cli.renter.jobs import write_events
from dc1.client import Client, StreamedEvent, Target, follow_job_events, path

PROMPT = "In one short sentence: what is a GPU good for?"
_REQUEST = {
    "job_type": "llm_inference",
    # Time for a slow machine to load the model; what is not used is refunded.
    "duration_minutes": 3,
    "params": {"system": "Be brief.", "prompt": PROMPT, "max_tokens": 60, "temperature": 0},
}


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account of the demo: its id and its key."""

    id: int
    key: str


@dataclass(frozen=True, slots=True)
class DemoRun:
    """What one job showed.

    Attributes:
        job: the full job object after its end.
        answer: the text in its output.
        tokens: how many pieces of text were streamed.
        to_running_ms: from the submission to the running state by the lifecycle's timestamps, in milliseconds.
        to_first_token_ms: from the submission's answer to the first streamed text by the client's clock, in
            milliseconds.
    """

    job: dict[str, Any]
    answer: str
    tokens: int
    to_running_ms: float
    to_first_token_ms: float

    @property
    def bill(self) -> Bill:
        """The job's bill; a job that is not settled raises CommandError."""
        bill = Bill.of(self.job)
        if bill is None:
            raise CommandError("The job ended and was not settled.")
        return bill


@dataclass(frozen=True, slots=True)
class DemoBooks:
    """What renter, provider and operator read after the job."""

    balance: dict[str, Any]
    earnings: dict[str, Any]
    dashboard: dict[str, Any]

    def check(self, bill: Bill, starter_credit: int) -> None:
        """Raise CommandError when one of them contradicts the bill."""
        stats = self.dashboard["stats"]
        for claim, found, expected in (
            (
                "the provider's and the platform's share, and the refund",
                bill.provider + bill.platform + bill.refund,
                bill.quote,
            ),
            ("the renter's balance", self.balance["balance_halala"], starter_credit - bill.actual),
            ("the provider's earnings", self.earnings["total_earned_halala"], bill.provider),
            ("the dashboard's revenue", stats["total_revenue_halala"], bill.actual),
            ("the dashboard's fees", stats["total_dc1_fees_halala"], bill.platform),
            ("the dashboard's completed jobs", stats["completed_jobs"], 1),
        ):
            # Whole halala: equal, and not nearly so.
            if found != expected:
                raise CommandError(f"The books do not add up: {claim} should be {expected} and is {found}.")


def walk(market: DemoMarket) -> tuple[DemoAccount, DemoAccount, DemoRun, DemoBooks]:
    """Run the main job and print what everybody sees; the first thing that is not as promised raises CommandError."""
    _step("A renter and a provider register")
    customer, owner = _register(market.url)
    with Client(renter_target(market.url, customer.key)) as client:
        # Asked and not assumed, as it is a setting.
        starter_credit = client.get("/renters/balance").body["balance_halala"]
    console.print(f"renter {customer.id} with {starter_credit} halala of starter credit, provider {owner.id}")

    _step("An operator approves the provider")
    approve_provider(market, owner.id)
    console.print(f"provider {owner.id} is approved")

    _step("The provider's daemon connects, outbound only")
    started = time.monotonic()
    market.start_daemon(owner.id, owner.key)
    console.print(f"online after {time.monotonic() - started:.1f} s")

    _step("The renter submits a prompt")
    with Client(renter_target(market.url, customer.key)) as client:
        run = _run(client)

    console.print()
    run.bill.show()

    _step("What everybody sees")
    books = _read_books(market, customer, owner)
    show_earnings(books.earnings)
    show_dashboard(books.dashboard)
    books.check(run.bill, starter_credit)
    return customer, owner, run, books


def summary(market: DemoMarket, run: DemoRun, books: DemoBooks, seconds: float) -> dict[str, Any]:
    """Return the demo's outcome for programs."""
    return {
        "success": True,
        "seconds": round(seconds, 1),
        "url": market.url,
        "job_id": run.job["job_id"],
        "prompt": PROMPT,
        "answer": run.answer,
        "model": run.job["model"],
        "streamed_tokens": run.tokens,
        "submit_to_running_ms": run.to_running_ms,
        "submit_to_first_token_ms": round(run.to_first_token_ms),
        "bill": {**asdict(run.bill), "adds_up": run.bill.adds_up},
        "balance": books.balance,
        "earnings": books.earnings,
        "dashboard": books.dashboard,
    }


def _register(url: str) -> tuple[DemoAccount, DemoAccount]:
    with Client(Target(url)) as client:
        customer = client.post("/renters/register", {"name": "Noura Salem", "email": "noura@example.sa"}).body
        machine = {"name": "This machine", "email": "gpu@example.sa", "os": "linux"}
        owner = client.post("/providers/register", machine).body
    return DemoAccount(customer["renter_id"], customer["api_key"]), DemoAccount(owner["provider_id"], owner["api_key"])


def _run(client: Client) -> DemoRun:
    submitted = client.post("/jobs/submit", _REQUEST).body["job"]
    answered = time.monotonic()
    job_id = submitted["job_id"]
    facts({"job": job_id, "status": submitted["status"], "prompt": PROMPT})
    console.print("the model answers, live:\n")
    arrivals: list[float] = []
    status = write_events(_timed(follow_job_events(client, job_id, tokens=True), arrivals))
    job = client.get(path("jobs", job_id)).body["job"]
    if status != "completed":
        raise CommandError(f"The job is {status}: {job['error']}.")
    answer = str(client.get(path("jobs", job_id, "output")).body["response"])
    if not arrivals or not answer:
        raise CommandError("The job completed and no text was streamed.")
    to_running = _to_running_ms(client.get(path("jobs", job_id, "lifecycle")).body["events"])
    to_first_token = (arrivals[0] - answered) * 1000
    console.print()
    facts(
        {
            "submit to running": f"{to_running:g} ms, by the lifecycle's timestamps",
            "submit to first token": f"{to_first_token:,.0f} ms, the model's loading included",
            "streamed": f"{len(arrivals)} pieces",
        }
    )
    return DemoRun(job, answer, len(arrivals), to_running, to_first_token)


def _timed(events: Iterator[StreamedEvent], arrivals: list[float]) -> Iterator[StreamedEvent]:
    for event in events:
        if event.kind == "token":
            arrivals.append(time.monotonic())
        yield event


def _to_running_ms(events: list[dict[str, Any]]) -> float:
    # Both by the server's clock: looks of the client would add the time between them.
    submitted = next(event["occurred_at_ms"] for event in events if event["event_type"] == "job.submitted")
    running = next(event["occurred_at_ms"] for event in events if event["status"] == "running")
    return float(running - submitted)


def _read_books(market: DemoMarket, customer: DemoAccount, owner: DemoAccount) -> DemoBooks:
    with (
        Client(renter_target(market.url, customer.key)) as as_renter,
        Client(provider_target(market.url, owner.key)) as as_provider,
        Client(admin_target(market.url, market.admin_token)) as as_admin,
    ):
        return DemoBooks(
            as_renter.get("/renters/balance").body,
            as_provider.get("/providers/earnings").body,
            as_admin.get("/admin/dashboard").body,
        )


def _step(title: str) -> None:
    console.print(f"\n{title}", style="bold cyan")

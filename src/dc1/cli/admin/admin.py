"""`dc1 admin …`: operating the marketplace."""

from typing import Annotated, Any

import typer

from dc1.cli.admin import accounts, images, jobs, monitoring, operators, payouts_and_prices
from dc1.cli.commands import Commands
from dc1.cli.notifications import notification_commands
from dc1.cli.options import AdminToken, AsJson, Page, Url, admin_target
from dc1.cli.output import emit, facts, listing, moment, money, notes, printable, sar
from dc1.client import DEFAULT_URL, Client, path

app = Commands(help="Operate the marketplace.", no_args_is_help=True)
# Without a name each: their commands are this group's own, `dc1 admin credit` and not `dc1 admin accounts credit`.
app.add_typer(accounts.app)
app.add_typer(images.app)
app.add_typer(jobs.app)
app.add_typer(monitoring.app)
app.add_typer(payouts_and_prices.app)
app.add_typer(operators.app, name="operators")
app.add_typer(notification_commands(AdminToken, admin_target), name="notifications")

ProviderId = Annotated[int, typer.Argument(metavar="PROVIDER", help="The provider's id.", min=1)]


@app.command("dashboard", watch=True)
def admin_dashboard(token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show the market at a glance."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/dashboard"), as_json, show_dashboard)


@app.command("providers", watch=True)
def admin_providers(
    status: Annotated[
        str | None, typer.Option(help="Only this status, for example pending or online.", show_default=False)
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Only names and addresses with this text.", show_default=False)
    ] = None,
    page: Page = 1,
    limit: Annotated[int, typer.Option(help="How many a page.", min=1, max=200)] = 50,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List provider accounts, newest first."""
    with Client(admin_target(url, token)) as client:
        emit(
            client.get("/admin/providers", status=status, search=search, page=page, limit=limit),
            as_json,
            _show_providers,
        )


@app.command("approve")
def admin_approve(
    provider: ProviderId, token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Approve a provider: from now on it is given work."""
    with Client(admin_target(url, token)) as client:
        emit(client.patch(path("admin", "providers", provider, "approve")), as_json, _show_decision)


@app.command("reject")
def admin_reject(
    provider: ProviderId,
    reason: Annotated[str, typer.Option(help="Why; the provider reads it.")],
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Reject a provider: its daemon is sent away."""
    with Client(admin_target(url, token)) as client:
        emit(
            client.patch(path("admin", "providers", provider, "reject"), {"reason": reason}),
            as_json,
            _show_decision,
        )


@app.command("probe")
def admin_probe(
    provider: ProviderId, token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Measure a provider's machine now. Its owner's `dc1 provider me` shows what came of it."""
    with Client(admin_target(url, token)) as client:
        emit(client.post(path("admin", "providers", provider, "probe")), as_json, _show_probe)


@app.command("clear-mismatch")
def admin_clear_mismatch(
    provider: ProviderId,
    reason: Annotated[str, typer.Option(help="Why; the log keeps it.")],
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Take a GPU to be what its daemon reports."""
    with Client(admin_target(url, token)) as client:
        answer = client.post(path("admin", "providers", provider, "clear-mismatch"), {"reason": reason})
        emit(answer, as_json, lambda body: facts({"provider": body["provider_id"], "cleared": body["cleared"]}))


@app.command("adjust-balance")
def admin_adjust_balance(
    renter: Annotated[int, typer.Argument(metavar="RENTER", help="The renter's id.", min=1)],
    # An option, as a negative argument would be read as one.
    halala: Annotated[int, typer.Option(help="What to add; a negative amount takes away.")],
    reason: Annotated[str | None, typer.Option(help="Why; kept in the ledger.", show_default=False)] = None,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Add to or take from a renter's wallet. It is one ledger entry."""
    with Client(admin_target(url, token)) as client:
        answer = client.post(path("admin", "renters", renter, "balance"), {"amount_halala": halala, "reason": reason})
    emit(
        answer,
        as_json,
        lambda body: facts({"before": money(body["previous_balance"]), "after": money(body["new_balance"])}),
    )


@app.command("reverse")
def admin_reverse(
    entry: Annotated[int, typer.Argument(metavar="ENTRY", help="The ledger entry's id.", min=1)],
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger, where the renter can read it.")],
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Reverse a wrong credit, top-up or adjustment. An entry can be reversed once."""
    with Client(admin_target(url, token)) as client:
        answer = client.post(path("admin", "finance", "transactions", entry, "reverse"), {"reason": reason})
    emit(answer, as_json, _show_reversal)


@app.command("finance", watch=True)
def admin_finance(token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show where the market's money is."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/finance/summary"), as_json, _show_finance)


@app.command("books", watch=True)
def admin_books(token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Check the market's books. Prints the trial balance, and fails when anything differs."""
    with Client(admin_target(url, token)) as client:
        answer = client.get("/admin/finance/books")
    emit(answer, as_json, _show_books)
    # The exit code is for a timer that runs this; what differs is printed above for the person it calls.
    if not answer.body["balanced"]:
        raise typer.Exit(1)


def _owners(stats: dict[str, Any]) -> str:
    # Servers from before owners had several machines count none.
    return f", of {stats['total_owners']} owners" if "total_owners" in stats else ""


# Public, as the demo ends with the same page.
def show_dashboard(body: dict[str, Any]) -> None:
    """Print an answer of `GET /admin/dashboard`."""
    stats = body["stats"]
    facts(
        {
            "providers": f"{stats['total_providers']}, {stats['online_now']} online{_owners(stats)}",
            "renters": f"{stats['total_renters']}, {stats['active_renters']} active",
            "in wallets": money(stats["total_renter_balance_halala"]),
            "jobs": f"{stats['total_jobs']}: {stats['completed_jobs']} completed, {stats['failed_jobs']} failed, "
            f"{stats['active_jobs']} active",
            "revenue": money(stats["total_revenue_halala"]),
            "platform fees": money(stats["total_dc1_fees_halala"]),
            "today": f"{stats['today_jobs']} jobs, {money(stats['today_revenue_halala'])}",
            "refused calls": f"{stats['refused_calls']:.0f} by the server, {stats['refused_at_edge']:.0f} by its edge",
        },
        title=f"Dashboard at {stats['timestamp']}",
    )
    listing(
        ["GPU", "source", "providers"],
        ([gpu["gpu_model"], gpu["gpu_source"], gpu["count"]] for gpu in body["gpu_breakdown"]),
        empty="No provider yet.",
    )
    listing(
        ["provider", "name", "GPU", "source", "host", "last heartbeat"],
        (
            [
                beat["id"],
                beat["name"],
                beat["gpu_model"],
                beat["gpu_source"],
                # A heartbeat need not name its host.
                beat["provider_hostname"] or beat["provider_ip"],
                moment(beat["last_heartbeat"]),
            ]
            for beat in body["recent_heartbeats"]
        ),
        empty="No heartbeat yet.",
    )


def _show_providers(body: dict[str, Any]) -> None:
    listing(
        ["id", "name", "email", "GPU", "source", "status", "approval", "last heartbeat"],
        (
            [
                one["id"],
                one["name"],
                one["email"],
                one["gpu_model"],
                one["verification"] or one["gpu_source"],
                one["status"],
                one["approval_status"],
                moment(one["last_heartbeat"]),
            ]
            for one in body["providers"]
        ),
        title=f"{body['total']} providers, {body['online']} online, {body['pending_approval']} wait for a decision",
        empty="No provider matches.",
    )


def _show_probe(body: dict[str, Any]) -> None:
    facts({"provider": body["provider_id"], "probe": "begun"})


def _show_decision(body: dict[str, Any]) -> None:
    facts({"provider": body["provider_id"], "approval": body["approval_status"], "reason": body["rejected_reason"]})


def _show_reversal(body: dict[str, Any]) -> None:
    entry = body["entry"]
    facts(
        {
            "reversed": entry["reverses"],
            "by entry": entry["id"],
            "moved": f"{money(entry['amount_halala'])} from {entry['from_account']} to {entry['to_account']}",
            "renter": entry["renter_id"],
            "balance": money(body["new_balance_halala"]),
        }
    )


def _show_finance(body: dict[str, Any]) -> None:
    facts(
        {
            "in wallets": money(body["wallets_halala"]),
            "held for open jobs": money(body["holds_halala"]),
            "owed to providers": money(body["provider_earnings_halala"]),
            "of it from starter credit": money(body["promo_earnings_halala"]),
            "the platform's": money(body["platform_halala"]),
            "withdrawals under way": money(body["payouts_halala"]),
            "came in from outside": money(body["external_halala"]),
        }
    )


def _show_books(body: dict[str, Any]) -> None:
    listing(
        ["account", "SAR", "halala"],
        (
            [account["account"], sar(account["balance_halala"]), f"{account['balance_halala']:,.0f}"]
            for account in body["accounts"]
        ),
        title=f"Trial balance at {body['timestamp']}",
        empty="No account yet.",
    )
    carried = body["carried"]
    facts(
        {
            "paid ahead for calls": f"{carried['call_prices_micro_halala']:,.0f} millionths of a halala",
            "beyond their share with providers": f"{carried['platform_fees_micro_halala']:,.0f} millionths",
            "difference": money(body["difference_halala"]),
            "balanced": body["balanced"],
        }
    )
    # On stderr, with all else that is wrong: the table on stdout stays a table.
    for problem in body["problems"]:
        notes.print(printable(problem))

"""`dc1 admin renters`, `credit`, `suspend`, `unsuspend`, `drain`, `undrain` and `audit`."""

from typing import Annotated, Any, Literal

import typer

from dc1.cli.commands import Commands
from dc1.cli.options import AdminToken, AsJson, IdempotencyKey, Page, PageSize, Url, admin_target
from dc1.cli.output import emit, facts, listing, moment, money, page_of, sar
from dc1.client import DEFAULT_URL, Client, path

app = Commands()

# A choice, so that a typing error is answered here with what there is and calls no route of another name.
Role = Annotated[Literal["provider", "renter"], typer.Argument(help="Whose account.")]
ProviderId = Annotated[int, typer.Argument(metavar="PROVIDER", help="The provider's id.", min=1)]
AccountId = Annotated[int, typer.Argument(metavar="ID", help="The account's id.", min=1)]
# These lists have up to 200 entries a page, twice as many as a renter's.


@app.command("renters")
def admin_renters(
    status: Annotated[str | None, typer.Option(help="Only active or suspended.", show_default=False)] = None,
    search: Annotated[
        str | None, typer.Option(help="Only names and addresses with this text.", show_default=False)
    ] = None,
    page: Page = 1,
    limit: PageSize = 50,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List renter accounts, newest first."""
    with Client(admin_target(url, token)) as client:
        answer = client.get("/admin/renters", status=status, search=search, page=page, limit=limit)
    emit(answer, as_json, _show_renters)


@app.command("credit")
def admin_credit(
    renter: Annotated[int, typer.Argument(metavar="RENTER", help="The renter's id.", min=1)],
    halala: Annotated[int, typer.Argument(help="How much, in halala.", min=1)],
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger, where the renter can read it.")],
    payment: Annotated[bool, typer.Option("--payment", help="The renter has paid it elsewhere.")] = False,
    idempotency_key: IdempotencyKey = None,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Add to a renter's wallet. It is one ledger entry."""
    # With a key, the command may be repeated after a broken connection without paying twice.
    body = {"amount_halala": halala, "reason": reason} | ({"is_payment": True} if payment else {})
    with Client(admin_target(url, token)) as client:
        answer = client.post_once(path("admin", "renters", renter, "credit"), body, idempotency_key=idempotency_key)
    emit(answer, as_json, _show_credit)


@app.command("renter-limits")
def admin_renter_limits(
    renter: Annotated[int, typer.Argument(metavar="RENTER", help="The renter's id.", min=1)],
    monthly: Annotated[
        int | None, typer.Option(help="Spend of a month, in halala.", min=0, show_default="the setting")
    ] = None,
    daily_jobs: Annotated[
        int | None, typer.Option(help="Submissions of a day.", min=0, show_default="the setting")
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option("--requests-per-minute", help="Calls under /v1 in a minute.", min=0, show_default="the setting"),
    ] = None,
    tokens: Annotated[
        int | None, typer.Option("--tokens-per-minute", help="Tokens in a minute.", min=0, show_default="the setting")
    ] = None,
    streams: Annotated[
        int | None, typer.Option(help="Streamed calls at a time.", min=0, show_default="the setting")
    ] = None,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Set what a renter may spend, submit and call."""
    # What is left out goes back to the operator's setting, and is not kept as it was: the call sets all.
    calls = {"requests_per_minute": requests, "tokens_per_minute": tokens, "streams": streams}
    body = {"monthly_limit_halala": monthly, "daily_jobs_limit": daily_jobs, **calls}
    with Client(admin_target(url, token)) as client:
        answer = client.patch(path("admin", "renters", renter, "limits"), body)
    emit(
        answer,
        as_json,
        lambda shown: facts(
            {
                "spend a month": money(shown["monthly_limit_halala"]),
                "jobs a day": shown["daily_jobs_limit"],
                **{name.replace("_", " "): shown[name] for name in calls},
            }
        ),
    )


@app.command("suspend")
def admin_suspend(
    role: Role, account: AccountId, token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Suspend an account. A provider's running jobs go to others."""
    with Client(admin_target(url, token)) as client:
        emit(client.post(path("admin", f"{role}s", account, "suspend")), as_json, _show_status)


@app.command("unsuspend")
def admin_unsuspend(
    role: Role, account: AccountId, token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Let a suspended account go on."""
    with Client(admin_target(url, token)) as client:
        emit(client.post(path("admin", f"{role}s", account, "unsuspend")), as_json, _show_status)


@app.command("drain")
def admin_drain(
    provider: ProviderId, token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Give a provider no new work. What it runs is finished there."""
    with Client(admin_target(url, token)) as client:
        emit(client.post(path("admin", "providers", provider, "drain")), as_json, _show_drain)


@app.command("undrain")
def admin_undrain(
    provider: ProviderId, token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Let a drained provider have work again."""
    with Client(admin_target(url, token)) as client:
        emit(client.post(path("admin", "providers", provider, "undrain")), as_json, _show_status)


@app.command("audit")
def admin_audit(
    page: Page = 1,
    limit: PageSize = 50,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List the calls of operators, newest first."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/audit", page=page, limit=limit), as_json, _show_audit)


def _show_credit(body: dict[str, Any]) -> None:
    facts({"entry": body["ledger_id"], "balance": money(body["new_balance_halala"])})


def _show_renters(body: dict[str, Any]) -> None:
    listing(
        ["id", "name", "email", "status", "balance", "spent", "jobs", "since"],
        (
            [
                one["id"],
                one["name"],
                one["email"],
                one["status"],
                sar(one["balance_halala"]),
                sar(one["total_spent_halala"]),
                one["total_jobs"],
                moment(one["created_at"]),
            ]
            for one in body["renters"]
        ),
        title=page_of(body["pagination"]),
        empty="No renter matches.",
    )


def _show_status(body: dict[str, Any]) -> None:
    facts({"status": body["status"]})


def _show_drain(body: dict[str, Any]) -> None:
    facts({"status": body["status"], "jobs held": body["jobs_held"]})


def _show_audit(body: dict[str, Any]) -> None:
    listing(
        ["entry", "at", "operator", "from", "call", "path", "status", "calls"],
        (
            [
                entry["id"],
                moment(entry["at"]),
                entry["actor"],
                entry["address"],
                entry["method"],
                entry["path"],
                entry["status"],
                # One entry may stand for many that were not let in; of a server before 0.2 each stands for itself.
                entry.get("calls", 1),
            ]
            for entry in body["entries"]
        ),
        title=page_of(body["pagination"]),
        empty="No calls yet.",
    )

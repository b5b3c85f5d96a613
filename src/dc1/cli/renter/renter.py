"""`dc1 renter …`: the account, the wallet and the market."""

from typing import Annotated, Any

import typer

from dc1.cli.commands import Commands
from dc1.cli.errors import CommandError
from dc1.cli.notifications import notification_commands
from dc1.cli.options import AsJson, IdempotencyKey, RenterKey, Url, renter_target
from dc1.cli.output import emit, facts, listing, machine, moment, money, sar
from dc1.cli.renter import accounts, jobs
from dc1.client import DEFAULT_URL, Client, Target

app = Commands(help="Rent GPUs: an account, a wallet, jobs.", no_args_is_help=True)
# Without names, so that `dc1 renter submit` is said without a word between.
app.add_typer(jobs.app)
app.add_typer(accounts.app)
app.add_typer(notification_commands(RenterKey, renter_target), name="notifications")


@app.command("register")
def renter_register(
    name: Annotated[str, typer.Option(help="Name of the person or team.")],
    email: Annotated[str, typer.Option(help="E-mail address; one account an address.")],
    organization: Annotated[str | None, typer.Option(help="Organisation.", show_default=False)] = None,
    use_case: Annotated[str | None, typer.Option(help="What the GPUs are for.", show_default=False)] = None,
    phone: Annotated[str | None, typer.Option(help="Telephone number.", show_default=False)] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Open a renter account and print its key, this once."""
    body = {"name": name, "email": email, "organization": organization, "use_case": use_case, "phone": phone}
    with Client(Target(url)) as client:
        emit(client.post_once("/renters/register", body), as_json, _show_registered)


@app.command("me", watch=True)
def renter_me(key: RenterKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show the account and its newest jobs."""
    with Client(renter_target(url, key)) as client:
        emit(client.get("/renters/me"), as_json, _show_account)


@app.command("balance", watch=True)
def renter_balance(key: RenterKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show the wallet."""
    with Client(renter_target(url, key)) as client:
        emit(client.get("/renters/balance"), as_json, _show_balance)


@app.command("topup")
def renter_topup(
    halala: Annotated[
        int | None, typer.Argument(help="How much to add, in halala, 1 to 100000.", min=1, show_default=False)
    ] = None,
    sar: Annotated[float | None, typer.Option(help="How much in SAR instead.", min=0.01, show_default=False)] = None,
    key: RenterKey = None,
    idempotency_key: IdempotencyKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Add money to the wallet. Not every marketplace allows that without a payment."""
    if (halala is None) == (sar is None):
        raise CommandError("Say how much: `dc1 renter topup 1000` adds 1000 halala, `--sar 10` as much in SAR.")
    amount = {"amount_sar": sar} if halala is None else {"amount_halala": halala}
    with Client(renter_target(url, key)) as client:
        answer = client.post_once("/renters/topup", amount, idempotency_key=idempotency_key)
        emit(
            answer,
            as_json,
            lambda body: facts(
                {"added": money(body["topped_up_halala"]), "balance": money(body["new_balance_halala"])}
            ),
        )


@app.command("providers", watch=True)
def renter_providers(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the providers that can be given work now."""
    with Client(Target(url)) as client:
        emit(client.get("/renters/available-providers"), as_json, _show_providers)


def _show_registered(body: dict[str, Any]) -> None:
    facts({"renter": body["renter_id"], "key": body["api_key"], "": body["message"]})


def _show_account(body: dict[str, Any]) -> None:
    account = body["renter"]
    facts(
        {
            "renter": account["id"],
            "name": account["name"],
            "email": account["email"],
            "organization": account["organization"],
            "balance": money(account["balance_halala"]),
            "spent": money(account["total_spent_halala"]),
            "jobs": account["total_jobs"],
            "since": moment(account["created_at"]),
        }
    )
    listing(
        ["job", "type", "status", "submitted", "SAR"],
        (
            [job["job_id"], job["job_type"], job["status"], moment(job["submitted_at"]), sar(job["actual_cost_halala"])]
            for job in body["recent_jobs"]
        ),
        title="Newest jobs",
        empty="No jobs yet.",
    )


def _show_balance(body: dict[str, Any]) -> None:
    facts(
        {
            "balance": money(body["balance_halala"]),
            "held for open jobs": money(body["held_halala"]),
            "spent": money(body["total_spent_halala"]),
            "jobs": body["total_jobs"],
        }
    )


def _show_providers(body: dict[str, Any]) -> None:
    listing(
        ["id", "name", "GPU", "source", "TOPS", "VRAM", "status", "reliability", "models", "SAR an hour"],
        (
            [
                one["id"],
                one["name"],
                machine(one),
                one["verification"] or one["gpu_source"],
                one["tops_int8"],
                f"{one['vram_gb']} GB" if one["vram_gb"] else None,
                one["status"],
                one["reliability_score"],
                one["cached_models"],
                one["price_per_hour_sar"],
            ]
            for one in body["providers"]
        ),
        empty="No provider is available now.",
    )

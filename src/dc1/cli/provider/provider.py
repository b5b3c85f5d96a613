"""`dc1 provider …`: the account of a GPU owner."""

from typing import Annotated, Any

import typer

from dc1.cli.commands import Commands
from dc1.cli.notifications import notification_commands
from dc1.cli.options import AsJson, ProviderKey, Url, provider_target
from dc1.cli.output import emit, facts, listing, machine, measured, moment, money, sar
from dc1.cli.provider import machines, payouts
from dc1.client import DEFAULT_URL, Client, Target

app = Commands(help="Offer GPUs: an account, its state, its earnings.", no_args_is_help=True)
app.add_typer(payouts.app)
app.add_typer(machines.app, name="machine")
app.add_typer(notification_commands(ProviderKey, provider_target), name="notifications")


@app.command("register")
def provider_register(
    name: Annotated[str, typer.Option(help="Name of the person or machine.")],
    email: Annotated[str, typer.Option(help="E-mail address; one account an address.")],
    gpu_model: Annotated[
        str | None, typer.Option(help="What the GPU is, until the daemon reports it.", show_default=False)
    ] = None,
    os: Annotated[str, typer.Option(help="linux, windows or mac.")] = "linux",
    vram_gb: Annotated[float | None, typer.Option(help="VRAM in GB, 1 to 1024.", show_default=False)] = None,
    location: Annotated[str | None, typer.Option(help="Where the machine stands.", show_default=False)] = None,
    phone: Annotated[str | None, typer.Option(help="Telephone number.", show_default=False)] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Open a provider account and print its key, this once. An admin approves it next."""
    body = {
        "name": name,
        "email": email,
        "gpu_model": gpu_model,
        "os": os,
        "vram_gb": vram_gb,
        "location": location,
        "phone": phone,
    }
    with Client(Target(url)) as client:
        emit(client.post_once("/providers/register", body), as_json, _show_registered)


@app.command("me", watch=True)
def provider_me(key: ProviderKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show the account and its newest jobs."""
    with Client(provider_target(url, key)) as client:
        emit(client.get("/providers/me"), as_json, _show_account)


@app.command("pause")
def provider_pause(key: ProviderKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Take no new work; running jobs go on."""
    with Client(provider_target(url, key)) as client:
        emit(client.post("/providers/pause"), as_json, _show_status)


@app.command("resume")
def provider_resume(key: ProviderKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Take new work again."""
    with Client(provider_target(url, key)) as client:
        emit(client.post("/providers/resume"), as_json, _show_status)


@app.command("ask")
def provider_ask(
    ask: Annotated[float, typer.Argument(help="What to ask of the usual price, for example 0.90.")],
    key: ProviderKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Set the machine's price from now on."""
    with Client(provider_target(url, key)) as client:
        answer = client.post("/providers/preferences", {"ask": ask})
    emit(answer, as_json, lambda body: facts({"ask": f"{body['preferences']['ask']:.2f}"}))


@app.command("earnings", watch=True)
def provider_earnings(key: ProviderKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show what was earned and what can be withdrawn."""
    with Client(provider_target(url, key)) as client:
        emit(client.get("/providers/earnings"), as_json, show_earnings)


# Public, as the demo shows an owner the same.
def show_earnings(body: dict[str, Any]) -> None:
    """Print an answer of `GET /providers/earnings`."""
    escrow = body["escrow"]
    facts(
        {
            "provider": f"{body['name']} ({body['provider_id']})",
            "earned": money(body["total_earned_halala"]),
            "available": money(body["available_halala"]),
            "from starter credit": money(body["promo_earnings_halala"]),
            "jobs completed": body["total_jobs"],
            "held for open jobs": money(escrow["held_halala"] + escrow["locked_halala"]),
        }
    )


def _show_registered(body: dict[str, Any]) -> None:
    facts(
        {
            "provider": body["provider_id"],
            "key": body["api_key"],
            "approval": body["approval_status"],
            "": body["message"],
        }
    )


def _show_status(body: dict[str, Any]) -> None:
    facts({"status": body["status"]})


def _cards(gpus: list[dict[str, Any]]) -> list[str]:
    """Return a line for each card: its clock, and what is not as it should be."""
    # What is as it should be is left out: of eight cards nobody would find the one that fails.
    return [
        ", ".join(
            part
            for part in (
                str(card["gpu"]),
                f"{card['sm_clock_mhz']} MHz" if card["sm_clock_mhz"] is not None else "",
                f"held down by {', '.join(card['throttle_reasons'])}" if card["throttle_reasons"] else "",
                f"{card['ecc_uncorrected']} uncorrected errors" if card["ecc_uncorrected"] else "",
                f"no work: {card['failure']}" if card["failure"] else "",
            )
            if part
        )
        for card in gpus
    ]


def _show_account(body: dict[str, Any]) -> None:
    account = body["provider"]
    facts(
        {
            "provider": account["id"],
            "name": account["name"],
            "email": account["email"],
            "status": account["status"],
            "approval": account["approval_status"],
            **({"rejected because": account["rejected_reason"]} if account["rejected_reason"] else {}),
            "GPU": f"{machine(account)} ({account['verification'] or account['gpu_source']})",
            **({"because": account["hardware_notice"]} if account["hardware_notice"] else {}),
            **({"cards": _cards(account["gpus"])} if account["gpus"] else {}),
            **({"measured": measured(account)} if account["probed_at"] else {}),
            "VRAM": f"{account['gpu_vram_mib']} MiB" if account["gpu_vram_mib"] else None,
            "last probe": account["probe_outcome"],
            "daemon": account["daemon_version"],
            "last heartbeat": moment(account["last_heartbeat"]),
            "models": account["cached_models"],
            "ask": account["ask"],
            "earned": money(account["total_earnings_halala"]),
            "jobs completed": account["total_jobs"],
        }
    )
    listing(
        ["job", "type", "status", "submitted", "SAR"],
        (
            [job["job_id"], job["job_type"], job["status"], moment(job["submitted_at"]), sar(job["earned_halala"])]
            for job in body["recent_jobs"]
        ),
        title="Newest jobs",
        empty="No jobs yet.",
    )

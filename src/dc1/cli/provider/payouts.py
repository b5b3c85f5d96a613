"""`dc1 provider jobs`, `withdraw`, `withdrawals` and `rotate-key`."""

from typing import Annotated, Any

import typer

from dc1.cli.commands import Commands
from dc1.cli.options import AsJson, IdempotencyKey, Limit, ProviderKey, Url, provider_target
from dc1.cli.output import emit, facts, listing, moment, money, part_of, sar
from dc1.client import DEFAULT_URL, Client

app = Commands()


@app.command("jobs")
def provider_jobs(
    # Not the shared `Limit`: this route gives up to 200.
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=200)] = 50,
    key: ProviderKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List what ended jobs earned, newest first."""
    with Client(provider_target(url, key)) as client:
        emit(client.get("/providers/job-history", limit=limit), as_json, _show_jobs)


@app.command("withdraw")
def provider_withdraw(
    halala: Annotated[int, typer.Argument(help="How much, in halala.", min=1)],
    iban: Annotated[str, typer.Option(help="The account to pay to, SA and 22 digits.")],
    idempotency_key: IdempotencyKey = None,
    key: ProviderKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Ask for earnings to be paid out. An operator pays and says so."""
    # With a key, the command may be repeated after a broken connection without asking twice.
    with Client(provider_target(url, key)) as client:
        answer = client.post_once(
            "/providers/me/withdraw", {"amount_halala": halala, "iban": iban}, idempotency_key=idempotency_key
        )
    emit(answer, as_json, _show_withdrawal)


@app.command("withdrawals")
def provider_withdrawals(
    limit: Limit = 20, key: ProviderKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """List what was asked to be paid out, newest first."""
    with Client(provider_target(url, key)) as client:
        emit(client.get("/providers/me/withdrawals", limit=limit), as_json, _show_withdrawals)


@app.command("rotate-key")
def provider_rotate_key(key: ProviderKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Replace the account's key and print the new one, this once.

    The old one is good for a short while yet, in which the daemon is started with the new one.
    """
    with Client(provider_target(url, key)) as client:
        answer = client.post("/providers/me/rotate-key")
    emit(answer, as_json, lambda body: facts({"provider": body["provider_id"], "key": body["api_key"]}))


def _show_jobs(body: dict[str, Any]) -> None:
    listing(
        ["job", "type", "status", "ended", "seconds", "SAR"],
        (
            [
                job["job_id"],
                job["job_type"],
                job["status"],
                moment(job["completed_at"]),
                job["used_seconds"],
                sar(job["earned_halala"]),
            ]
            for job in body["jobs"]
        ),
        title=part_of(body["jobs"], body["total"]),
        empty="No job has ended yet.",
    )


def _show_withdrawal(body: dict[str, Any]) -> None:
    request = body["withdrawal_request"]
    facts(
        {
            "withdrawal": request["id"],
            "status": request["status"],
            "amount": money(request["amount_halala"]),
            # Answers to owners never repeat a whole IBAN.
            "to": request["iban_hint"],
        }
    )


def _show_withdrawals(body: dict[str, Any]) -> None:
    listing(
        ["withdrawal", "asked", "SAR", "to", "status", "reason", "reference"],
        (
            [
                one["id"],
                moment(one["created_at"]),
                sar(one["amount_halala"]),
                one["iban_hint"],
                one["status"],
                one["reason"],
                # Servers from before it was kept do not say it.
                one.get("bank_reference"),
            ]
            for one in body["withdrawals"]
        ),
        title=part_of(body["withdrawals"], body["total"]),
        empty="No withdrawals.",
    )

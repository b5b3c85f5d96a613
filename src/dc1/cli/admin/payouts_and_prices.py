"""`dc1 admin withdrawals`, `settle-withdrawal`, `release-promo`, prices of minutes and tokens, factors of GPUs."""

from typing import Annotated, Any, Literal

import typer

from dc1.cli.commands import Commands
from dc1.cli.options import AdminToken, AsJson, Page, Url, admin_target
from dc1.cli.output import emit, facts, listing, moment, money, part_of, sar
from dc1.client import DEFAULT_URL, Client, path

app = Commands()


@app.command("withdrawals")
def admin_withdrawals(
    status: Annotated[
        str | None, typer.Option(help="pending, processing, paid, failed or rejected.", show_default=False)
    ] = None,
    page: Page = 1,
    limit: Annotated[int, typer.Option(help="How many a page.", min=1, max=100)] = 50,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List what providers asked to be paid out, newest first."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/withdrawals", status=status, page=page, limit=limit), as_json, _show_withdrawals)


@app.command("settle-withdrawal")
def admin_settle_withdrawal(
    withdrawal: Annotated[str, typer.Argument(metavar="WITHDRAWAL", help="Its id, as `withdrawals` lists it.")],
    # Without `pending`, in which every withdrawal begins and to which none returns.
    status: Annotated[Literal["processing", "paid", "failed", "rejected"], typer.Argument(help="What became of it.")],
    reason: Annotated[str | None, typer.Option(help="Why; the provider reads it.", show_default=False)] = None,
    bank_reference: Annotated[
        str | None,
        typer.Option(
            "--reference", help="What the bank calls the transfer; the provider reads it.", show_default=False
        ),
    ] = None,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Say what became of a withdrawal. What was not paid goes back to the provider."""
    with Client(admin_target(url, token)) as client:
        body = {"status": status, "reason": reason, "bank_reference": bank_reference}
        answer = client.patch(path("admin", "withdrawals", withdrawal), body)
    emit(
        answer,
        as_json,
        lambda body: facts(
            {
                "withdrawal": body["id"],
                "status": body["status"],
                "amount": money(body["amount_halala"]),
                "provider": f"{body['provider_name']} ({body['provider_id']})",
                "bank's reference": body.get("bank_reference"),
            }
        ),
    )


@app.command("release-promo")
def admin_release_promo(
    provider: Annotated[int, typer.Argument(metavar="PROVIDER", help="The provider's id.", min=1)],
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")],
    renter: Annotated[
        int | None, typer.Option(help="Only what was earned from this renter.", min=1, show_default=False)
    ] = None,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Release what a provider earned from starter credit."""
    body = {"reason": reason, "renter_id": renter}
    with Client(admin_target(url, token)) as client:
        emit(client.post(path("admin", "providers", provider, "release-promo"), body), as_json, _show_release)


@app.command("prices")
def admin_prices(token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List what a minute of each kind of work costs."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/pricing"), as_json, _show_prices)


@app.command("set-price")
def admin_set_price(
    job_type: Annotated[str, typer.Argument(metavar="TYPE", help="The kind of work, as `prices` lists it.")],
    halala: Annotated[int, typer.Argument(help="Price of a minute, in halala.", min=1)],
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Set the price of a kind of work. Open jobs keep theirs."""
    with Client(admin_target(url, token)) as client:
        answer = client.patch(path("admin", "pricing", job_type), {"rate_halala": halala})
    emit(answer, as_json, lambda body: facts({body["job_type"]: f"{money(body['rate_halala'])} a minute"}))


@app.command("token-prices")
def admin_token_prices(token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the models whose tokens have prices of their own."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/token-prices"), as_json, _show_token_prices)


@app.command("set-token-price")
def admin_set_token_price(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model, as `/v1/models` lists it.")],
    prompt: Annotated[int, typer.Argument(help="Price of a million tokens of the prompt, in halala.", min=0)],
    completion: Annotated[
        int | None,
        typer.Option(help="The same of the answer; that of the prompt by default.", min=0, show_default=False),
    ] = None,
    cached: Annotated[
        int | None, typer.Option(help="The same of what an engine had read before.", min=0, show_default=False)
    ] = None,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Set what tokens of a model cost. Calls that run keep their prices."""
    body = {"prompt_halala": prompt, "completion_halala": completion, "cached_halala": cached}
    with Client(admin_target(url, token)) as client:
        # Slashes of a name are the path's: an escaped one would be a name with `%2F` to proxies that decode once more.
        answer = client.patch(path("admin", "token-prices", *model.split("/")), body)
    emit(answer, as_json, lambda row: _show_token_prices({"prices": [row]}))


@app.command("gpu-factors")
def admin_gpu_factors(token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the price factors of GPU models."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/gpu-factors"), as_json, _show_factors)


@app.command("set-gpu-factor")
def admin_set_gpu_factor(
    gpu_model: Annotated[str, typer.Argument(metavar="MODEL", help="The GPU model, in any spelling.")],
    factor: Annotated[float, typer.Argument(help="Its factor, 0.01 to 100.", min=0.01, max=100)],
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Set the factor of a GPU model. Open jobs keep their terms."""
    with Client(admin_target(url, token)) as client:
        answer = client.patch(path("admin", "gpu-factors", gpu_model), {"factor": factor})
    emit(answer, as_json, lambda body: facts({body["gpu_model"]: f"{body['factor']:.2f}"}))


def _show_token_prices(body: dict[str, Any]) -> None:
    listing(
        ["model", "prompt", "answer", "cached"],
        (
            [one["model"], one["prompt_halala"], one["completion_halala"], one["cached_halala"]]
            for one in body["prices"]
        ),
        title="halala per million tokens",
        empty="Every model has the default price.",
    )


def _show_factors(body: dict[str, Any]) -> None:
    listing(
        ["GPU model", "factor"],
        ([one["gpu_model"], f"{one['factor']:.2f}"] for one in body["factors"]),
        empty="No factors.",
    )


def _show_release(body: dict[str, Any]) -> None:
    facts(
        {
            "released": money(body["released_halala"]),
            "still kept apart": money(body["promo_earnings_halala"]),
            "available": money(body["available_halala"]),
        }
    )


def _flag(flag: dict[str, Any]) -> str:
    """Say what an owner shares, and with whom: `email_host with renters 3, 4`."""
    whom = [
        f"{what} {', '.join(map(str, ids))}"
        for what, ids in (("renters", flag["renter_ids"]), ("providers", flag["provider_ids"]))
        if ids
    ]
    return f"{flag['shares']} with {' and '.join(whom)}"


def _show_withdrawals(body: dict[str, Any]) -> None:
    listing(
        [
            "withdrawal",
            "asked",
            "provider",
            "SAR",
            "of starter credit",
            "IBAN",
            "status",
            "reason",
            "reference",
            "shares",
        ],
        (
            [
                one["id"],
                moment(one["created_at"]),
                f"{one['provider_name']} ({one['provider_id']})",
                sar(one["amount_halala"]),
                sar(one["promo_halala"]),
                one["iban"],
                one["status"],
                one["reason"],
                # Servers from before it was kept do not say it.
                one.get("bank_reference"),
                "; ".join(_flag(flag) for flag in one["flags"]),
            ]
            for one in body["withdrawals"]
        ),
        title=part_of(body["withdrawals"], body["total"]),
        empty="No withdrawal matches.",
    )


def _show_prices(body: dict[str, Any]) -> None:
    listing(
        ["type", "SAR a minute", "halala"],
        ([one["job_type"], sar(one["rate_halala"]), one["rate_halala"]] for one in body["prices"]),
        empty="Nothing has a price.",
    )

"""`dc1 renter transactions`, `pricing`, `models`, commands for keys, `webhook` and `deliveries`."""

from typing import Annotated, Any, TypeAlias

import typer

from dc1.cli.commands import Commands
from dc1.cli.errors import CommandError
from dc1.cli.options import AsJson, Limit, Offset, Page, RenterKey, Url, renter_target
from dc1.cli.output import emit, facts, listing, moment, money, page_of, part_of, sar
from dc1.client import DEFAULT_URL, Client, Target, path

app = Commands()


@app.command("transactions")
def renter_transactions(
    direction: Annotated[str | None, typer.Option(help="Only credit or debit.", show_default=False)] = None,
    limit: Limit = 20,
    offset: Offset = 0,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List what moved in the wallet, newest first."""
    with Client(renter_target(url, key)) as client:
        answer = client.get("/renters/me/transactions", direction=direction, limit=limit, offset=offset)
    emit(answer, as_json, _show_transactions)


@app.command("pricing")
def renter_pricing(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show what work costs."""
    with Client(Target(url)) as client:
        emit(client.get("/renters/pricing"), as_json, _show_pricing)


@app.command("models")
def renter_models(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the models that providers have."""
    with Client(Target(url)) as client:
        emit(
            client.get("/providers/models"),
            as_json,
            lambda body: listing(
                ["model", "providers online", "of"],
                ([one["model"], one["providers_online"], one["providers_total"]] for one in body["models"]),
                empty="No provider has a model.",
            ),
        )


@app.command("keys")
def renter_keys(key: RenterKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the scoped keys of the account."""
    with Client(renter_target(url, key)) as client:
        emit(client.get("/renters/me/keys"), as_json, _show_keys)


Requests: TypeAlias = Annotated[
    int | None, typer.Option("--requests-per-minute", help="Calls under /v1 in a minute.", min=0, show_default=False)
]
Tokens: TypeAlias = Annotated[
    int | None, typer.Option("--tokens-per-minute", help="Tokens in a minute.", min=0, show_default=False)
]
Streams: TypeAlias = Annotated[
    int | None, typer.Option("--streams", help="Streamed calls at a time.", min=0, show_default=False)
]
Models: TypeAlias = Annotated[
    list[str] | None, typer.Option("--model", help="A model it may name; may be repeated.", show_default="every model")
]
OnlyProviders: TypeAlias = Annotated[
    list[int] | None,
    typer.Option("--only-provider", metavar="ID", help="Who may have its work; may be repeated.", show_default="all"),
]
IgnoreProviders: TypeAlias = Annotated[
    list[int] | None,
    typer.Option("--ignore-provider", metavar="ID", help="Who may not; may be repeated.", show_default="nobody"),
]


@app.command("create-key")
def renter_create_key(
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may do: inference, jobs.read, billing, balance.read or admin; may be repeated.",
            show_default="inference",
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="What it is for.", show_default=False)] = None,
    expires_at: Annotated[
        str | None, typer.Option(help="When it ends, for example 2030-01-31T00:00:00Z.", show_default=False)
    ] = None,
    budget: Annotated[
        int | None, typer.Option(metavar="HALALA", help="What it may spend in a month.", show_default="any amount")
    ] = None,
    requests: Requests = None,
    tokens: Tokens = None,
    streams: Streams = None,
    model: Models = None,
    only_provider: OnlyProviders = None,
    ignore_provider: IgnoreProviders = None,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Print a new key that may do less than the account's."""
    # Null and no empty list, which would be a key that may do nothing.
    body: dict[str, Any] = {"scopes": scope or None, "label": label, "expires_at": expires_at}
    if budget is not None:
        body["monthly_budget_halala"] = budget
    held_to = _limits(requests, tokens, streams, model, only_provider, ignore_provider)
    body |= {name: value for name, value in held_to.items() if value is not None}
    with Client(renter_target(url, key)) as client:
        answer = client.post("/renters/me/keys", body)
    emit(
        answer,
        as_json,
        lambda body: facts(
            {
                "id": body["id"],
                "key": body["key"],
                "scopes": body["scopes"],
                "expires": moment(body["expires_at"]),
                "spends a month": _budget(body),
            }
        ),
    )


@app.command("key-budget")
def renter_key_budget(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The scoped key's id, as `keys` lists it.")],
    halala: Annotated[
        int | None, typer.Argument(metavar="[HALALA]", help="What it may spend in a month.", show_default="any amount")
    ] = None,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Set what a scoped key may spend in a month."""
    with Client(renter_target(url, key)) as client:
        # Null is sent and not left out: it is what lets the key spend any amount, and a body without the field is
        # refused.
        answer = client.patch(path("renters", "me", "keys", key_id), {"monthly_budget_halala": halala})
    emit(
        answer,
        as_json,
        lambda body: facts({"spends a month": _budget(body), "spent": money(body["spent_this_month_halala"])}),
    )


@app.command("key-limits")
def renter_key_limits(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The scoped key's id, as `keys` lists it.")],
    requests: Requests = None,
    tokens: Tokens = None,
    streams: Streams = None,
    model: Models = None,
    only_provider: OnlyProviders = None,
    ignore_provider: IgnoreProviders = None,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Set what a scoped key may call under /v1. What is left out is limited no more."""
    with Client(renter_target(url, key)) as client:
        # Nulls are sent: what is absent would stay as it is.
        held_to = _limits(requests, tokens, streams, model, only_provider, ignore_provider)
        answer = client.patch(path("renters", "me", "keys", key_id), held_to)
    emit(answer, as_json, lambda body: facts({name: body[name] for name in held_to}))


def _limits(
    requests: int | None,
    tokens: int | None,
    streams: int | None,
    models: list[str] | None,
    only_providers: list[int] | None,
    ignore_providers: list[int] | None,
) -> dict[str, Any]:
    return {
        "requests_per_minute": requests,
        "tokens_per_minute": tokens,
        "streams": streams,
        "models": models or None,
        "only_providers": only_providers or None,
        "ignore_providers": ignore_providers or None,
    }


@app.command("usage")
def renter_usage(
    days: Annotated[int, typer.Option(help="How many days, today among them.", min=1, max=366)] = 30,
    key_id: Annotated[
        str | None, typer.Option(help="Only this key, `master` for the account's own.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only this model.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="How many rows.", min=1, max=1000)] = 100,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List what each key used of each model by day."""
    with Client(renter_target(url, key)) as client:
        answer = client.get("/renters/me/usage/daily", days=days, key_id=key_id, model=model, limit=limit)
    emit(answer, as_json, _show_usage)


def _show_usage(body: dict[str, Any]) -> None:
    # Without the unit in each column: tokens are counts, and what they cost is in SAR as everywhere.
    columns = ("day", "key_id", "model", "calls", "prompt_tokens", "cached_tokens", "completion_tokens")
    listing(
        ["day", "key", "model", "calls", "prompt", "cached", "answer", "SAR"],
        ([*(one[name] for name in columns), sar(one["cost_halala"])] for one in body["usage"]),
        empty="No calls in these days.",
    )


@app.command("revoke-key")
def renter_revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The scoped key's id, as `keys` lists it.")],
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Revoke a scoped key: it stops at once."""
    with Client(renter_target(url, key)) as client:
        answer = client.delete(path("renters", "me", "keys", key_id))
    emit(answer, as_json, lambda body: facts({"revoked": moment(body["revoked_at"])}))


@app.command("rotate-key")
def renter_rotate_key(
    keep_scoped: Annotated[bool, typer.Option("--keep-scoped-keys", help="Let the scoped keys go on.")] = False,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Replace the account's key and print the new one, this once. The old one and the scoped keys stop at once."""
    with Client(renter_target(url, key)) as client:
        answer = client.post("/renters/me/rotate-key", {"keep_scoped_keys": True} if keep_scoped else None)
    emit(answer, as_json, lambda body: facts({"renter": body["renter_id"], "key": body["api_key"]}))


@app.command("webhook")
def renter_webhook(
    address: Annotated[str | None, typer.Argument(help="https address to be told at.", show_default=False)] = None,
    off: Annotated[bool, typer.Option("--off", help="Be told no more.")] = False,
    new_secret: Annotated[bool, typer.Option("--new-secret", help="Replace the secret.")] = False,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Set where jobs are told of, and print the secret.

    The secret signs what is sent, and is shown this once.
    """
    body = _webhook_change(address, off=off, new_secret=new_secret)
    with Client(renter_target(url, key)) as client:
        answer = client.patch("/renters/settings", body)
    emit(
        answer,
        as_json,
        lambda body: facts({"webhook": body["settings"]["webhook_url"], "secret": body["settings"]["webhook_secret"]}),
    )


@app.command("deliveries")
def renter_deliveries(
    page: Page = 1, limit: Limit = 20, key: RenterKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """List what was sent to the webhook, newest first."""
    with Client(renter_target(url, key)) as client:
        emit(client.get("/renters/me/webhook-deliveries", page=page, limit=limit), as_json, _show_deliveries)


@app.command("resend")
def renter_resend(
    delivery: Annotated[str, typer.Argument(metavar="ID", help="The delivery, as `deliveries` lists it.")],
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Send what was sent to the webhook once more."""
    with Client(renter_target(url, key)) as client:
        answer = client.post(path("renters", "me", "webhook-deliveries", delivery, "resend"), {})
    emit(answer, as_json, lambda body: facts({"sent again": body["delivery_id"]}))


def _webhook_change(address: str | None, *, off: bool, new_secret: bool) -> dict[str, Any]:
    """Return the settings to change.

    Raises:
        CommandError: nothing is to be changed, or the webhook is to end and to be changed.
    """
    if not (address or off or new_secret) or (off and (address or new_secret)):
        raise CommandError("Give the address of the webhook, --off or --new-secret.")
    body: dict[str, Any] = {"rotate_webhook_secret": True} if new_secret else {}
    if address or off:
        # With --off there is no address: null is what ends a webhook, and a missing key would leave it.
        body["webhook_url"] = address
    return body


def _show_transactions(body: dict[str, Any]) -> None:
    listing(
        ["entry", "at", "kind", "SAR", "balance", "job", "note"],
        (
            [
                entry["id"],
                moment(entry["created_at"]),
                entry["kind"],
                # The ledger's amounts are positive; a column that people add up has signs.
                sar(entry["amount_halala"] * (-1 if entry["direction"] == "debit" else 1)),
                sar(entry["balance_after_halala"]),
                entry["job_id"],
                entry["note"],
            ]
            for entry in body["entries"]
        ),
        title=part_of(body["entries"], body["total"]),
        empty="Nothing moved.",
    )


def _show_pricing(body: dict[str, Any]) -> None:
    listing(
        ["type", "SAR a minute", "SAR an hour"],
        (
            [one["job_type"], sar(one["rate_halala_per_minute"]), f"{one['rate_sar_per_hour']:,.2f}"]
            for one in body["pricing"]
        ),
        empty="Nothing has a price.",
    )
    facts({f"{name} class": f"times {factor:g}" for name, factor in body["class_multipliers"].items()})


def _budget(body: dict[str, Any]) -> str:
    # Not what `money` makes of none, which reads as if there were nothing to spend.
    # Servers of before keys had budgets do not speak of them.
    halala = body.get("monthly_budget_halala")
    return "any amount" if halala is None else money(halala)


def _show_keys(body: dict[str, Any]) -> None:
    listing(
        ["id", "key", "scopes", "label", "SAR spent", "of", "last used", "expires", "revoked"],
        (
            [
                one["id"],
                one["key_hint"],
                one["scopes"],
                one["label"],
                sar(one.get("spent_this_month_halala")),
                sar(one.get("monthly_budget_halala")),
                moment(one["last_used_at"]),
                moment(one["expires_at"]),
                moment(one["revoked_at"]),
            ]
            for one in body["keys"]
        ),
        empty="No scoped keys.",
    )


def _show_deliveries(body: dict[str, Any]) -> None:
    listing(
        ["delivery", "at", "event", "job", "status", "attempts", "answer", "error"],
        (
            [
                one["delivery_id"],
                moment(one["created_at"]),
                one["event"],
                one["job_id"],
                one["status"],
                one["attempts"],
                one["response_status"],
                one["error"],
            ]
            for one in body["deliveries"]
        ),
        title=page_of(body["pagination"]),
        empty="Nothing was sent.",
    )

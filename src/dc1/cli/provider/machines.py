"""`dc1 provider machine …`: the machines of an owner's account."""

from typing import Annotated, Any

import typer

from dc1.cli.commands import Commands
from dc1.cli.options import AsJson, IdempotencyKey, ProviderKey, Url, provider_target
from dc1.cli.output import emit, facts, listing, machine, moment, notes, sar
from dc1.client import DEFAULT_URL, Client, path

app = Commands(help="The machines of the account.", no_args_is_help=True)

Machine = Annotated[int, typer.Argument(metavar="MACHINE", help="The machine's id.", min=1)]


@app.command("add")
def machine_add(
    name: Annotated[str, typer.Option(help="Name of the machine.")],
    gpu_model: Annotated[str | None, typer.Option(help="What GPU it has, as a claim.", show_default=False)] = None,
    os: Annotated[str, typer.Option(help="linux, windows or mac.")] = "linux",
    vram_gb: Annotated[float | None, typer.Option(help="VRAM in GB, 1 to 1024.", show_default=False)] = None,
    location: Annotated[str | None, typer.Option(help="Where the machine stands.", show_default=False)] = None,
    idempotency_key: IdempotencyKey = None,
    key: ProviderKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Add a machine and print its daemon's key, this once. An admin approves it next."""
    # No address: a machine is found by its owner's, which the key names.
    body = {"name": name, "gpu_model": gpu_model, "os": os, "vram_gb": vram_gb, "location": location}
    with Client(provider_target(url, key)) as client:
        answer = client.post_once("/providers/me/machines", body, idempotency_key=idempotency_key)
    emit(answer, as_json, _show_added)


@app.command("list")
def machine_list(
    status: Annotated[str | None, typer.Option(help="Only machines of this status.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=256)] = 50,
    offset: Annotated[int, typer.Option(help="How many to pass over.", min=0)] = 0,
    key: ProviderKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List the account's machines."""
    with Client(provider_target(url, key)) as client:
        answer = client.get("/providers/me/machines", status=status, limit=limit, offset=offset)
    emit(answer, as_json, _show_machines)


@app.command("rename")
def machine_rename(
    machine_id: Machine,
    name: Annotated[str, typer.Argument(help="What it is called from now on.")],
    key: ProviderKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Give a machine another name; that of the first one is the account's."""
    with Client(provider_target(url, key)) as client:
        answer = client.patch(path("providers", "me", "machines", machine_id), {"name": name})
    emit(answer, as_json, lambda body: facts({"machine": machine_id, "name": body["machine"]["name"]}))


@app.command("remove")
def machine_remove(
    machine_id: Machine, key: ProviderKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Take a machine out of the account. What it earned stays."""
    # The id is the whole question: what a removal gives back to the queue is run by others.
    with Client(provider_target(url, key)) as client:
        answer = client.delete(path("providers", "me", "machines", machine_id))
    emit(answer, as_json, lambda body: facts({"removed": machine_id, "jobs given back": body["requeued_jobs"]}))


@app.command("rotate-key")
def machine_rotate_key(
    machine_id: Machine, key: ProviderKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Replace a machine's key and print the new one, this once."""
    with Client(provider_target(url, key)) as client:
        answer = client.post(path("providers", "me", "machines", machine_id, "rotate-key"))
    emit(answer, as_json, lambda body: facts({"machine": body["machine_id"], "key": body["api_key"]}))


def _show_added(body: dict[str, Any]) -> None:
    added = body["machine"]
    facts({"machine": added["id"], "key": body["api_key"], "approval": added["approval_status"]})
    if not body["api_key"]:
        notes.print(f"It was added before, and its key is shown once: `dc1 provider machine rotate-key {added['id']}`.")


def _show_machines(body: dict[str, Any]) -> None:
    listing(
        ["machine", "name", "status", "approval", "GPU", "ask", "last heartbeat", "SAR"],
        (
            [
                one["id"],
                one["name"],
                one["status"],
                one["approval_status"],
                machine(one),
                f"{one['ask']:.2f}",
                moment(one["last_heartbeat"]),
                sar(one["total_earnings_halala"]),
            ]
            for one in body["machines"]
        ),
        title=f"{body['total']} machines",
        empty="No machines.",
    )

"""`dc1 admin operators …`: who operates the market, people and tools, each with a token of their own."""

import re
from typing import Annotated, Any, Literal

import typer

from dc1.cli.commands import Commands
from dc1.cli.errors import CommandError
from dc1.cli.options import AdminToken, AsJson, Page, PageSize, Url, admin_target
from dc1.cli.output import emit, facts, listing, moment, notes
from dc1.client import DEFAULT_URL, Client, path

app = Commands(help="Who operates the market, and what each may do.", no_args_is_help=True)

Role = Literal["viewer", "support", "finance", "admin"]
OperatorId = Annotated[int, typer.Argument(metavar="OPERATOR", help="Their number, as `list` shows it.", min=1)]
Expires = Annotated[
    str | None, typer.Option("--expires", help="When the token ends by itself, for example 90d.", show_default=False)
]


@app.command("list")
def operators_list(
    page: Page = 1,
    limit: PageSize = 50,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List everybody, newest first."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/operators", page=page, limit=limit), as_json, _show_operators)


@app.command("me")
def operators_me(token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show whose token this is and what it may call."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/operators/me"), as_json, _show_own)


@app.command("add")
def operators_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and . _ @ -")],
    role: Annotated[Role, typer.Option(help="What they may do.")],
    expires: Expires = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", help="The only methods of a tool, as Service/Method or Service/*; again for each."),
    ] = None,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Make an operator. The token is shown this once."""
    # None would be a value of its own on the wire; no methods are all of the role.
    body = {"name": name, "role": role, "methods": methods or [], **_end(expires)}
    with Client(admin_target(url, token)) as client:
        answer = client.post("/admin/operators", body)
    emit(answer, as_json, _show_token)


@app.command("rotate")
def operators_rotate(
    operator: OperatorId,
    expires: Expires = None,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Replace a token. The old one stops at once."""
    with Client(admin_target(url, token)) as client:
        answer = client.post(path("admin", "operators", operator, "rotate-token"), _end(expires))
    emit(answer, as_json, _show_token)


@app.command("revoke")
def operators_revoke(
    operator: OperatorId, token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Revoke a token for good. It stops at once."""
    with Client(admin_target(url, token)) as client:
        answer = client.delete(path("admin", "operators", operator))
    emit(answer, as_json, lambda body: facts(_facts(body["operator"])))


def _end(expires: str | None) -> dict[str, int]:
    if expires is None:
        return {}
    # The server's clock says when that is: this machine's may be another.
    days = re.fullmatch(r"([1-9][0-9]{0,3})d", expires)
    if days is None:
        raise CommandError("--expires takes days, for example 90d.")
    return {"expires_in_days": int(days[1])}


def _facts(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "operator": one["id"],
        "name": one["name"],
        "role": one["role"],
        # An empty list would read as nothing at all.
        "methods": one["methods"] or "all of the role",
        "expires": moment(one["expires_at"]),
        "revoked": moment(one["revoked_at"]),
    }


def _show_token(body: dict[str, Any]) -> None:
    facts({**_facts(body["operator"]), "token": body["token"]})
    # On stderr, where it is in no program's way.
    notes.print(
        "Store the token now, it is not shown again: in a file for --token-file, which its owner alone can read."
    )


def _show_own(body: dict[str, Any]) -> None:
    facts({**_facts(body["operator"]), "may call": [each["method"] for each in body["may_call"]]})


def _show_operators(body: dict[str, Any]) -> None:
    listing(
        ["id", "name", "role", "methods", "token", "made by", "last used", "expires", "revoked"],
        (
            [
                one["id"],
                one["name"],
                one["role"],
                one["methods"] or "all",
                one["token_hint"],
                one["created_by"],
                moment(one["last_used_at"]),
                moment(one["expires_at"]),
                moment(one["revoked_at"]),
            ]
            for one in body["operators"]
        ),
        empty="No operator yet: the admin token alone opens the market.",
    )

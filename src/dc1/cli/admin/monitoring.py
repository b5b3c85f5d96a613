"""`dc1 admin alerts` and `metrics`: what operators should look at now."""

from typing import Any

from dc1.cli.commands import Commands
from dc1.cli.options import AdminToken, AsJson, Page, PageSize, Url, admin_target
from dc1.cli.output import emit, facts, listing, moment, page_of
from dc1.client import DEFAULT_URL, Client

app = Commands()


@app.command("alerts", watch=True)
def admin_alerts(
    page: Page = 1, limit: PageSize = 50, token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """List the machines that somebody should look at."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/fleet/alerts", page=page, limit=limit), as_json, _show_alerts)


@app.command("metrics", watch=True)
def admin_metrics(token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show the figures of this minute. Lists are in --json."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/metrics"), as_json, _show_metrics)


def _show_alerts(body: dict[str, Any]) -> None:
    listing(
        ["provider", "reason", "since", "detail"],
        ([one["provider_id"], one["reason"], moment(one["since"]), one["detail"]] for one in body["alerts"]),
        title=page_of(body["pagination"]),
        empty="No machine needs looking at.",
    )


def _show_metrics(body: dict[str, Any]) -> None:
    # By the names that the service gives, so that a new figure is shown without a new command line.
    figures = {f"{room} {name}": value for room, values in body.items() for name, value in _plain(values)}
    facts({name.replace("_", " "): value for name, value in figures.items()})


def _plain(values: Any) -> list[tuple[str, Any]]:
    # Lists and what is nested are for programs, which ask for JSON.
    found = values.items() if isinstance(values, dict) else ()
    return [(name, value) for name, value in found if not isinstance(value, dict | list)]

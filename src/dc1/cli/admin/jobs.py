"""`dc1 admin jobs`, `job`, `cancel`, `requeue` and `refund`."""

from typing import Annotated, Any

import typer

from dc1.cli.bill import show_job
from dc1.cli.commands import Commands
from dc1.cli.options import AdminToken, AsJson, Page, Url, admin_target
from dc1.cli.output import emit, facts, listing, moment, money, page_of, sar
from dc1.client import DEFAULT_URL, Client, path

app = Commands()

# A text for both: the number of the row, or the public id that renters and daemons know.
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job, by either of its ids.")]


@app.command("jobs", watch=True)
def admin_jobs(
    # No choice of typer's, as several may be named by commas.
    status: Annotated[
        str | None, typer.Option(help="Only these statuses, for example pending,running.", show_default=False)
    ] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="Only this kind of work.", show_default=False)] = None,
    renter: Annotated[int | None, typer.Option(help="Only this renter's.", show_default=False)] = None,
    provider: Annotated[int | None, typer.Option(help="Only this provider's.", show_default=False)] = None,
    search: Annotated[str | None, typer.Option(help="Only with this text.", show_default=False)] = None,
    page: Page = 1,
    limit: Annotated[int, typer.Option(help="How many a page.", min=1, max=500)] = 50,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List everybody's jobs, newest first."""
    filters = {"status": status, "type": job_type, "renter_id": renter, "provider_id": provider, "search": search}
    with Client(admin_target(url, token)) as client:
        emit(client.get("/admin/jobs", **filters, page=page, limit=limit), as_json, _show_jobs)


@app.command("job")
def admin_job_command(job_id: JobId, token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show one job and, once it is settled, its bill."""
    with Client(admin_target(url, token)) as client:
        emit(client.get(path("admin", "jobs", job_id)), as_json, lambda body: show_job(body["job"]))


@app.command("cancel")
def admin_cancel(job_id: JobId, token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Cancel a job. Of a running one, the time used so far is charged."""
    with Client(admin_target(url, token)) as client:
        answer = client.post(path("admin", "jobs", job_id, "cancel"))
    emit(
        answer,
        as_json,
        lambda body: facts({"charged": money(body["charged_halala"]), "refunded": money(body["refunded_halala"])}),
    )


@app.command("requeue")
def admin_requeue(job_id: JobId, token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Submit a failed job anew for its renter."""
    with Client(admin_target(url, token)) as client:
        answer = client.post(path("admin", "jobs", job_id, "requeue"))
    emit(
        answer,
        as_json,
        lambda body: facts({"job": body["job"]["job_id"], "quote": money(body["job"]["cost_halala"])}),
    )


@app.command("refund")
def admin_refund(
    job_id: JobId,
    reason: Annotated[str, typer.Option(help="Why; the renter can read it.")],
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Give a renter back what a job cost. Its provider pays what it still has."""
    with Client(admin_target(url, token)) as client:
        answer = client.post(path("admin", "jobs", job_id, "refund"), {"reason": reason})
    names = {
        "given back": "refunded_halala",
        "of it by the provider": "from_provider_halala",
        "balance": "new_balance_halala",
    }
    emit(answer, as_json, lambda body: facts({label: money(body[name]) for label, name in names.items()}))


def _show_jobs(body: dict[str, Any]) -> None:
    listing(
        ["job", "type", "status", "submitted", "renter", "provider", "SAR"],
        (
            [
                one["job_id"],
                one["job_type"],
                one["status"],
                moment(one["submitted_at"]),
                one["renter_id"],
                one["provider_id"],
                sar(one["actual_cost_halala"]),
            ]
            for one in body["jobs"]
        ),
        title=page_of(body["pagination"]),
        empty="No job matches.",
    )

"""`dc1 renter submit`, `jobs`, `job`, `output`, `logs`, `cancel`, `retry` and `invoice`."""

import base64
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from dc1.cli.bill import show_job
from dc1.cli.commands import Commands
from dc1.cli.errors import CommandError
from dc1.cli.options import AsJson, IdempotencyKey, RenterKey, Url, renter_target
from dc1.cli.output import cell, console, emit, encodable, facts, listing, moment, money, notes, part_of, printable, sar
from dc1.cli.renter.job_request import job_request
from dc1.client import DEFAULT_URL, Answer, Client, GoneError, StreamedEvent, follow_job_events, path
from dc1.os_errors import reason_of

app = Commands()

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job, by either of its ids.")]


@app.command("submit")
def renter_submit(
    prompt: Annotated[str | None, typer.Argument(help="What to ask a language model.", show_default=False)] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="Kind of work.", show_default="llm_inference")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes to prepay.", show_default="1")] = None,
    max_seconds: Annotated[
        int | None, typer.Option(help="Run deadline, 60 and more; the prepaid time when absent.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model to run.", show_default=False)] = None,
    provider: Annotated[
        int | None, typer.Option(help="Only this provider may run the job.", show_default=False)
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Container image to run, an approved one.", show_default=False)
    ] = None,
    command: Annotated[str | None, typer.Option(help="Command to run in the container.", show_default=False)] = None,
    gpu_type: Annotated[
        str | None, typer.Option(help="GPU the job needs, for example H100.", show_default=False)
    ] = None,
    min_vram_gb: Annotated[float | None, typer.Option(help="VRAM the job needs, in GB.", show_default=False)] = None,
    priority: Annotated[int | None, typer.Option(help="1 (first) to 3.", show_default="2")] = None,
    pricing_class: Annotated[
        str | None, typer.Option(help="priority, standard or economy.", show_default=False)
    ] = None,
    max_rate: Annotated[
        float | None, typer.Option(help="Most that a minute may cost, in halala.", show_default=False)
    ] = None,
    prefer: Annotated[
        str | None, typer.Option(help="What goes first: reputation or price.", show_default="reputation")
    ] = None,
    params: Annotated[str | None, typer.Option(help="Further parameters, a JSON object.", show_default=False)] = None,
    body: Annotated[
        str | None,
        typer.Option(help="A file with the whole request as JSON, - for stdin; other options win.", show_default=False),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Order nothing: say what it would cost and where it could run.")
    ] = False,
    follow_job: Annotated[
        bool,
        typer.Option(
            "--follow", help="Stay, show what the job writes, then its bill; exit code 1 when it does not complete."
        ),
    ] = False,
    idempotency_key: IdempotencyKey = None,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Submit a job. Its price is held in the wallet and settled by the time it used."""
    # Only what was given is sent: the server's defaults are the server's to change.
    request = job_request(
        body_file=body,
        params_json=params,
        prompt=prompt,
        image=image,
        command=command,
        gpu_type=gpu_type,
        fields={
            "job_type": job_type,
            "duration_minutes": minutes,
            "max_duration_seconds": max_seconds,
            "model": model,
            "provider_id": provider,
            "min_vram_gb": min_vram_gb,
            "priority": priority,
            "pricing_class": pricing_class,
            "max_rate_halala_per_minute": max_rate,
            "prefer": prefer,
        },
    )
    with Client(renter_target(url, key)) as client:
        # Before anything is sent that might be held or kept: an estimate is a question.
        if estimate:
            emit(client.post("/jobs/estimate", request), as_json, _show_estimate)
            return
        answer = client.post_once("/jobs/submit", request, idempotency_key=idempotency_key)
        # The id first: whoever stops looking can find the job again.
        emit(answer, as_json, _show_submitted)
        if follow_job:
            _follow_to_the_end(client, answer.body["job_id"], as_json)


@app.command("jobs", watch=True)
def renter_jobs(
    status: Annotated[
        str | None, typer.Option(help="Only jobs of this status; in_progress means not ended.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=200)] = 20,
    offset: Annotated[int, typer.Option(help="How many to pass over, from the newest.", min=0)] = 0,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with Client(renter_target(url, key)) as client:
        emit(client.get("/jobs", status=status, limit=limit, offset=offset), as_json, _show_jobs)


@app.command("job", watch=True)
def renter_job(job_id: JobId, key: RenterKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show one job and, once it is settled, its bill."""
    with Client(renter_target(url, key)) as client:
        emit(client.get(path("jobs", job_id)), as_json, lambda body: show_job(body["job"]))


@app.command("output")
def renter_output(
    job_id: JobId,
    save: Annotated[
        Path | None, typer.Option(help="Write the text or the image to this file.", show_default=False)
    ] = None,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Print what a completed job put out."""
    with Client(renter_target(url, key)) as client:
        answer = _output_of(client, job_id)
    if as_json:
        print(encodable(answer.text))
    # An error and exit code 1, or a script would take silence for the output.
    elif answer.status == 202:
        raise CommandError(
            f"The job is {answer.body['status']} and has no output yet; `dc1 renter logs {job_id}` follows it."
        )
    elif save is not None:
        _save(_content(answer), save)
    else:
        _show_output(answer)


@app.command("logs")
def renter_logs(
    job_id: JobId,
    since: Annotated[int, typer.Option(help="Only lines with a greater number.", min=0)] = 0,
    tokens: Annotated[bool, typer.Option(help="Show generated text as it comes.")] = True,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Follow what a job writes, until it ends. With --json one event a line."""
    with Client(renter_target(url, key)) as client:
        events = follow_job_events(client, job_id, since=since, tokens=tokens)
        with _left_to_itself(job_id):
            if as_json:
                for event in events:
                    # Flushed, for a program that acts on lines as they come.
                    print(encodable(event.json), flush=True)
            else:
                notes.print(f"The job is {write_events(events)}.")


@app.command("cancel")
def renter_cancel(job_id: JobId, key: RenterKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Cancel a job. Of a running one, the time used so far is charged."""
    with Client(renter_target(url, key)) as client:
        answer = client.post(path("jobs", job_id, "cancel"))
    emit(
        answer,
        as_json,
        lambda body: facts({"charged": money(body["charged_halala"]), "refunded": money(body["refunded_halala"])}),
    )


@app.command("retry")
def renter_retry(
    job_id: JobId,
    idempotency_key: IdempotencyKey = None,
    key: RenterKey = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Submit a failed job anew, with a new quote."""
    with Client(renter_target(url, key)) as client:
        answer = client.post_once(path("jobs", job_id, "retry"), idempotency_key=idempotency_key)
    emit(answer, as_json, lambda body: _show_submitted({"queued": False, "message": None, "job": body["job"]}))


@app.command("invoice")
def renter_invoice(job_id: JobId, key: RenterKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show the invoice of a settled job."""
    with Client(renter_target(url, key)) as client:
        emit(client.get(path("jobs", job_id, "invoice")), as_json, _show_invoice)


def write_events(events: Iterable[StreamedEvent]) -> str:
    """Write log lines and generated text to stdout as they come; return the status the job ended with."""
    in_text = False
    status = "unknown"
    for event in events:
        if event.kind == "token":
            text = printable(event.data["text"])
            # Past rich, which would fold a line that is still being written.
            sys.stdout.write(text)
            sys.stdout.flush()
            in_text = not text.endswith("\n")
            continue
        if in_text:
            print()
            in_text = False
        if event.kind == "end":
            status = event.data["status"]
        else:
            console.print(f"[{event.data['level']}] {printable(event.data['line'])}", style="dim")
    return status


def _output_of(client: Client, job_id: str) -> Answer:
    try:
        return client.get(path("jobs", job_id, "output"))
    except GoneError as gone:
        # No fault of the call: the job ended without an output, and its reason is what was asked for.
        body = gone.body
        raise CommandError(
            f"The job is {body['status']}: {str(body['error']).rstrip('.')}; {money(body['refunded_halala'])} went back."
        ) from None


@contextmanager
def _left_to_itself(job_id: str) -> Iterator[None]:
    """Say what becomes of the job when Ctrl-C ends the looking on."""
    try:
        yield
    except KeyboardInterrupt:
        notes.print(
            f"\nThe job goes on; `dc1 renter logs {job_id}` follows it and `dc1 renter cancel {job_id}` ends it.",
            soft_wrap=True,
        )
        # On, as 130 is the exit code that shells expect after Ctrl-C.
        raise


def _follow_to_the_end(client: Client, job_id: str, as_json: bool) -> None:
    # A program is given the job when it has ended; text on its way there would be no JSON.
    events = follow_job_events(client, job_id, tokens=not as_json)
    with _left_to_itself(job_id):
        if as_json:
            for _ in events:
                pass
        else:
            write_events(events)
    # The stream's last event has the status only; the bill is in the job.
    answer = client.get(path("jobs", job_id))
    emit(answer, as_json, lambda body: show_job(body["job"]))
    if answer.body["job"]["status"] != "completed":
        raise typer.Exit(1)


def a_minute(halala: float | None) -> str | None:
    """Write a rate, which may be of parts of a halala."""
    return None if halala is None else f"{halala:g} halala a minute"


def rates(job: dict[str, Any]) -> dict[str, str | None]:
    """Return what a minute of a job costs: where it is, and at most."""
    return {
        "rate": a_minute(job["rate_halala_per_minute"]),
        "rate at most": a_minute(job["hold_rate_halala_per_minute"]),
    }


def _show_submitted(body: dict[str, Any]) -> None:
    job = body["job"]
    facts(
        {
            "job": job["job_id"],
            "status": job["status"],
            "provider": job["provider_id"],
            "quote": money(job["cost_halala"]),
            **rates(job),
            **({"queue position": job["queue_position"]} if body["queued"] else {}),
            **({"": body["message"]} if body["message"] else {}),
        }
    )


def _show_estimate(body: dict[str, Any]) -> None:
    factors, wait = body["factors"], body["expected_wait_seconds"]
    machine = f"{factors['machine_factor']:g}" + (f" ({factors['gpu_type']})" if factors["gpu_type"] else "")
    facts(
        {
            "quote": money(body["quote_halala"]),
            "rate at most": a_minute(body["hold_rate_halala_per_minute"]),
            "which is": f"{factors['rate_halala_per_minute']} x machine {machine} x class {factors['class_multiplier']:g}"
            f" x {factors['gpu_count']} GPU",
            "machines": f"{body['machines_fitting']} fit, {body['machines_free']} free",
            "wait": None if wait is None else f"{wait} s at most",
            **({"because": body["reason"]} if body["reason"] else {}),
        }
    )
    listing(
        ["provider", "GPU", "source", "free", "halala a minute"],
        (
            [
                f"{one['name']} ({one['provider_id']})",
                one["gpu_type"],
                one["gpu_source"],
                "yes" if one["is_free"] else "no",
                one["rate_halala_per_minute"],
            ]
            for one in body["machines"]
        ),
        title="Machines",
        empty="No machine fits.",
    )


def _show_jobs(body: dict[str, Any]) -> None:
    listing(
        ["job", "type", "status", "submitted", "seconds", "SAR"],
        (
            [
                one["job_id"],
                one["job_type"],
                one["status"],
                moment(one["submitted_at"]),
                one["duration_seconds"],
                sar(one["cost_halala"]),
            ]
            for one in body["jobs"]
        ),
        title=part_of(body["jobs"], body["total"]),
        empty="No jobs.",
    )


def _show_invoice(body: dict[str, Any]) -> None:
    facts(
        {
            "invoice": body["invoice_id"],
            "job": body["job_id"],
            "type": f"{body['job_type']}, {body['pricing_class']}",
            "rate": f"{money(body['rate_halala_per_minute'])} a minute",
            "rate of the machine": a_minute(body["run_rate_halala_per_minute"]),
            "used": f"{cell(body['used_seconds'])} s",
            "quote": money(body["quote_halala"]),
            "charged": money(body["actual_cost_halala"]),
            "refunded": money(body["refunded_halala"]),
            "issued": moment(body["issued_at"]),
        }
    )


def _show_output(answer: Answer) -> None:
    body = answer.body
    if body.get("type") == "image":
        raise CommandError("The output is an image; name a file with --save.")
    if body.get("type") == "text":
        # A model's text is a stranger's, too.
        print(printable(str(body.get("response") or "")))
    elif body.get("result") is None:
        notes.print("The job completed without a result.")
    else:
        console.print_json(data=body["result"])


def _save(content: bytes, file: Path) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {reason_of(error)}.") from None
    notes.print(f"Written to {file}.")


def _content(answer: Answer) -> bytes:
    body = answer.body
    if body.get("type") == "image":
        return base64.b64decode(body["image_base64"])
    # Of a JSON result the file gets the bytes of the answer.
    text = body["response"] if body.get("type") == "text" else answer.text
    return str(text).encode()

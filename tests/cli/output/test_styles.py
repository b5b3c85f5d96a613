"""How answers may look, and how often they are asked for."""

import csv
import io

import pytest

from dc1.cli.output import as_csv, listing
from tests.cli.answers import BALANCE, JOB
from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer

ALERTS = {"alerts": [], "pagination": {"page": 1, "limit": 50, "total": 0, "pages": 0}}


def test_a_table_may_be_csv(server: ScriptedServer, run: Run) -> None:
    jobs = [
        {**JOB, "job_id": "job-1", "duration_seconds": None},
        {**JOB, "job_type": '=1+1, "x"', "duration_seconds": 5},
    ]
    server.on("GET /jobs", Reply({"jobs": jobs, "total": 2}))

    rows = list(csv.DictReader(io.StringIO(run("renter", "jobs", "--output", "csv").stdout)))

    assert [row["job"] for row in rows] == ["job-1", JOB["job_id"]]
    # No formula to a spreadsheet.
    assert rows[1]["type"] == '\'=1+1, "x"'
    assert rows[0]["SAR"] == "0.45"


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "@SUM(1)", "-1+cmd|x!A0", "\t=1+1", "-A1"])
def test_no_text_of_a_stranger_is_a_formula(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with as_csv(True):
        listing(["name", "change"], [[text, "-1,234.50"], [None, -3]], empty="")

    _, first, second = csv.reader(io.StringIO(capsys.readouterr().out))
    assert first == [f"'{text}", "-1,234.50"]
    assert second == ["-", "-3"]


def test_the_exact_answer_has_two_names(server: ScriptedServer, run: Run) -> None:
    server.on("GET /renters/balance", Reply(BALANCE))

    exact = run("renter", "balance", "--json").stdout
    assert run("renter", "balance", "--output", "json").stdout == exact
    assert run("renter", "balance", "--output", "table").stdout == run("renter", "balance").stdout != exact
    assert run("renter", "balance", "--output", "xml").exit_code == 2


def test_a_page_is_asked_for_again_and_again(server: ScriptedServer, run: Run) -> None:
    server.on("GET /admin/fleet/alerts", Reply(ALERTS), Reply(ALERTS), Reply({"error": "Gone"}, 410))

    result = run("admin", "alerts", "--watch", "0.1")

    assert result.stdout == "No machine needs looking at.\n" * 2
    assert (result.exit_code, len(server.requests)) == (1, 3)


def test_alerts_and_metrics_are_shown(server: ScriptedServer, run: Run) -> None:
    alert = {"provider_id": 4, "reason": "unreachable", "since": "2026-03-22T19:00:10.000Z", "detail": None}
    server.on("GET /admin/fleet/alerts", Reply({**ALERTS, "alerts": [alert]}))
    server.on("GET /admin/metrics", Reply({"queue": {"waiting_jobs": 3, "by_type": []}, "refusals": []}))

    assert "unreachable" in run("admin", "alerts").stdout
    assert run("admin", "metrics").stdout.split() == ["queue", "waiting", "jobs", "3"]

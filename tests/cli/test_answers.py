import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from dc1.cli import output
from tests.cli.answers import BALANCE, DASHBOARD, JOB, SETTLED
from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer


def test_json_is_the_answer_and_nothing_else(server: ScriptedServer, run: Run) -> None:
    wire = '{"balance_halala":976,  "note":"<b>قرش</b> 🐫"}'
    server.on("GET /renters/balance", Reply(wire))

    result = run("renter", "balance", "--json")

    assert result.exit_code == 0
    assert result.stdout == wire + "\n"
    assert result.stderr == ""


def test_people_read_amounts_in_sar_and_halala(server: ScriptedServer, run: Run) -> None:
    server.on("GET /renters/balance", Reply(BALANCE))

    result = run("renter", "balance")

    assert "9.76 SAR (976 halala)" in result.stdout
    assert "0.45 SAR (45 halala)" in result.stdout


@pytest.mark.parametrize(
    ("command", "call", "header", "value"),
    [
        (["renter", "balance"], "GET /renters/balance", "x-renter-key", "dc1-renter-x"),
        (["provider", "earnings"], "GET /providers/earnings", "x-provider-key", "dc1-provider-x"),
        (["admin", "dashboard"], "GET /admin/dashboard", "x-admin-token", "secret"),
    ],
)
def test_each_role_sends_its_own_credential(
    server: ScriptedServer, run: Run, command: list[str], call: str, header: str, value: str
) -> None:
    server.on(call, Reply({}))

    assert run(*command, "--json").exit_code == 0

    (request,) = server.requests
    assert request.headers[header] == value


def test_an_option_wins_over_the_environment(server: ScriptedServer, run: Run) -> None:
    server.on("GET /renters/balance", Reply(BALANCE))

    run("renter", "balance", "--key", "dc1-renter-other")

    assert server.requests[0].headers["x-renter-key"] == "dc1-renter-other"


def test_the_dashboard_shows_names_as_they_are(server: ScriptedServer, run: Run) -> None:
    server.on("GET /admin/dashboard", Reply(DASHBOARD))

    result = run("admin", "dashboard")

    assert "1 completed" in result.stdout
    assert "Najd [bold]GPU" in result.stdout
    assert "203.0.113.7" in result.stdout


def test_a_stranger_cannot_steer_the_terminal(server: ScriptedServer, run: Run) -> None:
    provider = {
        "id": 1,
        "name": "evil\x1b]0;owned\x07",
        "gpu_model": "",
        "gpu_source": "claimed",
        "verification": None,
        "tops_int8": None,
        "vram_gb": 0,
        "gpu_count": 1,
        "status": "online",
    }
    rest = {"reliability_score": 0, "cached_models": [], "price_per_hour_sar": 9.0}
    server.on("GET /renters/available-providers", Reply({"providers": [provider | rest], "total": 1}))

    result = run("renter", "providers")

    assert "evil]0;owned" in result.stdout
    assert "\x1b" not in result.stdout


def test_a_settled_job_shows_a_bill_that_adds_up(server: ScriptedServer, run: Run) -> None:
    server.on("GET /jobs/job-1774206010000-ab12cd", Reply({"job": SETTLED}))

    result = run("renter", "job", "job-1774206010000-ab12cd")

    assert "18 + 6 = 24 and 24 + 21 = 45" in result.stdout


def test_a_job_id_cannot_reach_another_route(server: ScriptedServer, run: Run) -> None:
    run("renter", "job", "../renters/me?x=1")

    assert server.requests[0].path == "/jobs/..%2Frenters%2Fme%3Fx%3D1"


class TestSubmit:
    def test_a_prompt_is_enough(self, server: ScriptedServer, run: Run) -> None:
        server.on("POST /jobs/submit", Reply({"queued": False, "message": None, "job": JOB}, 201))

        result = run("renter", "submit", "اكتب بيتين عن البحر", "--idempotency-key", "once")

        assert result.exit_code == 0
        assert "job-1774206010000-ab12cd" in result.stdout
        (request,) = server.requests
        assert request.headers["idempotency-key"] == "once"
        assert request.body == {
            "job_type": "llm_inference",
            "duration_minutes": 1,
            "params": {"prompt": "اكتب بيتين عن البحر"},
        }

    def test_options_win_over_the_file(self, server: ScriptedServer, run: Run) -> None:
        server.on("POST /jobs/submit", Reply({"queued": False, "message": None, "job": JOB}, 201))
        body = {"job_type": "training", "duration_minutes": 5, "params": {"seed": 7}, "metadata": {"kept": True}}

        run("renter", "submit", "--body", "-", "--minutes", "2", "--params", '{"rank":1}', stdin=json.dumps(body))

        assert server.requests[0].body == {
            "job_type": "training",
            "duration_minutes": 2,
            "params": {"seed": 7, "rank": 1},
            "metadata": {"kept": True},
        }

    def test_an_image_makes_a_container_job(self, server: ScriptedServer, run: Run) -> None:
        server.on("POST /jobs/submit", Reply({"queued": False, "message": None, "job": JOB}, 201))

        run("renter", "submit", "--image", "dc1/tool:1", "--command", "nvidia-smi", "--gpu-type", "H100")

        body = server.requests[0].body
        assert body["job_type"] == "custom_container"
        assert body["container_spec"] == {
            "image_type": "custom_container",
            "image": "dc1/tool:1",
            "job_cmd": "nvidia-smi",
        }
        assert body["gpu_requirements"] == {"gpu_type": "H100"}

    def test_follow_shows_the_answer_and_the_bill(self, server: ScriptedServer, run: Run) -> None:
        server.on(
            "POST /jobs/submit", Reply({"queued": False, "message": None, "job": JOB, "job_id": JOB["job_id"]}, 201)
        )
        server.on(f"GET /jobs/{JOB['job_id']}", Reply({"job": SETTLED}))
        server.on(
            f"GET /jobs/{JOB['job_id']}/logs/stream",
            Reply(
                [
                    'event: token\ndata: {"type":"token","text":"The "}\n\n',
                    'event: token\ndata: {"type":"token","text":"sea."}\n\n',
                    'event: end\ndata: {"status":"completed"}\n\n',
                ],
                media_type="text/event-stream",
            ),
        )

        result = run("renter", "submit", "a prompt", "--follow")

        assert "The sea.\n" in result.stdout
        assert "18 + 6 = 24" in result.stdout
        assert result.exit_code == 0

    @pytest.mark.parametrize("options", [[], ["--json"]])
    def test_a_followed_job_that_fails_is_exit_code_1(
        self, server: ScriptedServer, run: Run, options: list[str]
    ) -> None:
        server.on(
            "POST /jobs/submit", Reply({"queued": False, "message": None, "job": JOB, "job_id": JOB["job_id"]}, 201)
        )
        server.on(f"GET /jobs/{JOB['job_id']}", Reply({"job": {**SETTLED, "status": "failed", "error": "no luck"}}))
        server.on(
            f"GET /jobs/{JOB['job_id']}/logs/stream",
            Reply(['event: end\ndata: {"status":"failed"}\n\n'], media_type="text/event-stream"),
        )

        result = run("renter", "submit", "a prompt", "--follow", *options)

        assert result.exit_code == 1
        assert "no luck" in result.stdout

    def test_nothing_to_run_costs_nothing(self, server: ScriptedServer, run: Run) -> None:
        result = run("renter", "submit", "--minutes", "5")

        assert (result.exit_code, server.requests) == (1, [])
        assert result.stderr.startswith("There is nothing to run")

    @pytest.mark.parametrize("text", ["{", "[1]"])
    def test_parameters_must_be_an_object(self, run: Run, text: str) -> None:
        result = run("renter", "submit", "--params", text)

        assert result.exit_code == 1
        assert result.stderr.startswith("--params ")


class TestOutput:
    PATH = "GET /jobs/1/output"

    def test_text_is_printed_bare(self, server: ScriptedServer, run: Run) -> None:
        server.on(self.PATH, Reply({"type": "text", "response": "The sea.", "status": "completed"}))

        assert run("renter", "output", "1").stdout == "The sea.\n"

    def test_an_unfinished_job_has_none(self, server: ScriptedServer, run: Run) -> None:
        server.on(self.PATH, Reply({"status": "running"}, 202))

        result = run("renter", "output", "1")

        assert (result.exit_code, result.stdout) == (1, "")
        assert "The job is running" in result.stderr

    def test_a_failed_job_says_why(self, server: ScriptedServer, run: Run) -> None:
        server.on(self.PATH, Reply({"status": "failed", "error": "out of memory", "refunded_halala": 45}, 410))

        result = run("renter", "output", "1")

        assert result.exit_code == 1
        assert result.stderr == "The job is failed: out of memory; 0.45 SAR (45 halala) went back.\n"

    def test_an_image_is_saved(self, server: ScriptedServer, run: Run, tmp_path: Path) -> None:
        server.on(self.PATH, Reply({"type": "image", "image_base64": "iVBORw==", "status": "completed"}))
        file = tmp_path / "out.png"

        assert run("renter", "output", "1").exit_code == 1
        assert run("renter", "output", "1", "--save", str(file)).exit_code == 0

        assert file.read_bytes() == b"\x89PNG"


def test_an_id_is_never_folded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(output, "console", Console(force_terminal=True, width=60))

    output.listing(
        ["job", "type", "submitted"], [[JOB["job_id"], "llm_inference", "2026-03-22 19:00:10"]], empty="No jobs."
    )

    assert JOB["job_id"] in capsys.readouterr().out


def test_what_goes_to_a_file_is_not_folded() -> None:
    line = " ".join(["a sentence that is longer than a terminal"] * 3)
    program = f"from dc1.cli.output import listing; listing(['id', 'text'], [[1, {line!r}]], empty='')"
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "FORCE_COLOR"}}

    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )

    assert line in printed.stdout


def test_a_title_is_not_folded_to_the_width_of_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    output.facts({"a": 1}, title="The server runs until Ctrl-C")

    assert capsys.readouterr().out.startswith("The server runs until Ctrl-C\n")


def test_a_mismatch_is_cleared_with_a_reason(server: ScriptedServer, run: Run) -> None:
    cleared = {"success": True, "provider_id": 4, "cleared": "No H100 has 24564 MiB of VRAM"}
    server.on("POST /admin/providers/4/clear-mismatch", Reply(cleared))

    result = run("admin", "clear-mismatch", "4", "--reason", "looked at")

    assert "No H100 has 24564 MiB of VRAM" in result.stdout

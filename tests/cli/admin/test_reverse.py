import json
from typing import Any

from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer

CALL = "POST /admin/finance/transactions/7/reverse"
REVERSED: dict[str, Any] = {
    "success": True,
    "entry": {
        "id": 9,
        "kind": "reversal",
        "from_account": "wallet",
        "to_account": "external",
        "renter_id": 3,
        "provider_id": None,
        "job_id": None,
        "amount_halala": 500,
        "amount_sar": 5.0,
        "note": "typed twice",
        "created_at": "2026-03-22T19:00:10.000Z",
        "reverses": 7,
        "reversed_by": None,
    },
    "new_balance_halala": 1000,
    "new_balance_sar": 10.0,
}


def test_a_reversal_tells_what_moved(server: ScriptedServer, run: Run) -> None:
    server.on(CALL, Reply(REVERSED, 201))
    result = run("admin", "reverse", "7", "--reason", "typed twice")
    assert result.exit_code == 0
    assert "5.00 SAR (500 halala) from wallet to external" in result.stdout
    assert "10.00 SAR (1,000 halala)" in result.stdout
    (request,) = server.requests
    assert request.body == {"reason": "typed twice"}
    assert request.headers["x-admin-token"] == "secret"


def test_a_program_reads_the_same(server: ScriptedServer, run: Run) -> None:
    server.on(CALL, Reply(REVERSED, 201))
    assert json.loads(run("admin", "reverse", "7", "--reason", "typed twice", "--json").stdout) == REVERSED


def test_an_entry_and_a_reason_are_needed(server: ScriptedServer, run: Run) -> None:
    assert run("admin", "reverse", "7").exit_code == 2
    assert run("admin", "reverse", "0", "--reason", "typed twice").exit_code == 2
    assert server.requests == []

"""What a scoped key may spend in a month, from the command line."""

from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer


def test_a_key_is_made_with_a_budget(server: ScriptedServer, run: Run) -> None:
    made = {"id": "Kv", "key": "sk", "scopes": ["inference"], "expires_at": None, "monthly_budget_halala": 50}
    server.on("POST /renters/me/keys", Reply(made))
    assert "0.50 SAR" in run("renter", "create-key", "--budget", "50").stdout
    (request,) = server.requests
    assert request.body == {"scopes": None, "label": None, "expires_at": None, "monthly_budget_halala": 50}


def test_a_budget_is_lifted_by_null(server: ScriptedServer, run: Run) -> None:
    lifted = {"success": True, "id": "Kv", "monthly_budget_halala": None, "spent_this_month_halala": 45}
    server.on("PATCH /renters/me/keys/Kv", Reply(lifted))
    assert "any amount" in run("renter", "key-budget", "Kv").stdout
    (request,) = server.requests
    assert request.body == {"monthly_budget_halala": None}

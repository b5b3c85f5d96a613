from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer

SARA: dict[str, Any] = {
    "id": 3,
    "name": "sara",
    "role": "finance",
    "methods": [],
    "token_hint": "dc1-operator-Kv3aB9xQ...",
    "created_at": "2026-03-22T19:00:10.000Z",
    "created_by": "0123456789ab",
    "expires_at": "2026-06-20T19:00:10.000Z",
    "last_used_at": None,
    "revoked_at": None,
}


def test_the_list_says_what_each_may_do(server: ScriptedServer, run: Run) -> None:
    server.on("GET /admin/operators", Reply({"operators": [SARA]}))
    result = run("admin", "operators", "list")
    assert result.exit_code == 0
    for shown in ("sara", "finance", "all", "2026-06-20 19:00:10"):
        assert shown in result.stdout


def test_a_new_operators_token_is_shown_and_said_to_be_shown_once(server: ScriptedServer, run: Run) -> None:
    server.on("POST /admin/operators", Reply({"operator": SARA, "token": "dc1-operator-secret"}, 201))
    arguments = ("--role", "finance", "--expires", "90d", "--method", "AdminFinanceService/*")
    result = run("admin", "operators", "add", "sara", *arguments)
    assert result.exit_code == 0
    assert "dc1-operator-secret" in result.stdout
    assert "not shown again" in result.stderr
    (request,) = server.requests
    assert request.body == {
        "name": "sara",
        "role": "finance",
        "methods": ["AdminFinanceService/*"],
        "expires_in_days": 90,
    }


def test_a_token_is_replaced_and_revoked(server: ScriptedServer, run: Run) -> None:
    server.on("POST /admin/operators/3/rotate-token", Reply({"operator": SARA, "token": "dc1-operator-new"}))
    server.on("DELETE /admin/operators/3", Reply({"operator": {**SARA, "revoked_at": "2026-03-23T08:00:00.000Z"}}))
    assert "dc1-operator-new" in run("admin", "operators", "rotate", "3").stdout
    assert "2026-03-23 08:00:00" in run("admin", "operators", "revoke", "3").stdout
    assert server.requests[0].body == {}


def test_whose_token_it_is(server: ScriptedServer, run: Run) -> None:
    server.on(
        "GET /admin/operators/me",
        Reply({"operator": SARA, "may_call": [{"method": "AdminService/GetOverview", "route": "GET /admin/overview"}]}),
    )
    assert "AdminService/GetOverview" in run("admin", "operators", "me").stdout


@pytest.mark.parametrize("expires", ["90", "0d", "3 months", "٣d"])
def test_an_end_that_is_none_is_asked_for_again(server: ScriptedServer, run: Run, expires: str) -> None:
    result = run("admin", "operators", "add", "sara", "--role", "viewer", "--expires", expires)
    assert result.exit_code == 1
    assert "90d" in result.stderr
    assert server.requests == []

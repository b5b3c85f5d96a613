"""Amounts on the command line are halala, and SAR where that is said."""

from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer


@pytest.mark.parametrize(
    ("arguments", "sent", "added", "shown"),
    [
        (["1500"], {"amount_halala": 1500}, 1500, "15.00 SAR (1,500 halala)"),
        (["--sar", "12.5"], {"amount_sar": 12.5}, 1250, "12.50 SAR (1,250 halala)"),
    ],
)
def test_a_top_up(
    server: ScriptedServer, run: Run, arguments: list[str], sent: dict[str, Any], added: int, shown: str
) -> None:
    server.on("POST /renters/topup", Reply({"topped_up_halala": added, "new_balance_halala": 1000 + added}))
    result = run("renter", "topup", *arguments)
    assert result.exit_code == 0
    assert shown in result.stdout
    assert [request.body for request in server.requests] == [sent]


def test_a_payout_is_noted_with_the_banks_reference(server: ScriptedServer, run: Run) -> None:
    paid = {"id": "wreq-1", "status": "paid", "amount_halala": 1500, "provider_name": "Najd", "provider_id": 4}
    server.on("PATCH /admin/withdrawals/wreq-1", Reply({**paid, "bank_reference": "SARIE 42"}))
    result = run("admin", "settle-withdrawal", "wreq-1", "paid", "--reference", "SARIE 42")
    assert result.exit_code == 0
    assert "SARIE 42" in result.stdout
    assert server.requests[0].body == {"status": "paid", "reason": None, "bank_reference": "SARIE 42"}

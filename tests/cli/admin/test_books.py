import json
from typing import Any

from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer

CALL = "GET /admin/finance/books"
BOOKS: dict[str, Any] = {
    "balanced": True,
    "difference_halala": 0,
    "accounts": [
        {"account": "wallet", "balance_halala": 1376, "balance_sar": 13.76},
        {"account": "external", "balance_halala": -1376, "balance_sar": -13.76},
    ],
    "problems": [],
    "timestamp": "2026-03-22T19:00:10.000Z",
    "carried": {"call_prices_micro_halala": 990_500, "platform_fees_micro_halala": 250_000},
}
WRONG = {**BOOKS, "balanced": False, "difference_halala": 1, "problems": ["movement 7 has 1 postings\x1b[2J"]}


def test_books_that_balance(server: ScriptedServer, run: Run) -> None:
    server.on(CALL, Reply(BOOKS))
    result = run("admin", "books")
    assert result.exit_code == 0
    assert "wallet" in result.stdout
    assert "-13.76" in result.stdout
    assert "0.00 SAR (0 halala)" in result.stdout
    assert "990,500 millionths" in result.stdout
    assert "250,000 millionths" in result.stdout
    assert result.stderr == ""
    assert server.requests[0].headers["x-admin-token"] == "secret"


def test_books_that_do_not_balance_fail(server: ScriptedServer, run: Run) -> None:
    server.on(CALL, Reply(WRONG))
    result = run("admin", "books")
    assert result.exit_code == 1
    assert "0.01 SAR (1 halala)" in result.stdout
    assert result.stderr == "movement 7 has 1 postings[2J\n"


def test_a_program_reads_the_same(server: ScriptedServer, run: Run) -> None:
    server.on(CALL, Reply(BOOKS), Reply(WRONG))
    for answer, exit_code in ((BOOKS, 0), (WRONG, 1)):
        result = run("admin", "books", "--json")
        assert (json.loads(result.stdout), result.exit_code, result.stderr) == (answer, exit_code, "")

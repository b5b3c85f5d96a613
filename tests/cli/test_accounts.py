"""Commands of an account: what they ask the service, and what a person reads of the answer."""

from typing import Any

import pytest

from tests.cli.answers import ENTRY
from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer

KEYED = {"POST /providers/me/withdraw", "POST /providers/me/machines", "POST /admin/renters/3/credit"}
PAGE = {"page": 2, "limit": 1, "total": 3, "pages": 3}
WHEN = "2026-03-22T19:00:10.000Z"
WITHDRAWAL: dict[str, Any] = {
    "id": "wreq-1",
    "provider_id": 4,
    "provider_name": "Najd GPU",
    "amount_halala": 1500,
    "iban": "SA0380000000608010167519",
    "iban_hint": "SA03...7519",
    "status": "pending",
    "reason": None,
    "created_at": WHEN,
    "cash_halala": 750,
    "promo_halala": 750,
    "flags": [{"shares": "email_host", "renter_ids": [3, 4], "provider_ids": []}],
}
JOB_ROW: dict[str, Any] = {
    "job_id": "job-1774206010000-ab12cd",
    "job_type": "training",
    "status": "completed",
    "submitted_at": WHEN,
    "completed_at": WHEN,
    "renter_id": 3,
    "provider_id": 4,
    "used_seconds": 95,
    "earned_halala": 18,
    "actual_cost_halala": 24,
}


@pytest.mark.parametrize(
    ("command", "call", "body", "shown"),
    [
        (
            ["renter", "transactions", "--direction", "debit", "--limit", "1", "--offset", "2"],
            "GET /renters/me/transactions?direction=debit&limit=1&offset=2",
            {"entries": [ENTRY], "total": 7},
            ["1 of 7", "-0.45", "9.55", "job-1774206010000-ab12cd"],
        ),
        (
            ["renter", "pricing"],
            "GET /renters/pricing",
            {
                "pricing": [{"job_type": "training", "rate_halala_per_minute": 25, "rate_sar_per_hour": 15}],
                "class_multipliers": {"priority": 1.2},
            },
            ["training", "0.25", "15.00", "times 1.2"],
        ),
        (
            ["renter", "models"],
            "GET /providers/models",
            {"models": [{"model": "SmolLM2", "providers_online": 1, "providers_total": 2}]},
            ["SmolLM2"],
        ),
        (
            ["renter", "keys"],
            "GET /renters/me/keys",
            {
                "keys": [
                    {
                        "id": "Kv",
                        "key_hint": "dc1-sk-Kv...",
                        "label": "ci",
                        "scopes": ["jobs.read", "billing"],
                        "expires_at": None,
                        "last_used_at": WHEN,
                        "revoked_at": None,
                        "monthly_budget_halala": 1050,
                        "spent_this_month_halala": 45,
                    }
                ]
            },
            ["dc1-sk-Kv...", "jobs.read, billing", "0.45", "10.50", "2026-03-22 19:00:10"],
        ),
        (
            ["renter", "deliveries", "--page", "2", "--limit", "1"],
            "GET /renters/me/webhook-deliveries?page=2&limit=1",
            {
                "deliveries": [
                    {
                        "delivery_id": "d-1",
                        "created_at": WHEN,
                        "event": "job.failed",
                        "job_id": "job-1774206010000-ab12cd",
                        "status": "failed",
                        "attempts": 4,
                        "response_status": 500,
                        "error": "answered 500",
                    }
                ],
                "pagination": PAGE,
            },
            ["page 2 of 3, 3 in all", "job.failed", "answered 500"],
        ),
        (
            ["renter", "invoice", "7"],
            "GET /jobs/7/invoice",
            {
                "invoice_id": "inv-7",
                "job_id": "job-1774206010000-ab12cd",
                "job_type": "training",
                "pricing_class": "standard",
                "rate_halala_per_minute": 25,
                "run_rate_halala_per_minute": 27.5,
                "used_seconds": 95,
                "quote_halala": 45,
                "actual_cost_halala": 24,
                "refunded_halala": 21,
                "issued_at": WHEN,
            },
            ["inv-7", "27.5 halala a minute", "0.24 SAR (24 halala)", "0.21 SAR (21 halala)"],
        ),
        (
            ["provider", "jobs", "--limit", "1"],
            "GET /providers/job-history?limit=1",
            {"jobs": [JOB_ROW], "total": 3},
            ["1 of 3", "0.18"],
        ),
        (
            ["provider", "withdrawals"],
            "GET /providers/me/withdrawals?limit=20",
            {"withdrawals": [WITHDRAWAL], "total": 1},
            ["wreq-1", "15.00", "SA03...7519"],
        ),
        (
            ["provider", "machine", "list", "--status", "online"],
            "GET /providers/me/machines?status=online&limit=50&offset=0",
            {
                "machines": [
                    {
                        "id": 5,
                        "name": "Rack 2",
                        "status": "online",
                        "approval_status": "approved",
                        "gpu_count": 2,
                        "gpu_model": "H100",
                        "ask": 0.9,
                        "last_heartbeat": WHEN,
                        "total_earnings_halala": 18,
                    }
                ],
                "total": 1,
            },
            ["Rack 2", "2 x H100", "0.90", "0.18"],
        ),
        (
            ["admin", "renters", "--search", "noura", "--page", "2"],
            "GET /admin/renters?search=noura&page=2&limit=50",
            {
                "renters": [
                    {
                        "id": 3,
                        "name": "Noura Salem",
                        "email": "noura@example.sa",
                        "status": "active",
                        "balance_halala": 976,
                        "total_spent_halala": 24,
                        "total_jobs": 1,
                        "created_at": WHEN,
                    }
                ],
                "pagination": PAGE,
            },
            ["page 2 of 3, 3 in all", "Noura Salem", "9.76", "0.24"],
        ),
        (
            ["admin", "jobs", "--status", "failed,cancelled", "--renter", "3", "--type", "training"],
            "GET /admin/jobs?status=failed%2Ccancelled&type=training&renter_id=3&page=1&limit=50",
            {"jobs": [JOB_ROW], "pagination": PAGE},
            ["page 2 of 3", "job-1774206010000-ab12cd", "0.24"],
        ),
        (
            ["admin", "audit"],
            "GET /admin/audit?page=1&limit=50",
            {
                "entries": [
                    {
                        "id": 12,
                        "at": WHEN,
                        "actor": "ea0a0abf23c0",
                        "method": "GET",
                        "path": "/admin/jobs",
                        "status": 200,
                        "address": "192.0.2.7",
                    }
                ],
                "pagination": PAGE,
            },
            ["ea0a0abf23c0", "192.0.2.7", "/admin/jobs"],
        ),
        (
            ["admin", "withdrawals", "--status", "pending"],
            "GET /admin/withdrawals?status=pending&page=1&limit=50",
            {"withdrawals": [WITHDRAWAL], "total": 9},
            ["1 of 9", "Najd GPU (4)", "15.00", "SA0380000000608010167519"],
        ),
        (
            ["admin", "prices"],
            "GET /admin/pricing",
            {"prices": [{"job_type": "training", "rate_halala": 25}]},
            ["training", "0.25"],
        ),
    ],
)
def test_a_list(
    server: ScriptedServer, run: Run, command: list[str], call: str, body: dict[str, Any], shown: list[str]
) -> None:
    server.on(call.partition("?")[0], Reply(body))

    result = run(*command)

    assert result.exit_code == 0
    assert [f"{request.method} {request.path}" for request in server.requests] == [call]
    for text in shown:
        assert text in result.stdout


@pytest.mark.parametrize(
    ("command", "call", "sent", "body", "shown"),
    [
        (
            ["renter", "create-key", "--scope", "jobs.read", "--scope", "billing", "--label", "ci"],
            "POST /renters/me/keys",
            {"scopes": ["jobs.read", "billing"], "label": "ci", "expires_at": None},
            {"id": "Kv", "key": "dc1-sk-Kv0", "scopes": ["jobs.read", "billing"], "expires_at": None},
            "dc1-sk-Kv0",
        ),
        (
            ["renter", "revoke-key", "Kv"],
            "DELETE /renters/me/keys/Kv",
            None,
            {"success": True, "revoked_at": WHEN},
            "2026-03-22 19:00:10",
        ),
        (
            ["renter", "rotate-key"],
            "POST /renters/me/rotate-key",
            {},
            {"renter_id": 3, "api_key": "dc1-renter-new"},
            "dc1-renter-new",
        ),
        (
            ["renter", "webhook", "https://example.sa/told", "--new-secret"],
            "PATCH /renters/settings",
            {"webhook_url": "https://example.sa/told", "rotate_webhook_secret": True},
            {"settings": {"webhook_url": "https://example.sa/told", "webhook_secret": "whsec_1"}},
            "whsec_1",
        ),
        (
            ["renter", "webhook", "--off"],
            "PATCH /renters/settings",
            {"webhook_url": None},
            {"settings": {"webhook_url": None, "webhook_secret": None}},
            "webhook  -",
        ),
        (
            ["provider", "withdraw", "1500", "--iban", "SA0380000000608010167519", "--idempotency-key", "once"],
            "POST /providers/me/withdraw",
            {"amount_halala": 1500, "iban": "SA0380000000608010167519"},
            {"withdrawal_request": WITHDRAWAL},
            "15.00 SAR (1,500 halala)",
        ),
        (
            ["provider", "rotate-key"],
            "POST /providers/me/rotate-key",
            {},
            {"provider_id": 4, "api_key": "dc1-provider-new"},
            "dc1-provider-new",
        ),
        (
            ["provider", "machine", "add", "--name", "Rack 2", "--gpu-model", "H100", "--vram-gb", "80"],
            "POST /providers/me/machines",
            {"name": "Rack 2", "gpu_model": "H100", "os": "linux", "vram_gb": 80.0, "location": None},
            {"api_key": "dc1-provider-second", "machine": {"id": 5, "approval_status": "pending"}},
            "dc1-provider-second",
        ),
        (
            ["provider", "machine", "rename", "5", "Rack 3"],
            "PATCH /providers/me/machines/5",
            {"name": "Rack 3"},
            {"success": True, "machine": {"id": 5, "name": "Rack 3"}},
            "Rack 3",
        ),
        (
            ["provider", "machine", "remove", "5"],
            "DELETE /providers/me/machines/5",
            None,
            {"success": True, "requeued_jobs": 2},
            "jobs given back  2",
        ),
        (
            ["admin", "credit", "3", "500", "--reason", "bank transfer", "--idempotency-key", "once"],
            "POST /admin/renters/3/credit",
            {"amount_halala": 500, "reason": "bank transfer"},
            {"ledger_id": 23, "new_balance_halala": 1500},
            "15.00 SAR (1,500 halala)",
        ),
        (
            ["admin", "credit", "3", "500", "--reason", "bank transfer", "--payment"],
            "POST /admin/renters/3/credit",
            {"amount_halala": 500, "reason": "bank transfer", "is_payment": True},
            {"ledger_id": 24, "new_balance_halala": 2000},
            "20.00 SAR (2,000 halala)",
        ),
        (
            ["admin", "release-promo", "4", "--reason", "known to us", "--renter", "3"],
            "POST /admin/providers/4/release-promo",
            {"reason": "known to us", "renter_id": 3},
            {"released_halala": 750, "promo_earnings_halala": 0, "available_halala": 1500},
            "7.50 SAR (750 halala)",
        ),
        (
            ["admin", "suspend", "provider", "4"],
            "POST /admin/providers/4/suspend",
            {},
            {"status": "suspended"},
            "suspended",
        ),
        (
            ["admin", "probe", "4"],
            "POST /admin/providers/4/probe",
            {},
            {"provider_id": 4},
            "begun",
        ),
        (
            ["admin", "unsuspend", "renter", "3"],
            "POST /admin/renters/3/unsuspend",
            {},
            {"status": "active"},
            "active",
        ),
        (
            ["admin", "cancel", "7"],
            "POST /admin/jobs/7/cancel",
            {},
            {"charged_halala": 24, "refunded_halala": 21},
            "0.21 SAR (21 halala)",
        ),
        (
            ["admin", "requeue", "7"],
            "POST /admin/jobs/7/requeue",
            {},
            {"job": {"job_id": "job-1774206010000-ef34gh", "cost_halala": 45}},
            "job-1774206010000-ef34gh",
        ),
        (
            ["admin", "settle-withdrawal", "wreq-1", "rejected", "--reason", "closed account"],
            "PATCH /admin/withdrawals/wreq-1",
            {"status": "rejected", "reason": "closed account", "bank_reference": None},
            {**WITHDRAWAL, "status": "rejected"},
            "rejected",
        ),
        (
            ["admin", "set-price", "training", "26"],
            "PATCH /admin/pricing/training",
            {"rate_halala": 26},
            {"job_type": "training", "rate_halala": 26},
            "0.26 SAR (26 halala) a minute",
        ),
    ],
)
def test_a_change(
    server: ScriptedServer,
    run: Run,
    command: list[str],
    call: str,
    sent: dict[str, Any] | None,
    body: dict[str, Any],
    shown: str,
) -> None:
    server.on(call, Reply(body))

    result = run(*command)

    assert result.exit_code == 0
    assert shown in result.stdout
    (request,) = server.requests
    assert (f"{request.method} {request.path}", request.body) == (call, sent)
    key = request.headers.get("idempotency-key")
    assert (key is not None, key == "once") == (call in KEYED, "--idempotency-key" in command)


@pytest.mark.parametrize("arguments", [[], ["--off", "--new-secret"], ["https://example.sa/told", "--off"]])
def test_a_webhook_is_set_or_switched_off(server: ScriptedServer, run: Run, arguments: list[str]) -> None:
    result = run("renter", "webhook", *arguments)

    assert (result.exit_code, server.requests) == (1, [])
    assert "--off" in result.stderr

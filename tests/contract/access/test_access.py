"""Who may see and do what (contract 7, vectors 62, 65 and 66)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Rest
from dc1.testing.server import ADMIN_TOKEN
from tests.contract.expect import answered, refused, show

DENIED = "Admin access denied"


def test_a_job_is_shown_to_its_own_people_only(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 62."""
    renter.submit()
    refused(market.rest.get("/jobs/1"), 401, "API key required")
    refused(market.add_renter().get("/jobs/1"), 403, "Forbidden")
    refused(renter.get("/jobs/job-nope"), 404, "Job not found")
    for reader in (renter, provider, market.admin):
        assert answered(reader.get("/jobs/1"))["job"]["id"] == 1


def test_the_admin_token_opens_the_dashboard(market: LocalMarket, rest: Rest) -> None:
    """Contract 7, vector 65."""
    refused(rest.get("/admin/dashboard"), 401, DENIED)
    refused(rest.get("/admin/dashboard", headers={"x-admin-token": "wrong"}), 401, DENIED)
    answered(rest.get("/admin/dashboard", headers={"authorization": f"Bearer {ADMIN_TOKEN}"}))
    market.restart(admin_token=None)
    for headers in ({}, {"x-admin-token": ADMIN_TOKEN}, {"authorization": f"Bearer {ADMIN_TOKEN}"}):
        refused(rest.get("/admin/dashboard", headers=headers), 503, "Admin token not configured")


@pytest.mark.usefixtures("provider")
def test_a_decision_needs_a_provider_that_is_pending_and_a_rejection_a_reason(admin: Admin) -> None:
    """Contract 7, vector 66."""
    refused(admin.patch("/admin/providers/9999/approve"), 404, "Provider not found")
    decision = admin.patch("/admin/providers/1/approval-decision", {"decision": "approve"})
    refused(decision, 409, "Provider is not pending approval")
    for body in (None, {}, {"reason": None}, {"reason": "  "}):
        refused(admin.patch("/admin/providers/1/reject", body), 400, "Rejection reason is required")


def test_a_pending_provider_is_decided_once(market: LocalMarket, admin: Admin) -> None:
    first, second = market.register_provider(), market.register_provider()
    path = "/admin/providers/{}/approval-decision"
    refused(admin.patch(path.format(1), {}), 400, "Missing required fields: decision")
    text = "Invalid decision. Allowed: approve, reject"
    refused(admin.patch(path.format(1), {"decision": "maybe"}), 400, text, code="INVALID_ENUM")
    refused(admin.patch(path.format(1), {"decision": "reject"}), 400, "Rejection reason is required")
    approved = answered(admin.patch(path.format(first.id), {"decision": "approve"}))
    assert show(approved, "approval_status", "approved_at", "decided_at", "rejected_reason") == {
        "approval_status": "approved",
        "approved_at": market.now(),
        "decided_at": market.now(),
        "rejected_reason": None,
    }
    rejected = answered(admin.patch(path.format(second.id), {"decision": "reject", "reason": "نص <b>"}))
    assert show(rejected, "approval_status", "approved_at", "rejected_reason") == {
        "approval_status": "rejected",
        "approved_at": None,
        "rejected_reason": "نص <b>",
    }


def test_approval_and_rejection_from_any_state(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    answered(admin.patch("/admin/providers/1/reject", {"reason": "no"}))
    assert admin.approve(1) == {
        "success": True,
        "provider_id": 1,
        "approval_status": "approved",
        "approved_at": market.now(),
        "rejected_reason": None,
    }
    provider.heartbeat()


@pytest.mark.parametrize("provider_id", ["0", "-1", "nope", "1.5", "99999999999999999999", "%20"])
def test_ids_that_nobody_has_are_not_found(admin: Admin, provider_id: str) -> None:
    refused(admin.patch(f"/admin/providers/{provider_id}/approve"), 404, "Provider not found")


@pytest.mark.parametrize(
    "job_id", ["0", "-1", "999999", "job-1774206010000-ab12cd", "99999999999999999999", "1.0", "نص"]
)
def test_jobs_that_do_not_exist(renter: Renter, job_id: str) -> None:
    for suffix in ("", "/output", "/logs", "/lifecycle", "/logs/stream"):
        refused(renter.get(f"/jobs/{job_id}{suffix}"), 404, "Job not found")
    refused(renter.post(f"/jobs/{job_id}/cancel"), 404, "Job not found")
    refused(renter.post(f"/jobs/{job_id}/retry"), 404, "Job not found")


def test_other_renters_may_do_nothing_with_a_job(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    other = market.add_renter()
    for suffix in ("", "/output", "/logs", "/lifecycle", "/logs/stream"):
        refused(other.get(f"/jobs/1{suffix}"), 403, "Forbidden")
    refused(other.post("/jobs/1/cancel"), 403, "Forbidden")
    refused(other.post("/jobs/1/retry"), 403, "Forbidden")
    assert answered(other.get("/jobs"))["total"] == 0
    assert renter.job(1)["status"] == "pending"


def test_a_provider_reads_its_job_but_may_not_cancel_it(renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    answered(provider.get("/jobs/1"))
    refused(provider.post("/jobs/1/cancel"), 401)
    assert renter.job(1)["status"] == "pending"


def test_renters_and_providers_are_no_admins(rest: Rest, renter: Renter, provider: PollDaemon) -> None:
    for key in (renter.key, provider.key):
        for headers in ({"x-admin-token": key}, {"authorization": f"Bearer {key}"}):
            refused(rest.get("/admin/dashboard", headers=headers), 401, DENIED)


@pytest.mark.settings(admin_ip_allowlist=("10.0.0.0/8",))
def test_admins_call_from_listed_addresses(market: LocalMarket) -> None:
    text = "Access denied: IP not in allowlist"
    refused(market.admin.get("/admin/dashboard"), 403, text)
    for header in ("x-forwarded-for", "x-client-address", "x-real-ip"):
        refused(market.admin.get("/admin/dashboard", headers={header: "10.0.0.1"}), 403, text)
    refused(market.rest.get("/admin/dashboard"), 403, text)


@pytest.mark.settings(rate_limits_enabled=True)
def test_guessing_keys_is_limited_by_address(market: LocalMarket) -> None:
    for number in range(60):
        refused(market.rest.get("/renters/balance", headers={"x-renter-key": f"guess-{number}"}), 401)
    refused(market.rest.get("/renters/balance", headers={"x-renter-key": "guess"}), 429, "Rate limit exceeded")
    market.advance(60)
    refused(market.rest.get("/renters/balance", headers={"x-renter-key": "guess"}), 401)


@pytest.mark.settings(rate_limits_enabled=True)
def test_admin_calls_are_limited(market: LocalMarket) -> None:
    for _ in range(30):
        market.admin.dashboard()
    refused(market.admin.get("/admin/dashboard"), 429, "Rate limit exceeded")


def test_balances_are_adjusted_within_bounds(admin: Admin, renter: Renter) -> None:
    assert admin.adjust(1, 500) == {
        "success": True,
        "renter_id": 1,
        "previous_balance": 1000,
        "adjustment": 500,
        "new_balance": 1500,
    }
    path = "/admin/renters/1/balance"
    refused(admin.post(path, {"amount_halala": -1501}), 400, "Balance cannot go below 0")
    refused(admin.post(path, {}), 400, "Missing required fields: amount_halala")
    for amount in (100_000_001, -100_000_001, 1.5, "much", 1e30):
        refused(admin.post(path, {"amount_halala": amount}), 400)
    refused(admin.post("/admin/renters/999/balance", {"amount_halala": 1}), 404, "Renter not found")
    assert renter.balance() == 1500
    for _ in range(19):
        admin.adjust(1, 100_000_000)
    refused(admin.post(path, {"amount_halala": 100_000_000}), 400, "Balance limit exceeded")
    assert renter.balance() == 1_900_001_500


def test_providers_are_listed_by_page_and_status(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    for name in ("Riyadh Farm", "Jeddah Farm"):
        market.register_provider(name=name)
    listed = answered(admin.get("/admin/providers"))
    assert [row["id"] for row in listed["providers"]] == [3, 2, 1]
    assert show(listed, "total", "online", "pending_approval") == {"total": 3, "online": 1, "pending_approval": 2}
    second = answered(admin.get("/admin/providers", params={"page": 2, "limit": 2}))
    assert [row["id"] for row in second["providers"]] == [1]
    assert second["pagination"] == {"page": 2, "limit": 2, "total": 3, "pages": 2}
    found = answered(admin.get("/admin/providers", params={"search": "jeddah"}))
    assert [row["name"] for row in found["providers"]] == ["Jeddah Farm"]
    online = answered(admin.get("/admin/providers", params={"status": "online"}))
    assert [row["id"] for row in online["providers"]] == [1]
    for bad in ({"status": "lost"}, {"page": 0}, {"limit": "x"}):
        refused(admin.get("/admin/providers", params=bad), 400)

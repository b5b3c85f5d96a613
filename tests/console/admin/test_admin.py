"""An admin's pages in a real browser, on a market with machines, jobs, renters and payouts."""

import pytest
from playwright.sync_api import expect

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter, answered
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.server import ADMIN_TOKEN
from tests.console.visitor import Visitors, pay_for_two_hours

PAGES = (
    *("", "approvals", "machines", "jobs", "renters", "money", "prices"),
    *("alerts", "notifications", "operators", "audit"),
)
MANNERS = [("en", "light"), ("ar", "dark")]
NASTY = '"><img src=x onerror=alert(1)>'


@pytest.fixture(scope="module")
def machine(town: LocalMarket) -> PollDaemon:
    return town.add_provider()


@pytest.fixture(scope="module")
def renter(town: LocalMarket, machine: PollDaemon) -> Renter:
    """One whose job was paid, which its provider wants to be paid out."""
    renter = town.add_renter()
    pay_for_two_hours(town, renter, machine)
    renter.submit()
    machine.post("/providers/me/withdraw", json={"amount_halala": 1000, "iban": "SA0380000000608010167519"})
    town.register_provider(name=NASTY)
    return renter


@pytest.mark.parametrize(("language", "light"), MANNERS)
def test_every_page_is_whole(
    renter: Renter, machine: PollDaemon, visitors: Visitors, language: str, light: str
) -> None:
    with visitors.one(language, light) as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        paid = next(job for job in renter.get("/jobs").json()["jobs"] if job["status"] == "completed")
        for name in (*PAGES, f"machines/{machine.id}", f"renters/{renter.id}", f"jobs/{paid['job_id']}"):
            page.goto(f"{visitor.url}/console#/{name}")
            visitor.settled()
            # Of the job without its number, which is another one each time; it would not be the list of jobs either.
            visitor.finds_whole(f"admin-{name.replace('jobs/' + paid['job_id'], 'job').replace('/', '-') or 'home'}")


def test_a_machine_is_approved_from_the_queue(town: LocalMarket, renter: Renter, visitors: Visitors) -> None:
    """What its owner called it is a name on every page."""
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/approvals")
        row = page.locator("tbody tr").filter(has_text=NASTY)
        row.get_by_role("button", name="Approve").click()
        # Its owner is told, and waits no more.
        expect(page.get_by_role("dialog")).to_contain_text("This cannot be taken back.")
        page.get_by_role("dialog").get_by_role("button", name="Approve").click()
        expect(page.locator(".toast")).to_contain_text("approved")
        expect(row).to_have_count(0)
        page.goto(f"{visitor.url}/console#/machines")
        expect(page.locator("tbody tr").filter(has_text=NASTY)).to_be_visible()


def test_a_decision_on_one_that_was_decided_on_is_taken_back(town: LocalMarket, visitors: Visitors) -> None:
    machine = town.register_provider()
    path = f"/admin/providers/{machine.id}"
    answered(town.admin.patch(f"{path}/reject", {"reason": "no photo"}))
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/machines/{machine.id}")
        for act, back, status in (("Approve", "Reject", "rejected"), ("Reject", "Approve", "approved")):
            if act == "Reject":
                answered(town.admin.patch(f"{path}/approve", {}))
            page.locator("main").get_by_role("button", name=act).click()
            dialog = page.get_by_role("dialog")
            expect(dialog).not_to_contain_text("cannot be taken back")
            if act == "Reject":
                dialog.get_by_label("Reason").fill("by mistake")
            dialog.get_by_role("button", name=act).click()
            expect(page.locator("main").get_by_role("button", name=back)).to_be_visible()
            page.get_by_role("button", name="Undo").last.click()
            expect(page.locator("main").get_by_role("button", name=act)).to_be_visible()
            decided = answered(town.admin.get(path))["provider"]
            assert decided["approval_status"] == status
            assert decided["rejected_reason"] == ("no photo" if status == "rejected" else None)


def test_a_suspension_is_asked_for_and_taken_back(machine: PollDaemon, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/machines/{machine.id}")
        page.get_by_role("button", name="Suspend").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        assert machine.account()["status"] != "suspended"
        page.get_by_role("button", name="Suspend").click()
        page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
        expect(page.get_by_role("button", name="End the suspension")).to_be_visible()
        assert machine.account()["status"] == "suspended"
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("button", name="Suspend")).to_be_visible()
    assert machine.account()["status"] != "suspended"


def test_a_machine_is_drained_and_the_act_taken_back(machine: PollDaemon, visitors: Visitors) -> None:
    with visitors.one() as visitor, visitors.one("ar") as owner:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/machines/{machine.id}")
        page.get_by_role("button", name="Drain").click()
        page.get_by_role("dialog").get_by_role("button", name="Drain").click()
        expect(page.locator(".notice")).to_contain_text("Drained: ")
        theirs = owner.sign_in(machine.key)
        theirs.goto(f"{visitor.url}/console#/machines/{machine.id}")
        expect(theirs.locator(".notice")).to_contain_text("لا يُسند مشغّلو السوق إلى هذا الجهاز مهام جديدة")
        page.get_by_role("button", name="Undo").click()
        expect(page.locator(".notice")).to_have_count(0)
        expect(theirs.locator(".notice")).to_have_count(0)
    assert machine.account()["status"] != "paused"


def test_the_end_of_a_renters_suspension_is_asked_for_and_taken_back(town: LocalMarket, visitors: Visitors) -> None:
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/renters/{renter.id}")
        page.get_by_role("button", name="Suspend").click()
        page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
        page.get_by_role("button", name="End the suspension").click()
        page.get_by_role("dialog", name="Its keys work again").get_by_role("button", name="Cancel").click()
        expect(page.locator("dialog")).to_have_count(0)
        assert renter.get("/renters/me").status_code == 403
        page.get_by_role("button", name="End the suspension").click()
        page.get_by_role("dialog").get_by_role("button", name="End the suspension").click()
        expect(page.get_by_text("The suspension has ended.")).to_be_visible()
        assert renter.get("/renters/me").status_code == 200
        page.get_by_role("button", name="Undo").last.click()
        expect(page.get_by_role("button", name="End the suspension")).to_be_visible()
    assert renter.get("/renters/me").status_code == 403


def test_what_becomes_of_listed_jobs_is_told_and_new_ones_are_shown_when_asked_for(
    town: LocalMarket, renter: Renter, visitors: Visitors
) -> None:
    listed = renter.submit(gpu_requirements={"gpu_type": "H200"})
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/jobs")
        row = page.locator("tbody tr").filter(has_text=listed["job_id"])
        expect(row).to_contain_text("Queued")
        expect(page.locator(".liveness.live")).to_be_visible()
        renter.cancel(listed["job_id"])
        expect(row).to_contain_text("Cancelled")
        new = renter.submit(gpu_requirements={"gpu_type": "H200"})
        page.get_by_role("button", name="Show a new job").click()
        expect(page.locator("tbody")).to_contain_text(new["job_id"])
    renter.cancel(new["job_id"])


def test_what_waits_and_what_is_wrong_is_told_as_it_becomes_so(
    town: LocalMarket, machine: PollDaemon, visitors: Visitors
) -> None:
    with visitors.one("ar", "dark") as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/approvals")
        visitor.settled()
        late = town.register_provider(name="Late")
        expect(page.locator("tbody")).to_contain_text("Late")
        answered(town.admin.patch(f"/admin/providers/{late.id}/approve", {}))
        expect(page.locator("main")).not_to_contain_text("Late")
        page.goto(f"{visitor.url}/console#/alerts")
        visitor.settled()
        failing = {"gpu_name": "RTX 4090", "gpu_vram_mib": 24564, "gpu_uuid": "GPU-1", "xid_errors": [79]}
        machine.heartbeat({**REPORT, "gpu_status": failing})
        expect(page.locator("tbody")).to_contain_text("انفصلت البطاقة عن الناقل")
        visitor.finds_whole("admin-alerts-one")
    machine.heartbeat()


def test_a_payout_is_taken_up_and_paid_with_its_reference(
    renter: Renter, machine: PollDaemon, visitors: Visitors
) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/money")
        page.get_by_role("button", name="Take up").click()
        page.get_by_role("dialog").get_by_role("button", name="Take up").click()
        page.get_by_role("button", name="Paid").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Bank reference").fill("SARIE-7")
        dialog.get_by_role("button", name="Paid").click()
        expect(page.get_by_text("SARIE-7")).to_be_visible()
        expect(page.get_by_text("The books balance.")).to_be_visible()
    (payout,) = machine.get("/providers/me/withdrawals").json()["withdrawals"]
    assert (payout["status"], payout["bank_reference"]) == ("paid", "SARIE-7")


def test_a_renter_is_found_and_credited(renter: Renter, visitors: Visitors) -> None:
    before = renter.balance()
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/renters/{renter.id}")
        page.get_by_role("button", name="Credit").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Amount").fill("2.50")
        dialog.get_by_label("Reason").fill("a gift")
        dialog.get_by_role("button", name="Credit").click()
        expect(page.locator(".toast")).to_contain_text("Credited")
    assert renter.balance() == before + 250


def test_a_renters_limits_are_shown_changed_and_taken_back(town: LocalMarket, visitors: Visitors) -> None:
    renter = town.add_renter()
    path = f"/admin/renters/{renter.id}"
    answered(town.admin.patch(f"{path}/limits", {"monthly_limit_halala": 1250}))
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/renters/{renter.id}")
        page.get_by_role("button", name="Limits").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Spend a month")).to_have_value("12.5")
        expect(dialog.get_by_label("Jobs a day")).to_have_value("")
        dialog.get_by_label("Jobs a day").fill("7")
        dialog.get_by_role("button", name="Save").click()
        expect(page.locator(".toast")).to_contain_text("Saved")
        limits = answered(town.admin.get(path))["renter"]["own_limits"]
        assert (limits["monthly_limit_halala"], limits["daily_jobs_limit"]) == (1250, 7)
        page.get_by_role("button", name="Undo").click()
        expect(page.locator(".toast")).to_contain_text("Taken back")
    limits = answered(town.admin.get(path))["renter"]["own_limits"]
    assert (limits["monthly_limit_halala"], limits["daily_jobs_limit"]) == (1250, None)


def test_the_queue_is_told_of_at_once(town: LocalMarket, renter: Renter, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        waiting = page.locator(".figures div").filter(has_text="Jobs waiting").locator("dd")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        before = int(waiting.inner_text())
        job = renter.submit(gpu_requirements={"gpu_type": "H200"})
        expect(waiting).to_have_text(str(before + 1))
        renter.cancel(job["job_id"])
        expect(waiting).to_have_text(str(before))
        online = page.locator(".figures div").filter(has_text="Machines online").locator("dd")
        seen = online.inner_text()
        town.add_provider()
        expect(online).not_to_have_text(seen)


def test_a_machine_is_followed_as_it_beats(machine: PollDaemon, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/machines/{machine.id}")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        machine.heartbeat({**REPORT, "gpu_status": {**REPORT["gpu_status"], "daemon_version": "3.9.9"}})
        expect(page.locator(".figures")).to_contain_text("3.9.9")
    machine.heartbeat()


def test_the_audit_goes_back_as_far_as_it_is_asked_to(town: LocalMarket, renter: Renter, visitors: Visitors) -> None:
    for _ in range(101):
        town.rest.get("/admin/overview", headers={"x-admin-token": ADMIN_TOKEN})
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/audit")
        table = page.locator("main table")
        expect(table).to_have_attribute("aria-rowcount", "101")
        more = page.get_by_role("button", name="Load more")
        more.click()
        expect(table).not_to_have_attribute("aria-rowcount", "101")
        # The pages of other tests are in it, too.
        while more.is_visible():
            shown = table.get_attribute("aria-rowcount") or ""
            more.click()
            expect(table).not_to_have_attribute("aria-rowcount", shown)


def test_a_charge_is_given_back_with_a_reason(renter: Renter, visitors: Visitors) -> None:
    paid = next(job for job in renter.get("/jobs").json()["jobs"] if job["status"] == "completed")
    before = renter.balance()
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/jobs/{paid['job_id']}")
        page.get_by_role("button", name="Give back the charge").click()
        page.get_by_role("dialog").get_by_label("Reason").fill(NASTY)
        page.get_by_role("dialog").get_by_role("button", name="Give back the charge").click()
        expect(page.locator(".toast")).to_contain_text("by the provider")
    assert renter.balance() == before + paid["cost_halala"]
    entries = renter.get("/renters/me/transactions").json()["entries"]
    assert ("charge_returned", NASTY) in [(entry["kind"], entry["note"]) for entry in entries]

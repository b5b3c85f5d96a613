"""What an admin does, done by keyboard alone."""

import pytest
from playwright.sync_api import expect

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter, answered
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.server import ADMIN_TOKEN
from tests.console.visitor import Visitors, pay_for_two_hours

CHAT = f"12345678:{'a' * 35}/-100200300"
# What can be done on a page, each once in a table however many rows it has.
ACTS = {
    "approvals": {"Approve", "Reject"},
    "machines/{machine}": {"Reject", "Probe", "Drain", "Suspend"},
    "renters/{renter}": {"Credit", "Limits", "Suspend"},
    "jobs/{job}": {"Give back the charge"},
    "money": {"Take up", "Refuse"},
    "prices": {"Change", "Add a GPU model", "Add a model"},
    "operators": {"Add an operator", "New token", "Revoke"},
    "notifications": {"Add", "Test", "Remove"},
}
AT_ONCE = {"Probe", "Test", "Add"}


@pytest.fixture(scope="module")
def machine(town: LocalMarket) -> PollDaemon:
    return town.add_provider()


@pytest.fixture(scope="module")
def ids(town: LocalMarket, machine: PollDaemon) -> dict[str, object]:
    """A market in which each of these can be done, and what is in the addresses of its pages."""
    renter: Renter = town.add_renter()
    pay_for_two_hours(town, renter, machine)
    answered(machine.post("/providers/me/withdraw", {"amount_halala": 1000, "iban": "SA0380000000608010167519"}), 201)
    town.register_provider()
    answered(town.admin.post("/admin/operators", {"name": "sara", "role": "viewer"}), 201)
    answered(town.rest.post("/notifications", {"kind": "telegram", "target": CHAT}, key=ADMIN_TOKEN), 201)
    (job,) = renter.get("/jobs").json()["jobs"]
    return {"machine": machine.id, "renter": renter.id, "job": job["job_id"]}


def test_every_act_is_reached_and_left_by_keyboard(ids: dict[str, object], visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        for place, acts in ACTS.items():
            page.goto(f"{visitor.url}/console#/{place.format_map(ids)}")
            visitor.settled()
            expect(page.locator("main button", has_text=min(acts)).first).to_be_visible()
            assert acts <= visitor.tries_every_act(AT_ONCE), place


def test_a_machine_is_drained_by_keyboard(machine: PollDaemon, ids: dict[str, object], visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/machines/{machine.id}")
        visitor.settled()
        visitor.tab_to("Drain")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator(".notice")).to_contain_text("Drained: ")
        visitor.tab_to("Undo")
        page.keyboard.press("Enter")
        expect(page.locator(".notice")).to_have_count(0)
